// Counts attempts and their durations, under labels that no stored job can widen beyond a bound.

import type { Durations } from '../telemetry/histogram.js'
import { type Metrics, startedAtZero } from '../telemetry/metrics.js'
import type { JobType } from '../types/definition.js'
import type { JobErrorCode, JobErrorTable } from '../types/job-errors.js'
import { createMetricNames } from '../types/metric-names.js'
import type { QueueName } from '../types/queue-name.js'
import type { JobTypes } from '../types/registry.js'

/** Stands for codes that are not in the table, and beyond the first of own job types. */
const other = 'other'
/** Codes that programs elsewhere come up with: so many of them have series of their own. */
const ownCodesMax = 100
/** The code of attempts that completed. */
const none = 'none'

/** Durations in milliseconds; `code` is null for attempts that completed. */
export const createAttemptMetrics = (
  { attempts, attemptDurations, jobWaits, onRender }: Pick<Metrics, 'attempts' | 'attemptDurations' | 'jobWaits' | 'onRender'>,
  {
    jobErrors,
    jobTypes,
    drives = () => true,
  }: {
    jobErrors: JobErrorTable
    jobTypes: JobTypes /** The types whose attempts are counted here. */
    drives?: (type: JobType) => boolean
  },
) => {
  const names = createMetricNames(jobTypes)
  const waits = new Map<QueueName, Durations>()
  let { revision } = jobTypes
  const waitsOf = (queue: QueueName): Durations => {
    if (revision !== jobTypes.revision) {
      // Series of queues that went are forgotten.
      waits.clear()
      revision = jobTypes.revision
    }
    const known = waits.get(queue) ?? jobWaits.labels(names.ofQueue(queue))
    waits.set(queue, known)
    return known
  }
  const ownCodes = new Set<string>()
  /** `name` is how metrics call the type. */
  const toLabel = (name: string, code: string): string => {
    if (Object.hasOwn(jobErrors, code)) return code
    if (name === other || jobTypes.isBuiltin(name)) return other
    if (ownCodes.size < ownCodesMax) ownCodes.add(code)
    return ownCodes.has(code) ? code : other
  }
  onRender(() => {
    const driven = jobTypes.all.filter(drives)
    for (const { queue } of driven) jobWaits.labels(names.ofQueue(queue))
    for (const name of new Set(driven.map((type) => names.ofType(type.name)))) {
      startedAtZero(attempts.labels(name, 'completed', none))
      startedAtZero(attempts.labels(name, 'failed', 'not_configured' satisfies JobErrorCode))
    }
  })
  return {
    /** A job of the queue starts for the first time, `waitedMs` after it was due. */
    started: (queue: QueueName, waitedMs: number): void => waitsOf(queue).observe(Math.max(0, waitedMs) / 1000),
    ended(type: string, outcome: string, code: string | null, durationMs: number): void {
      const name = names.ofType(type)
      attempts.labels(name, outcome, code === null ? none : toLabel(name, code)).inc()
      attemptDurations.labels(name, outcome).observe(durationMs / 1000)
    },
  }
}

export type AttemptMetrics = ReturnType<typeof createAttemptMetrics>
