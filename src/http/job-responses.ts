// What answers about jobs have in common: guards, headers, problems.

import type { FastifyReply, FastifyRequest } from 'fastify'
import { findUngranted, isLimited } from '../auth/grants.js'
import type { AcceptOutcome } from '../jobs/accept.js'
import type { AcceptContext } from '../jobs/envelope.js'
import type { FindJob } from '../jobs/find-job.js'
import { toSubmissionKind } from '../jobs/job-kind.js'
import type { JobSnapshot } from '../jobs/snapshot.js'
import { formatTraceparent } from '../telemetry/trace-context.js'
import { finishedStates, type JobView } from '../types/job-schema.js'
import type { JobTypes } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import { problem } from './problems/problem-json.js'
import type {} from './trace-requests.js'

/** The flags of a trace that begins here and is recorded. */
const recorded = '01'
/** Seconds after which looking at an unfinished job again makes sense. */
const pollSeconds = 1

/** The same answer for what does not exist, what has been removed, and what the caller may not see. */
export const jobNotFound = () => problem('not-found', 'There is no job with this ID, or its retention is over.')

/** Throws 404 unless there is a job, as `findJob` tells. */
export const requireFound = (found: JobSnapshot | null): JobSnapshot => {
  if (!found) throw jobNotFound()
  return found
}

/** Gives the job of an id in the address; throws 404 unless it exists, belongs to the caller's tenant and is covered by its grants. */
export const createRequireJob =
  (findJob: FindJob) =>
  async (request: FastifyRequest, id: string): Promise<JobSnapshot> =>
    requireFound(await findJob(request.principal, id))

/** Tells an unfinished job's follower when to look again. */
export const setRetryAfter = (reply: FastifyReply, job: JobView): void => {
  if (!finishedStates.has(job.state)) reply.header('retry-after', String(pollSeconds))
}

/** The problem of a submission that was not accepted. */
export const toSubmitProblem = (outcome: Exclude<AcceptOutcome, { kind: 'accepted' }>) => {
  switch (outcome.kind) {
    case 'reused':
      return problem(
        'idempotency-key-reused',
        'This Idempotency-Key was already used with another payload. Use a new key, or repeat the payload exactly.',
      )
    case 'full':
      return problem('queue-full', 'The queue has reached QUEUE_MAX_DEPTH. Nothing was stored; you can retry with the same key.', {
        retryAfterSeconds: 5,
      })
    case 'invalid': {
      const { errors } = outcome
      const detail = errors.length === 1 ? 'The body has one error; see `errors`.' : `The body has ${errors.length} errors; see \`errors\`.`
      return problem('validation-failed', detail, { errors })
    }
  }
}

/** Throws 403 when the key may not submit this job type or one of its follow-ups. */
export const requireGrants = ({ principal }: FastifyRequest, submission: Submission, jobTypes: JobTypes): void => {
  if (!isLimited(principal)) return
  const type = findUngranted(principal, toSubmissionKind(submission, jobTypes))
  if (type !== null) throw problem('forbidden', `This API key has no grant for the job type \`${type}\`.`)
}

/**
 * The trace that a job carries on: that of its caller, or the one that is recorded here.
 * A request without either leaves nothing to store, its correlationId is enough.
 */
export const toJobTrace = (request: FastifyRequest): Pick<AcceptContext, 'trace'> => {
  if (request.headers['traceparent'] === undefined && request.span === undefined) return {}
  const context = request.traceContext
  if (context.parentSpanId === null && context.flags !== recorded) return {}
  return { trace: { traceparent: formatTraceparent(context), ...(context.traceState === null ? {} : { tracestate: context.traceState }) } }
}
