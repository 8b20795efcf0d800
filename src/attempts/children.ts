// The attempt of a parent: its children did the work, it only gathers how they ended.

import type { Job } from 'bullmq'
import { decodeJobError } from '../bullmq/job-error.js'
import { childIndex } from '../bullmq/job-id.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import { idOfKey } from '../jobs/view.js'
import { type ChildOutcome, done, fail, type JobOutcome, type JobType } from '../types/definition.js'
import type { JobErrorCode } from '../types/job-errors.js'

/** Completes the parent of a fan-out with the gathered result; it never fails because a child did. A child that an operator removed has failed. */
export const gatherChildren = async (job: Job<JobEnvelope>, type: JobType): Promise<JobOutcome> => {
  if (!type.gather) return fail('invalid_data', 'This job type does not gather the results of several jobs.')
  const [completed, failed] = await Promise.all([job.getChildrenValues<unknown>(), job.getIgnoredChildrenFailures()])
  const outcomes = new Map<number, ChildOutcome>()
  for (const [key, result] of Object.entries(completed)) outcomes.set(indexOf(key), { kind: 'completed', result })
  for (const [key, reason] of Object.entries(failed)) outcomes.set(indexOf(key), { kind: 'failed', code: decodeJobError(reason).code })
  const { data } = job.data
  const inOrder = (type.fanOut?.(data) ?? []).map((_, index) => outcomes.get(index) ?? removed)
  return done(type.gather(data, inOrder))
}

const removed: ChildOutcome = { kind: 'failed', code: 'removed' satisfies JobErrorCode }

const indexOf = (key: string): number => childIndex(idOfKey(key))
