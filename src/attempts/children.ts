// The attempt of a parent: its children did the work, it only gathers how they ended.

import { childIndex, idOfKey } from '../bullmq/job-id.js'
import { readChildren } from '../bullmq/job-record.js'
import { decodeJobError } from '../bullmq/stored-job-error.js'
import type { RedisClient } from '../redis/connect.js'
import { type ChildOutcome, done, fail, type JobOutcome, type JobType } from '../types/definition.js'
import type { JobErrorCode } from '../types/job-errors.js'
import type { HandedOutJob } from './attempt.js'

/** Completes the parent of a fan-out with the gathered result; it never fails because a child did. A child that an operator removed has failed. */
export const gatherChildren = async (redis: RedisClient, { key, envelope }: HandedOutJob, type: JobType): Promise<JobOutcome> => {
  if (!type.gather) return fail('invalid_data', 'This job type does not combine the results of several jobs.')
  const { completed, failed } = await readChildren(redis, key)
  const outcomes = new Map<number, ChildOutcome>()
  for (const [child, result] of Object.entries(completed)) outcomes.set(indexOf(child), { kind: 'completed', result: JSON.parse(result) })
  for (const [child, reason] of Object.entries(failed)) outcomes.set(indexOf(child), { kind: 'failed', code: decodeJobError(reason).code })
  const { data } = envelope
  const inOrder = (type.fanOut?.(data) ?? []).map((_, index) => outcomes.get(index) ?? removed)
  return done(type.gather(data, inOrder))
}

const removed: ChildOutcome = { kind: 'failed', code: 'removed' satisfies JobErrorCode }

const indexOf = (key: string): number => childIndex(idOfKey(key))
