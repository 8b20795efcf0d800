// Names of queues: those that are always there, those that job types may bring, and those that they may not.

import type { StringOptions } from '@sinclair/typebox'
import { Matching } from './schema-parts.js'

/** A job type registered at run time has a queue of its own, named like it: both have this form. */
const namePattern = '^[a-z][a-z0-9-]{1,62}$'
const nameCharsMax = 63
const nameForm = new RegExp(namePattern)

/** Whether a job type that is registered at run time may be called so, as far as the form goes. */
export const isTypeName = (name: unknown): name is string => typeof name === 'string' && nameForm.test(name)

/** What a name lacks that is not of that form. */
export const typeNameDetail = 'must be 2 to 63 lowercase letters, digits and hyphens, and begin with a letter'

/** A name of that form. No compiler checks it: what comes from outside is looked up among the queues that are there. */
export type QueueName = string

/** The queues that are always there, and how the ids of their jobs begin. Ids in any other queue begin with its name. */
const builtinPrefixes = { meeting: 'meet', email: 'mail', 'external-api': 'ext' } as const
export type BuiltinQueue = keyof typeof builtinPrefixes

export const builtinQueues = Object.keys(builtinPrefixes) as readonly BuiltinQueue[]

export const isBuiltinQueue = (queue: QueueName): boolean => Object.hasOwn(builtinPrefixes, queue)

const prefixes: ReadonlyMap<string, string> = new Map(Object.entries(builtinPrefixes))
const queuesByPrefix: ReadonlyMap<string, BuiltinQueue> = new Map(builtinQueues.map((queue) => [builtinPrefixes[queue], queue]))

/** How the ids of a queue's jobs begin, before the first `_`. */
export const jobIdPrefix = (queue: QueueName): string => prefixes.get(queue) ?? queue

/** The queue whose ids begin with `prefix`, be it there or not; undefined when no queue's can. */
export const queueOfPrefix = (prefix: string): QueueName | undefined =>
  queuesByPrefix.get(prefix) ?? (isBuiltinQueue(prefix) ? undefined : prefix)

/** Words that stand in addresses where a queue or a job type may stand. */
const routeWords = ['clean', 'health', 'metrics', 'pause', 'resume', 'versions', 'secret']
/** Keys in Redis begin with the name of a queue: these belong to the gateway itself. */
const keyWords = ['gate', 'schedules']
/** What metrics say instead of a name. */
const labelWords = ['none', 'other']

const reserved: ReadonlySet<string> = new Set([...builtinQueues, ...queuesByPrefix.keys(), ...routeWords, ...keyWords, ...labelWords])

/** Whether the word means something else where the name of a job type, or of its queue, stands. */
export const isReservedWord = (word: string): boolean => reserved.has(word)

/** The name of a queue in requests and answers. Which queues there are, the registry of job types says. */
export const QueueNameText = (options: StringOptions = {}) =>
  Matching(namePattern, typeNameDetail, {
    maxLength: nameCharsMax,
    description: 'Name of a queue.',
    ...options,
  })
