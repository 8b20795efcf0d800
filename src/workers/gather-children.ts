// The attempt of a parent: its children did the work, it only gathers how they ended.

import type { Job } from 'bullmq'
import { type ChildOutcome, done, fail, type JobOutcome, type JobType } from '../job-type.js'
import type { JobEnvelope } from '../queues/job-envelope.js'
import { decodeJobError } from '../queues/job-error.js'
import { childIndex } from '../queues/job-id.js'
import { idOfKey } from '../queues/job-view.js'

/** Completes the parent of a fan-out with the gathered result; it never fails because a child did. */
export const gatherChildren = async (job: Job<JobEnvelope>, type: JobType): Promise<JobOutcome> => {
  if (!type.gather) return fail('invalid_data', 'This job type does not gather the results of several jobs.')
  const [completed, failed] = await Promise.all([job.getChildrenValues<unknown>(), job.getIgnoredChildrenFailures()])
  const outcomes: [index: number, outcome: ChildOutcome][] = [
    ...Object.entries(completed).map(([key, result]): [number, ChildOutcome] => [indexOf(key), { kind: 'completed', result }]),
    ...Object.entries(failed).map(([key, reason]): [number, ChildOutcome] => [
      indexOf(key),
      { kind: 'failed', code: decodeJobError(reason).code },
    ]),
  ]
  outcomes.sort(([a], [b]) => a - b)
  return done(
    type.gather(
      job.data.data,
      outcomes.map(([, outcome]) => outcome),
    ),
  )
}

const indexOf = (key: string): number => childIndex(idOfKey(key))
