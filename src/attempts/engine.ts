// The attempt engine: opens, begins and settles attempts, whoever drives them. It knows nothing of BullMQ or HTTP.
// A driver hands out a job, runs its handler or has that done elsewhere, and writes the end that the engine decides on.

import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/spans.js'
import type { Integrations, JobType } from '../types/definition.js'
import type { JobErrorTable } from '../types/job-errors.js'
import type { JobTypes } from '../types/registry.js'
import { createOpenAttempt, createResumeAttempt } from './attempt.js'
import { createBegin } from './begin.js'
import type { SubmitFollowUps } from './follow-ups.js'
import { createAttemptMetrics } from './metrics.js'
import { createSettle } from './settle.js'
import { createAttemptLimits } from './start-limits.js'

export interface EngineDeps<T extends JobType = JobType> {
  readonly config: Config
  /** The types whose jobs the driver sees through. */
  readonly drives: (type: JobType) => type is T
  readonly integrations: Integrations
  /** The variable an operator has to set for each integration: named by the error `not_configured`. */
  readonly integrationVariables: Readonly<Record<string, string>>
  /** Which codes are retryable: those of every type that is attempted. */
  readonly jobErrors: JobErrorTable
  readonly jobTypes: JobTypes
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
  readonly redis: RedisClient
  readonly sensitive: SensitiveDataByType
  readonly submitFollowUps: SubmitFollowUps
  readonly tracing: Tracing | undefined
}

/**
 * `open`, `begin`, then `settle`, once each, for every job that is handed out; a driver that fails in between ends the span.
 * A driver that may settle in another process than it began calls `handOut` and `begin` there, and here `resume` and `settle`.
 */
export const createAttemptEngine = <T extends JobType>(deps: EngineDeps<T>) => {
  const metrics = createAttemptMetrics(deps.metrics, deps)
  const limits = createAttemptLimits(deps)
  const opening = { ...deps, metrics }
  return {
    open: createOpenAttempt(opening),
    handOut: createOpenAttempt({ ...opening, tracing: undefined }),
    resume: createResumeAttempt(opening),
    begin: createBegin({ ...deps, limits }),
    settle: createSettle({ ...deps, limits, metrics }),
  }
}

export type AttemptEngine<T extends JobType = JobType> = ReturnType<typeof createAttemptEngine<T>>
