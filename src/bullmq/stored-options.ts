// What a job was accepted with, and how BullMQ stores it.

import type { JobPriority } from '../types/job-schema.js'

/** BullMQ takes lower numbers first, and jobs without a number before all of them: every job gets one. */
export const priorityNumbers: Readonly<Record<JobPriority, number>> = { high: 1, normal: 10, low: 100 }
const priorityNames = new Map<number, JobPriority>(Object.entries(priorityNumbers).map(([name, value]) => [value, name as JobPriority]))

/** The class of a stored priority number; a number of another origin shows as normal. */
export const toPriority = (value: number): JobPriority => priorityNames.get(value) ?? 'normal'

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

/** BullMQ's options, in the short form in which its scripts store them. */
export const toStoredOptions = (options: ResolvedOptions, createdAt: number): string =>
  JSON.stringify({
    attempts: options.attempts,
    backoff: { type: options.backoff.type, delay: options.backoff.delayMs },
    priority: priorityNumbers[options.priority],
    delay: options.runAt === undefined ? 0 : options.runAt - createdAt,
    kl: logLinesMax,
    stackTraceLimit: stackTracesMax,
  })
