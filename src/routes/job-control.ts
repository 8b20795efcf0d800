// Controlling jobs: cancel, retry, promote.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { type JobKind, maySee } from '../auth/grants.js'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { RetryOutcome } from '../bullmq/scripts/control-scripts.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { createRequireJob, jobNotFound, setRetryAfter } from '../http/job-responses.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { JobParams, JobRef, jsonResponse } from '../http/response-schemas.js'
import { toClaim } from '../idempotency/claim.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import { toRetriedView } from '../jobs/view.js'
import type { JobView } from '../types/job-schema.js'
import { headerCharsMax } from '../types/schema-parts.js'
import { requireIdempotencyKey } from './submit.js'

export interface JobControlOptions {
  readonly services: Pick<Services, 'config' | 'control' | 'findJob'>
}

const jobControl: FastifyPluginAsyncTypebox<JobControlOptions> = async (app, { services }) => {
  const { config, control, findJob } = services
  const requireJob = createRequireJob(findJob)

  app.route({
    method: 'DELETE',
    url: '/v1/jobs/:id',
    onRequest: requireScope('jobs:manage'),
    schema: {
      operationId: 'cancelJob',
      summary: 'Cancel a job',
      description:
        'Returns 200 for a job that has not started; it never will. Returns 202 for a running job, on any instance: its handler is told to stop, and the job ends as `cancelled` without a retry.',
      tags: ['jobs'],
      params: JobParams,
      response: {
        200: jsonResponse(JobRef, 'The job is cancelled.'),
        202: jsonResponse(JobRef, 'The job is running and will stop.', ['Retry-After']),
        409: problemResponse('The job has already finished.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id, queue, correlationId } = (await requireJob(request, request.params.id)).view
      const outcome = await control.cancel(queue, id)
      if (outcome === 'missing') throw jobNotFound()
      if (outcome === 'finished') throw problem('job-finished', 'The job finished before it could be cancelled.')
      request.log.info({ jobId: id, correlationId, outcome }, 'job cancelled')
      const job = (await requireJob(request, id)).view
      setRetryAfter(reply, job)
      return reply.code(outcome === 'cancelled' ? 200 : 202).send(job)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/retry',
    onRequest: requireScope('jobs:manage'),
    schema: {
      operationId: 'retryJob',
      summary: 'Retry a failed job',
      description: 'Runs the job again under its ID, with all its attempts. Age limits do not apply. Supports Idempotency-Key.',
      tags: ['jobs'],
      params: JobParams,
      headers: Type.Object({
        'Idempotency-Key': Type.Optional(Type.String({ maxLength: headerCharsMax, description: 'Makes this request safe to retry.' })),
      }),
      response: {
        202: jsonResponse(JobRef, 'The job is waiting to run again.', ['Location', 'Retry-After', 'Idempotent-Replayed']),
        409: problemResponse('The job has not failed.'),
        422: problemResponse('The Idempotency-Key was used for another request.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const key = requireIdempotencyKey(request, { ...config.idempotency, required: false })
      const claim = key === null ? null : toRetryClaim(request, id, key)
      const earlier = claim && (await control.earlierRetry(id, claim))
      if (earlier) return sendRetried(request, reply, id, earlier)
      const { view, kind } = await requireJob(request, id)
      const answer = JSON.stringify({ kind, view: toRetriedView(view) } satisfies RetryAnswer)
      const outcome = await control.retry(view.queue, id, claim ? { ...claim, answer } : undefined)
      return sendRetried(request, reply, id, outcome.kind === 'retried' ? { ...outcome, answer } : outcome)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/jobs/:id/promote',
    onRequest: requireScope('jobs:manage'),
    schema: {
      operationId: 'promoteJob',
      summary: 'Promote a delayed job',
      description: 'Runs a delayed job now instead of at its due time.',
      tags: ['jobs'],
      params: JobParams,
      response: {
        202: jsonResponse(JobRef, 'The job is waiting for a worker.', ['Location', 'Retry-After']),
        409: problemResponse('The job is not delayed.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id, queue } = (await requireJob(request, request.params.id)).view
      const outcome = await control.promote(queue, id)
      if (outcome === 'missing') throw jobNotFound()
      if (outcome === 'conflict') throw problem('job-state-conflict', 'Only a delayed job can be promoted.')
      const job = (await requireJob(request, id)).view
      setRetryAfter(reply, job)
      return reply.code(202).header('location', `/v1/jobs/${id}`).send(job)
    },
  })

  const toRetryClaim = (request: FastifyRequest, id: string, key: string) => ({
    ...toClaim(request.principal.tenant, { key, space: 'key', fingerprint: fingerprint(`retry ${id}`, null) }, null),
    ttlMs: config.queues.idempotencyTtlMs,
  })
}

/** The job as the first answer shows it, and what the grants of those who get it again are held against. */
interface RetryAnswer {
  readonly kind: JobKind
  readonly view: JobView
}

/** `answer` is a RetryAnswer as JSON. */
type Answered = Exclude<RetryOutcome, { kind: 'retried' }> | { readonly kind: 'retried'; readonly answer: string }

/** An earlier version stored the view alone. It names follow-ups by their ids: no key that is limited to some types may see those. */
const toRetryAnswer = (answer: string): RetryAnswer => {
  const stored = JSON.parse(answer) as RetryAnswer | JobView
  if ('kind' in stored) return stored
  const followUps = stored.followUps?.map((id): JobKind => ({ type: '', queue: queueOfJobId(id), followUps: [] })) ?? []
  return { kind: { type: stored.type, queue: stored.queue, followUps }, view: stored }
}

/** Answers a retry. A replay says what the first answer said, to those who may still see the job, also once that is gone. */
const sendRetried = (request: FastifyRequest, reply: FastifyReply, id: string, outcome: Answered) => {
  switch (outcome.kind) {
    case 'missing':
      throw jobNotFound()
    case 'conflict':
      throw problem('job-state-conflict', 'Only a failed or cancelled job can be retried.')
    case 'reused':
      throw problem('idempotency-key-reused', 'This Idempotency-Key was already used with another request.')
    default: {
      const { kind, view } = toRetryAnswer(outcome.answer)
      if (!maySee(request.principal, kind)) throw jobNotFound()
      if (outcome.kind === 'replayed') reply.header('idempotent-replayed', 'true')
      setRetryAfter(reply, view)
      return reply.code(202).header('location', `/v1/jobs/${id}`).send(view)
    }
  }
}

export default jobControl
