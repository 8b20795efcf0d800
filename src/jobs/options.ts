// Turns what a client asked for, what the job type says and what is configured into bounded BullMQ options.

import type { ResolvedOptions } from '../bullmq/stored-options.js'
import type { Config } from '../config/config.js'
import { day } from '../runtime/durations.js'
import type { JobType } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { JobOptions } from '../types/job-schema.js'

const aheadMsMax = 366 * day
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
    errors.push({ pointer: '#/options/runAt', detail: 'cannot be combined with delayMs' })
  }
  const wantedAt = asked.runAt === undefined ? undefined : Date.parse(asked.runAt)
  if (wantedAt !== undefined && wantedAt > now + aheadMsMax) {
    errors.push({ pointer: '#/options/runAt', detail: 'must be at most 366 days in the future' })
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
