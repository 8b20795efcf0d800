// Submits the jobs that follow one, with parts of its result, before it completes: a crash between the two is healed by the next attempt.

import type { Config } from '../config/config.js'
import type { Accept } from '../jobs/accept.js'
import type { JobEnvelope, StoredFollowUp } from '../jobs/envelope.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import { readPointer, replaceAtPointer } from '../runtime/json-pointer.js'
import { dataProblems, type JobTypes, toPresentData } from '../types/registry.js'
import type { Submission } from '../types/submission.js'

export type FollowUpsOutcome =
  | { readonly kind: 'submitted' }
  /** `detail` names no value. */
  | { readonly kind: 'refused'; readonly detail: string }
  /** Some may have been submitted already; trying again doubles none. */
  | { readonly kind: 'full' }

/** A worker hears of a new job type a moment after the gateway that accepted a job with such a follow-up: it waits this long for it. */
const unknownMsMax = 3000

interface Ready {
  readonly id: string
  readonly submission: Submission
}

interface Deps {
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly sensitive: SensitiveDataByType
  readonly accept: Accept
}

/**
 * In: the envelope and the id of a job whose work is done, and its result.
 * All are checked before the first is submitted. Each has an id that follows from the job's, so repeating this submits nothing twice,
 * even when the result has changed meanwhile. A job type that is not known here is waited for before it is refused.
 * Throws the error of Redis.
 */
export const createFollowUps = ({ accept, jobTypes, config, sensitive }: Deps) => {
  /** What is wrong as text, or the submission. */
  const prepare = (
    { id, type: name, data, options, resultInto = {} }: StoredFollowUp,
    first: JobEnvelope,
    result: unknown,
  ): Ready | string => {
    const registered = jobTypes.get(name)
    if (!registered) return 'its job type is unknown'
    const filled = toPresentData(registered, structuredClone(sensitive.get(name)?.open(data) ?? data))
    for (const [into, from] of Object.entries(resultInto)) {
      const value = readPointer(result, from)
      if (value === undefined) return 'the result has no member at a pointer in resultInto'
      if (!replaceAtPointer(filled, into, structuredClone(value))) return 'a pointer in resultInto does not exist in data'
    }
    const problem = dataProblems(registered, filled)[0] ?? registered.type.check?.(filled, { now: Date.now(), config })[0]
    if (problem) return problem.detail
    const { correlationId, userId, metadata } = first
    const inherited = { correlationId, ...(userId === undefined ? {} : { userId }), ...(metadata === undefined ? {} : { metadata }) }
    return { id, submission: { type: name, data: filled, ...(options === undefined ? {} : { options }), ...inherited } }
  }

  return async (first: JobEnvelope, result: unknown): Promise<FollowUpsOutcome> => {
    await untilKnown(jobTypes, first.followUps ?? [])
    const ready: Ready[] = []
    for (const [step, followUp] of (first.followUps ?? []).entries()) {
      const prepared = prepare(followUp, first, result)
      if (typeof prepared === 'string') return refused(step, followUp, prepared)
      ready.push(prepared)
    }
    const { tenant, traceparent, tracestate } = first
    const trace = traceparent === undefined ? {} : { trace: { traceparent, ...(tracestate === undefined ? {} : { tracestate }) } }
    for (const [step, { id, submission }] of ready.entries()) {
      const outcome = await accept(submission, { tenant, jobId: id, key: { key: id, space: 'follow-up' }, isChecked: true, ...trace })
      if (outcome.kind === 'full') return { kind: 'full' }
      if (outcome.kind === 'invalid') return refused(step, submission, outcome.errors[0]?.detail ?? 'is invalid')
      // Reused: an earlier attempt submitted it with another result. That one stands.
    }
    return { kind: 'submitted' }
  }
}

export type SubmitFollowUps = ReturnType<typeof createFollowUps>

/** Resolves once the job types of all are registered, or when that takes too long. */
const untilKnown = (jobTypes: Pick<JobTypes, 'find' | 'onChange'>, followUps: readonly { readonly type: string }[]): Promise<void> => {
  const areKnown = () => followUps.every(({ type }) => jobTypes.find(type) !== undefined)
  if (areKnown()) return Promise.resolve()
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer)
      stopFollowing()
      resolve()
    }
    const timer = setTimeout(end, unknownMsMax)
    const stopFollowing = jobTypes.onChange(() => areKnown() && end())
  })
}

const refused = (step: number, { type }: { type: string }, detail: string): FollowUpsOutcome => ({
  kind: 'refused',
  detail: `follow-up ${step} (${type}): ${detail}`,
})
