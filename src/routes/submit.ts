// POST /v1/jobs: one route for every job type.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { toExampleSubmission } from '../http/documents/submission-schemas.js'
import { applyPreference } from '../http/headers/prefer.js'
import { requireGrants, setRetryAfter, toJobTrace, toSubmitProblem } from '../http/job-responses.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { createRequireTypes } from '../http/require-types.js'
import { JobRef, jsonResponse } from '../http/response-schemas.js'
import { type IdempotencyKey, parseIdempotencyKey } from '../idempotency/key.js'
import type { AcceptOutcome } from '../jobs/accept.js'
import { finishedStates, type JobView } from '../types/job-schema.js'
import { headerCharsMax } from '../types/schema-parts.js'
import type { Submission } from '../types/submission.js'

export interface SubmitOptions {
  readonly services: Pick<Services, 'accept' | 'awaitFinish' | 'catalog' | 'config' | 'jobTypes' | 'views'>
  /** The `oneOf` over all job types; registered by the app. */
  readonly submission: TSchema
}

const Headers = Type.Object({
  'Idempotency-Key': Type.Optional(
    Type.String({
      maxLength: headerCharsMax,
      // In the text, since Swagger UI would send an example along with every body.
      description:
        'Makes this request safe to retry: you get the same job and the same response. For example `"8e03978e-40d5-43dd-bc93-6894a57f9324"`.',
    }),
  ),
  Prefer: Type.Optional(
    Type.String({ maxLength: headerCharsMax, description: '`wait=30` returns the finished job if it finishes within 30 s.' }),
  ),
})

/** The key of a request, or the problem that it lacks or garbles one. */
export const requireIdempotencyKey = (request: FastifyRequest, { required, strict }: { required: boolean; strict: boolean }) => {
  const parsed: IdempotencyKey = parseIdempotencyKey(request.headers['idempotency-key'], request.raw.rawHeaders, strict)
  if (parsed.kind === 'invalid') throw problem('idempotency-key-invalid', parsed.detail)
  if (parsed.kind === 'given') return parsed.key
  if (required) {
    throw problem('idempotency-key-missing', 'This gateway only accepts jobs with an Idempotency-Key.', {
      headers: { link: '</problems/idempotency-key-missing>; rel="describedby"' },
    })
  }
  return null
}

const submit: FastifyPluginAsyncTypebox<SubmitOptions> = async (app, { services, submission }) => {
  const { awaitFinish, jobTypes, config } = services
  const counts = app.submissionCounts

  app.route({
    method: 'POST',
    url: '/v1/jobs',
    onRequest: requireScope('jobs:submit'),
    preValidation: createRequireTypes(services.catalog, jobTypes),
    config: {
      sheddable: true,
      documentedExamples: Object.fromEntries(
        jobTypes.all
          .filter(({ registered }) => !registered)
          .map((type) => [type.name, { summary: type.description, value: toExampleSubmission(type) }]),
      ),
    },
    schema: {
      operationId: 'submitJob',
      summary: 'Submit a job',
      description: [
        'Stores one job and returns 202 once it is safely in the queue. `type` determines its `data`.',
        `With an Idempotency-Key, you can retry the request for ${config.queues.idempotencyTtlMs / 3_600_000} h and get the same job and the same response.`,
        'Bodies are compared by the SHA-256 of their canonical JSON, so white space and member order do not matter. Another body with the same key is refused with 422.',
        '`followUps` lists up to 10 jobs that are submitted, each once, when this one completes; `resultInto` copies parts of its',
        'result into their data. The response contains their IDs. If one is not valid with the result in it, none is submitted and this job',
        'fails with `follow_up_refused`.',
      ].join(' '),
      tags: ['jobs'],
      headers: Headers,
      body: Type.Unsafe<Submission>(Type.Ref(submission.$id as string)),
      response: {
        200: jsonResponse(JobRef, 'The job has finished; only with `Prefer: wait`.', ['Location', 'Preference-Applied']),
        202: jsonResponse(JobRef, 'The job is accepted.', ['Location', 'Retry-After', 'Idempotent-Replayed', 'Preference-Applied']),
        422: problemResponse('The Idempotency-Key was used for another payload.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { body } = request
      requireGrants(request, body, jobTypes)
      const key = requireIdempotencyKey(request, config.idempotency)
      let outcome: AcceptOutcome
      counts.inFlight++
      counts.begun++
      try {
        outcome = await services.accept(body, {
          tenant: request.principal.tenant,
          ...(key === null ? {} : { key: { key, space: 'key' as const } }),
          ...toJobTrace(request),
        })
      } finally {
        counts.inFlight--
      }
      if (outcome.kind !== 'accepted') throw toSubmitProblem(outcome)
      const { acceptance, replayed } = outcome
      const view = services.views.ofAccepted(acceptance)
      request.log.debug({ jobId: view.id, correlationId: view.correlationId, type: view.type, replayed }, 'job accepted')
      reply.header('location', `/v1/jobs/${view.id}`)
      const finished = replayed ? null : await finishedInTime(request, reply, view)
      if (replayed) reply.header('idempotent-replayed', 'true')
      const answer = finished ?? view
      if (!finished) setRetryAfter(reply, view)
      return reply.code(finished ? 200 : 202).send(answer)
    },
  })

  /** Follows `Prefer`. Accepted is accepted: whatever goes wrong while waiting ends in 202. */
  async function finishedInTime(request: FastifyRequest, reply: FastifyReply, view: JobView): Promise<JobView | null> {
    const { waitMs, respondAsync } = request.preferences
    const wait = request.grantWait(reply, waitMs)
    if (!wait) {
      if (respondAsync) applyPreference(reply, 'respond-async')
      return null
    }
    applyPreference(reply, wait)
    try {
      const found = await awaitFinish(view.id, wait.waitMs, wait.signal)
      // What became of the job is for those alone whose key still holds.
      return found && finishedStates.has(found.view.state) && !wait.keyProblem() ? found.view : null
    } catch (error) {
      const { id, correlationId } = view
      request.log.warn({ jobId: id, correlationId, error: (error as Error).message }, 'waiting for an accepted job failed')
      return null
    } finally {
      wait.end()
    }
  }
}

export default submit
