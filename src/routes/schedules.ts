// Jobs that recur: put, list, read, delete a schedule, and run it by hand.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type TSchema, Type } from '@sinclair/typebox'
import type { FastifyReply } from 'fastify'
import { maySee, type Principal } from '../auth/grants.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { toExampleSchedule } from '../http/documents/submission-schemas.js'
import { toPageLinks } from '../http/headers/page-links.js'
import { requireGrants, setRetryAfter, toJobTrace, toSubmitProblem } from '../http/job-responses.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../http/problems/problem-schema.js'
import { createRequireTypes } from '../http/require-types.js'
import { JobRef, jsonResponse } from '../http/response-schemas.js'
import type { Acceptance } from '../jobs/accept.js'
import type { ScheduleDefinition } from '../schedules/checks.js'
import { previewMax, ScheduleId, ScheduleView, type ScheduleView as ScheduleViewType } from '../schedules/schema.js'
import { closed, headerCharsMax, Nullable } from '../types/schema-parts.js'
import { requireIdempotencyKey } from './submit.js'

export interface SchedulesOptions {
  readonly services: Pick<Services, 'catalog' | 'config' | 'jobTypes' | 'readSnapshot' | 'schedules' | 'views'>
  /** The `oneOf` over all job types with the members of a schedule; registered by the app. */
  readonly schedule: TSchema
}

const tags = ['schedules']
const Params = Type.Object({ id: ScheduleId }, closed)
const location = { Location: { type: 'string', description: 'URL of the schedule.' } } as const
const ScheduleRef = Type.Unsafe<ScheduleViewType>(Type.Ref(ScheduleView.$id as string))

const Preview = Type.Object(
  {
    preview: Type.Optional(
      Type.Integer({ minimum: 1, maximum: previewMax, description: 'Return the due times of this many upcoming runs as `nextRuns`.' }),
    ),
  },
  closed,
)

const ListQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of schedules per page.' }),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: '`next` from the previous page.' })),
  },
  closed,
)

/** The same answer for what does not exist and for what the caller may not see. */
const notFound = () => problem('not-found', 'There is no schedule with this ID.')

const address = (id: string): string => `/v1/schedules/${id}`

const schedules: FastifyPluginAsyncTypebox<SchedulesOptions> = async (app, { services, schedule }) => {
  const { config, jobTypes, readSnapshot, schedules: all, views } = services

  app.route({
    method: 'PUT',
    url: '/v1/schedules/:id',
    onRequest: requireScope('jobs:submit'),
    preValidation: createRequireTypes(services.catalog, jobTypes),
    config: {
      documentedExamples: Object.fromEntries(
        jobTypes.all
          .filter(({ registered }) => !registered)
          .map((type) => [type.name, { summary: type.description, value: toExampleSchedule(type) }]),
      ),
    },
    schema: {
      operationId: 'putSchedule',
      summary: 'Create or replace a schedule',
      description: [
        'A schedule submits the same job again and again: by `cron` in a `timezone`, or every `everyMs`. Every run is a separate job',
        'with this ID as its `scheduleId`. Putting an unchanged schedule has no effect; changing the timing starts it over.',
        'Local times that a clock change skips are due an hour later; those that occur twice are due once, unless the hour is `*`.',
        'After an outage, one run replaces all missed runs. While runs wait for more than a minute, further ones are skipped.',
        'If the data is no longer valid when a run is due, that run fails with `schedule_refused`.',
        'Replacing a schedule that another API key put also requires the `jobs:manage` scope.',
      ].join(' '),
      tags,
      params: Params,
      querystring: Preview,
      body: Type.Unsafe<ScheduleDefinition>(Type.Ref(schedule.$id as string)),
      response: {
        200: jsonResponse(ScheduleRef, 'The existing schedule is replaced.'),
        201: ((answer) => ({ ...answer, headers: { ...answer.headers, ...location } }))(
          jsonResponse(ScheduleRef, 'The schedule is created.'),
        ),
        409: problemResponse('The tenant has reached SCHEDULES_MAX.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { body, params, principal, query } = request
      requireGrants(request, body, jobTypes)
      const outcome = await all.put(principal, params.id, body, query.preview)
      switch (outcome.kind) {
        case 'invalid':
          throw toSubmitProblem(outcome)
        case 'hidden':
          throw notFound()
        case 'not-own':
          throw problem('forbidden', 'Another API key put the schedule with this ID. Replacing it requires the `jobs:manage` scope.')
        case 'full':
          throw problem('schedules-full', `The limit of ${config.schedules.max} schedules (SCHEDULES_MAX) has been reached.`)
      }
      request.log.info({ scheduleId: params.id, type: body.type, outcome: outcome.kind }, 'schedule put')
      if (outcome.kind === 'created') reply.code(201).header('location', address(params.id))
      return reply.send(outcome.view)
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/schedules',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'listSchedules',
      summary: 'List schedules',
      description: "The caller's schedules in the order of their IDs, including those that are over.",
      tags,
      querystring: ListQuery,
      response: {
        200: jsonResponse(
          Type.Object(
            {
              items: Type.Array(ScheduleRef),
              next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
            },
            { ...closed, description: 'A page of schedules.' },
          ),
          'A page of schedules.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { limit, cursor } = request.query
      const page = await all.list(request.principal, { limit, cursor })
      if (page.kind === 'cursor-invalid') throw problem('cursor-invalid', 'This cursor was not issued for this list, or it was modified.')
      reply.header('link', toPageLinks('/v1/schedules', request.query, page.next))
      return { items: page.items, next: page.next }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/schedules/:id',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'getSchedule',
      summary: 'Read a schedule',
      description: 'The schedule, its next due time and its latest run.',
      tags,
      params: Params,
      querystring: Preview,
      response: { 200: jsonResponse(ScheduleRef, 'The schedule.'), ...problemResponses },
    },
    handler: async (request) => {
      const found = await all.read(request.principal, request.params.id, request.query.preview)
      if (!found) throw notFound()
      return found
    },
  })

  app.route({
    method: 'DELETE',
    url: '/v1/schedules/:id',
    onRequest: requireScope('jobs:manage'),
    schema: {
      operationId: 'deleteSchedule',
      summary: 'Delete a schedule',
      description: 'No more runs are due. Jobs that were already submitted are not affected.',
      tags,
      params: Params,
      response: { 204: Type.Null({ description: 'The schedule is deleted.' }), ...problemResponses },
    },
    handler: async (request, reply) => {
      if (!(await all.remove(request.principal, request.params.id))) throw notFound()
      request.log.info({ scheduleId: request.params.id }, 'schedule deleted')
      return reply.code(204).send(null)
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/schedules/:id/trigger',
    onRequest: requireScope('jobs:submit'),
    schema: {
      operationId: 'triggerSchedule',
      summary: 'Trigger a schedule',
      description:
        'Submits one run now, in addition to the due ones. It does not count toward `limit`. Also works for a schedule that is over. Supports Idempotency-Key.',
      tags,
      params: Params,
      headers: Type.Object({
        'Idempotency-Key': Type.Optional(Type.String({ maxLength: headerCharsMax, description: 'Makes this request safe to retry.' })),
      }),
      response: {
        202: jsonResponse(JobRef, 'The job is accepted.', ['Location', 'Retry-After', 'Idempotent-Replayed']),
        409: problemResponse('The payload of the schedule no longer matches its job type.'),
        422: problemResponse('The Idempotency-Key was used for another request.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const key = requireIdempotencyKey(request, { ...config.idempotency, required: false })
      const outcome = await all.trigger(request.principal, request.params.id, { key, ...toJobTrace(request) })
      switch (outcome.kind) {
        case 'missing':
          throw notFound()
        case 'refused':
          throw problem('schedule-refused', 'The payload of the schedule no longer matches its job type.', { errors: outcome.errors })
        case 'accepted':
          return sendRun(request.principal, reply, outcome)
        default:
          throw toSubmitProblem(outcome)
      }
    },
  })

  /** A repeat shows the job as it is now: the schedule, which the first answer was made of, may have changed. */
  async function sendRun(caller: Principal, reply: FastifyReply, { acceptance, replayed }: { acceptance: Acceptance; replayed: boolean }) {
    const earlier = replayed ? await readSnapshot(acceptance.jobId) : null
    // The key was used when the schedule was one that the caller may not see.
    if (earlier && !maySee(caller, earlier.kind)) throw toSubmitProblem({ kind: 'reused' })
    const job = earlier?.view ?? views.ofAccepted(acceptance)
    if (replayed) reply.header('idempotent-replayed', 'true')
    setRetryAfter(reply, job)
    return reply.code(202).header('location', `/v1/jobs/${acceptance.jobId}`).send(job)
  }
}

export default schedules
