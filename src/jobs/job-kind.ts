// Which types and queues a job is about, its own and those of its follow-ups: what grants are held against.

import type { JobKind } from '../auth/grants.js'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { JobTypes } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import type { JobEnvelope } from './envelope.js'

const none: readonly JobKind[] = []

const toPlain = (type: string, queue: string | undefined): JobKind => ({ type, queue, followUps: none })

/** Of a submission, by the types as they are registered now. */
export const toSubmissionKind = ({ type, followUps }: Pick<Submission, 'type' | 'followUps'>, jobTypes: JobTypes): JobKind => ({
  type,
  queue: jobTypes.find(type)?.queue,
  followUps: followUps?.map((each) => toPlain(each.type, jobTypes.find(each.type)?.queue)) ?? none,
})

/** Of a stored job. Those of an earlier version tell of their follow-ups in their ids alone. */
export const toEnvelopeKind = (id: string, type: string, envelope: Pick<JobEnvelope, 'followUpKinds' | 'followUps'>): JobKind => {
  const { followUps, followUpKinds = followUps?.map((each) => ({ type: each.type, queue: queueOfJobId(each.id) })) } = envelope
  return { type, queue: queueOfJobId(id), followUps: followUpKinds?.map((each) => toPlain(each.type, each.queue)) ?? none }
}
