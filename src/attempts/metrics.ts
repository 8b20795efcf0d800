// Counts attempts and their durations, under labels that no stored job can widen.

import { type Metrics, startedAtZero } from '../telemetry/metrics.js'
import type { JobErrorCode, JobErrorTable } from '../types/job-errors.js'
import type { QueueName } from '../types/job-schema.js'
import type { JobTypes } from '../types/registry.js'

/** Stands for types that are not registered and codes that are not in the table. */
const other = 'other'
/** The code of attempts that completed. */
const none = 'none'

/** For the attempts of one queue. Durations in milliseconds; `code` is null for attempts that completed. */
export const createAttemptMetrics = (
  { attempts, attemptDurations, jobWaits, onRender }: Pick<Metrics, 'attempts' | 'attemptDurations' | 'jobWaits' | 'onRender'>,
  { jobErrors, jobTypes, queue }: { jobErrors: JobErrorTable; jobTypes: JobTypes; queue: QueueName },
) => {
  const waits = jobWaits.labels(queue)
  onRender(() => {
    for (const { name } of jobTypes.all.filter((type) => type.queue === queue)) {
      startedAtZero(attempts.labels(name, 'completed', none))
      startedAtZero(attempts.labels(name, 'failed', 'not_configured' satisfies JobErrorCode))
    }
  })
  return {
    /** A job starts for the first time, `waitedMs` after it was due. */
    started: (waitedMs: number): void => waits.observe(Math.max(0, waitedMs) / 1000),
    ended(type: string, outcome: string, code: string | null, durationMs: number): void {
      const knownType = jobTypes.find(type) ? type : other
      attempts.labels(knownType, outcome, code === null ? none : Object.hasOwn(jobErrors, code) ? code : other).inc()
      attemptDurations.labels(knownType, outcome).observe(durationMs / 1000)
    },
  }
}

export type AttemptMetrics = ReturnType<typeof createAttemptMetrics>
