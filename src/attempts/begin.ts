// Begins an attempt: everything up to its handler, whoever runs that.

import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { RedisClient } from '../redis/connect.js'
import { defer, fail, type Integrations, type JobOutcome, type JobType, retry } from '../types/definition.js'
import { jobErrors } from '../types/job-errors.js'
import { isBuiltinQueue, type QueueName } from '../types/queue-name.js'
import { type JobTypes, toPresentData } from '../types/registry.js'
import type { Attempt } from './attempt.js'
import { gatherChildren } from './children.js'
import type { Refusal } from './outcome.js'
import type { Admission, AttemptLimits } from './start-limits.js'

/** How long a job stays away that this driver is not to have. */
const handBackMs = 1000

/** What a handler is to run with: `data` in clear. */
export interface HandlerInput<T extends JobType> {
  readonly kind: 'begun'
  readonly type: T
  readonly data: unknown
  readonly isExpired: boolean
}

export type Beginning<T extends JobType = JobType> =
  | HandlerInput<T>
  /** Its outcome is known without its handler. */
  | { readonly kind: 'decided'; readonly outcome: JobOutcome }
  | Refusal

interface Deps<T extends JobType> {
  /** The types whose jobs the driver sees through: those that are run here, or those that programs elsewhere work on. */
  readonly drives: (type: JobType) => type is T
  readonly jobTypes: JobTypes
  readonly integrations: Integrations
  /** The variable an operator has to set for each integration: named by the error `not_configured`. */
  readonly integrationVariables: Readonly<Record<string, string>>
  readonly limits: Pick<AttemptLimits, 'admit'>
  readonly redis: RedisClient
  readonly sensitive: SensitiveDataByType
}

/** Begins at once, without a round trip, in the usual case; else rejects with the error of Redis. */
export const createBegin = <T extends JobType>(deps: Deps<T>) => {
  const { drives, jobTypes, limits, redis, sensitive } = deps

  const begin = (attempt: Attempt, admission: Admission): Beginning<T> | Promise<Beginning<T>> => {
    if (admission.kind === 'refused') return admission
    const { type: name, queue, envelope } = attempt.job
    if (envelope.refusal) return decided(fail(envelope.refusal.code, envelope.refusal.message))
    const registered = jobTypes.get(name)
    if (!registered) return decided(toUnknown(queue))
    const { type } = registered
    if (envelope.fanOut) return gatherChildren(redis, attempt.job, type).then(decided)
    // Its queue is left as soon as this driver hears of it: a job that was handed out a moment before goes back.
    if (!drives(type)) return decided(defer('handler_error', 'Other programs run this job type.', handBackMs))
    const missing = missingIntegration(type, deps)
    if (missing) return decided(fail('not_configured', `Set ${missing} on the workers.`))
    try {
      return {
        kind: 'begun',
        type,
        data: toPresentData(registered, sensitive.get(name)?.open(envelope.data)),
        isExpired: admission.isExpired,
      }
    } catch (error) {
      attempt.log.error({ err: error }, 'the data of a job cannot be decrypted')
      return decided(retry('handler_error', jobErrors.handler_error.meaning))
    }
  }

  return (attempt: Attempt): Beginning<T> | Promise<Beginning<T>> => {
    const admission = limits.admit(attempt.job)
    return admission instanceof Promise ? admission.then((each) => begin(attempt, each)) : begin(attempt, admission)
  }
}

const decided = (outcome: JobOutcome): Extract<Beginning, { kind: 'decided' }> => ({ kind: 'decided', outcome })

/** A queue of its own goes with its job type: what was handed out a moment before waits there until the type is back. */
const toUnknown = (queue: QueueName): JobOutcome => {
  const { meaning } = jobErrors.unknown_job_type
  return isBuiltinQueue(queue) ? fail('unknown_job_type', meaning) : defer('unknown_job_type', meaning, handBackMs)
}

const missingIntegration = (
  { requires }: JobType,
  { integrations, integrationVariables }: Pick<Deps<JobType>, 'integrations' | 'integrationVariables'>,
) => {
  const missing = (requires as readonly string[]).find((name) => !integrations[name])
  return missing && integrationVariables[missing]
}
