// Mints job ids; an id carries its queue, so that a job is found without a look-up.

import { hash, randomFillSync } from 'node:crypto'
import type { QueueName } from '../types/job-schema.js'

const prefixes: Readonly<Record<QueueName, string>> = { meeting: 'meet', email: 'mail', 'external-api': 'ext' }
const queues = new Map<string, QueueName>(Object.entries(prefixes).map(([queue, prefix]) => [prefix, queue as QueueName]))
const pattern = /^([a-z]{1,4})_[A-Za-z0-9_-]{20,48}$/

/** 16 random bytes an id; one call to the system's generator serves 256 of them. */
const idBytes = 16
const pool = Buffer.allocUnsafe(idBytes * 256)
let used = pool.length

/** A new id such as `mail_3q2AMb1cT7mR0wZk9vYxFg`: the queue's prefix and 128 random bits. */
export const mintJobId = (queue: QueueName): string => {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const random = pool.toString('base64url', used, used + idBytes)
  used += idBytes
  return `${prefixes[queue]}_${random}`
}

/** The id of a child: its parent's and its place, so that adding a fan-out again changes nothing. */
export const childJobId = (parentId: string, index: number): string => `${parentId}-${index.toString(36)}`

/** The id of a follow-up: the same whenever it is submitted, so that it is submitted once. */
export const followUpJobId = (firstId: string, step: number, queue: QueueName): string =>
  `${prefixes[queue]}_${hash('sha256', `${firstId}|${step}`, 'base64url').slice(0, 22)}`

/** The id of a scheduled run: the same however often its tick is tried. `key` names the schedule, `since` when it was made. */
export const scheduledJobId = (key: string, since: number, dueAt: number, queue: QueueName): string =>
  `${prefixes[queue]}_${hash('sha256', `${key}|${since}|${dueAt}`, 'base64url').slice(0, 22)}`

/** The place of a child among its siblings, from its id. */
export const childIndex = (id: string): number => Number.parseInt(id.slice(id.lastIndexOf('-') + 1), 36)

/** The queue of an id that may come from a client; undefined when it cannot be one of ours. */
export const queueOfJobId = (id: string): QueueName | undefined => {
  const match = pattern.exec(id)
  return match ? queues.get(match[1] as string) : undefined
}
