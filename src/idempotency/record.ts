// What an idempotency key remembers: all that the first answer said and the repeated request does not.

import type { ResolvedOptions } from '../bullmq/stored-options.js'
import type { JobPriority } from '../types/job-schema.js'

/** Times are milliseconds since 1970. */
export interface IdempotencyRecord {
  readonly jobId: string
  readonly createdAt: number
  readonly options: Pick<ResolvedOptions, 'attempts' | 'priority' | 'runAt' | 'expiresAt'>
  readonly fanOut: boolean
}

/** Text that the acceptance script stores behind the fingerprint. */
export const encodeRecord = ({ jobId, createdAt, options, fanOut }: IdempotencyRecord): string =>
  `${jobId}|${createdAt}|${options.attempts}|${options.priority}|${options.runAt ?? ''}|${options.expiresAt ?? ''}|${fanOut ? 1 : ''}`

export const decodeRecord = (text: string): IdempotencyRecord => {
  const [jobId = '', createdAt, attempts, priority, runAt, expiresAt, fanOut] = text.split('|')
  return {
    jobId,
    createdAt: Number(createdAt),
    options: {
      attempts: Number(attempts),
      priority: priority as JobPriority,
      ...(runAt ? { runAt: Number(runAt) } : {}),
      ...(expiresAt ? { expiresAt: Number(expiresAt) } : {}),
    },
    fanOut: fanOut === '1',
  }
}
