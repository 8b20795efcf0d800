// Turns what a client asked for, what the job type says and what is configured into bounded BullMQ options.

import type { Config } from '../config.js'
import type { FieldProblem } from '../errors.js'
import type { JobType } from '../job-type.js'
import { day } from '../schemas/common.js'
import type { JobOptions, JobPriority } from '../schemas/job.js'

/** BullMQ takes lower numbers first, and jobs without a number before all of them: every job gets one. */
export const priorityNumbers: Readonly<Record<JobPriority, number>> = { high: 1, normal: 10, low: 100 }
const priorityNames = new Map<number, JobPriority>(Object.entries(priorityNumbers).map(([name, value]) => [value, name as JobPriority]))

/** The class of a stored priority number; a number of another origin shows as normal. */
export const toPriority = (value: number): JobPriority => priorityNames.get(value) ?? 'normal'

const aheadMsMax = 366 * day
/** A job's own log keeps this many lines, and its record this many stack traces. */
const logLinesMax = 1000
const stackTracesMax = 5

/** What a job was accepted with. Times are milliseconds since 1970. */
export interface ResolvedOptions {
  readonly priority: JobPriority
  readonly attempts: number
  readonly backoff: { readonly type: 'fixed' | 'exponential'; readonly delayMs: number }
  readonly timeoutMs: number
  /** Set when the job is due later than it was created. */
  readonly runAt?: number | undefined
  readonly expiresAt?: number | undefined
}

export type ResolvedOutcome =
  | { readonly kind: 'resolved'; readonly options: ResolvedOptions }
  | { readonly kind: 'refused'; readonly errors: readonly FieldProblem[] }

const nothingAsked: JobOptions = {}

/**
 * Resolves a client's options: its own word first, then the job type's, then the configuration's.
 * `now` is milliseconds since 1970. Refuses what the schema cannot see, such as both delayMs and runAt.
 */
export const resolveOptions = (
  type: JobType,
  data: unknown,
  asked: JobOptions = nothingAsked,
  { defaultAttempts, defaultBackoffMs }: Config['queues'],
  now: number,
): ResolvedOutcome => {
  const errors: FieldProblem[] = []
  if (asked.delayMs !== undefined && asked.runAt !== undefined) {
    errors.push({ pointer: '#/options/runAt', detail: 'goes not together with delayMs' })
  }
  const wantedAt = asked.runAt === undefined ? undefined : Date.parse(asked.runAt)
  if (wantedAt !== undefined && wantedAt > now + aheadMsMax) {
    errors.push({ pointer: '#/options/runAt', detail: 'has to lie at most 366 days ahead' })
  }
  if (errors.length > 0) return { kind: 'refused', errors }

  const dueAt = wantedAt ?? (asked.delayMs === undefined ? type.timing?.(data, now).runAt : now + asked.delayMs)
  const runAt = dueAt !== undefined && dueAt > now ? dueAt : undefined
  // A limit counts from when the job is due, whoever set it.
  const due = runAt ?? now
  const expiresAt = asked.expiresInMs === undefined ? type.timing?.(data, due).expiresAt : due + asked.expiresInMs
  return {
    kind: 'resolved',
    options: {
      priority: asked.priority ?? type.defaults.priority,
      attempts: asked.attempts ?? type.defaults.attempts ?? defaultAttempts,
      backoff: asked.backoff ?? type.defaults.backoff ?? { type: 'exponential', delayMs: defaultBackoffMs },
      timeoutMs: asked.timeoutMs ?? type.defaults.timeoutMs,
      runAt,
      expiresAt,
    },
  }
}

/** The options of jobs that are due at once: there are few different ones, and every submission asks for one of them. */
const storedOptions = new Map<string, string>()
const storedOptionsMax = 1000

/** BullMQ's options, in the short form in which its scripts store them. */
export const toStoredOptions = (options: ResolvedOptions, createdAt: number): string => {
  if (options.runAt !== undefined) return stringifyOptions(options, createdAt)
  const name = `${options.attempts} ${options.backoff.type} ${options.backoff.delayMs} ${options.priority}`
  const known = storedOptions.get(name)
  if (known !== undefined) return known
  if (storedOptions.size >= storedOptionsMax) storedOptions.clear()
  const stored = stringifyOptions(options, createdAt)
  storedOptions.set(name, stored)
  return stored
}

const stringifyOptions = (options: ResolvedOptions, createdAt: number): string =>
  JSON.stringify({
    attempts: options.attempts,
    backoff: { type: options.backoff.type, delay: options.backoff.delayMs },
    priority: priorityNumbers[options.priority],
    delay: options.runAt === undefined ? 0 : options.runAt - createdAt,
    kl: logLinesMax,
    stackTraceLimit: stackTracesMax,
  })
