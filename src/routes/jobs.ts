// Reading jobs: one, many, their logs and children.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { matchesEtag } from '../http/headers/etag.js'
import { toPageLinks } from '../http/headers/page-links.js'
import { addVary, applyPreference } from '../http/headers/prefer.js'
import { createRequireJob, requireFound, setRetryAfter } from '../http/job-responses.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponses } from '../http/problems/problem-schema.js'
import { JobParams, JobRef, jsonResponse } from '../http/response-schemas.js'
import type { JobSnapshot } from '../jobs/snapshot.js'
import { CorrelationId, finishedStates, JobState, UserId } from '../types/job-schema.js'
import { QueueNameText } from '../types/queue-name.js'
import { closed, headerCharsMax, Nullable } from '../types/schema-parts.js'

export interface JobsOptions {
  readonly services: Pick<Services, 'awaitFinish' | 'control' | 'findJob' | 'list' | 'readSnapshot'>
}

/** More than any wait that is granted. */
const waitDigitsMax = 32

const ListQuery = Type.Object(
  {
    state: Type.Optional(Type.Ref(JobState.$id as string) as typeof JobState),
    type: Type.Optional(Type.String({ maxLength: 64, description: 'Name of a job type.' })),
    queue: Type.Optional(QueueNameText()),
    correlationId: Type.Optional(CorrelationId),
    userId: Type.Optional(UserId),
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of jobs per page.' }),
    cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: '`next` from the previous page.' })),
  },
  closed,
)

/** For lists that only grow at their end: the cursor is an offset. */
const OffsetQuery = Type.Object(
  {
    limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of entries per page.' }),
    cursor: Type.Optional(Type.String({ pattern: '^\\d{1,6}$', maxLength: 6, description: '`next` from the previous page.' })),
  },
  closed,
)

const jobs: FastifyPluginAsyncTypebox<JobsOptions> = async (app, { services }) => {
  const { awaitFinish, control, findJob, list, readSnapshot } = services
  const requireJob = createRequireJob(findJob)

  app.route({
    method: 'GET',
    url: '/v1/jobs',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'listJobs',
      summary: 'List jobs',
      description:
        "The caller's jobs, newest first, in an order that does not change while jobs progress. A page can be short and still have a next one, because rare matches are searched for step by step.",
      tags: ['jobs'],
      querystring: ListQuery,
      response: {
        200: jsonResponse(
          Type.Object(
            { items: Type.Array(JobRef), next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }) },
            { ...closed, description: 'A page of jobs.' },
          ),
          'A page of jobs.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { limit, cursor, ...filters } = request.query
      const page = await list(request.principal, filters, { limit, cursor })
      if (page.kind === 'cursor-invalid') throw problem('cursor-invalid', 'This cursor was not issued for this list, or it was modified.')
      reply.header('link', toPageLinks('/v1/jobs', request.query, page.next))
      return { items: page.items, next: page.next }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'getJob',
      summary: 'Read a job',
      description:
        'Returns the job in its current state. With `waitMs` or `Prefer: wait=N`, the response is sent when the job finishes or the time is up. Use `If-None-Match` to skip unchanged jobs.',
      tags: ['jobs'],
      params: JobParams,
      querystring: Type.Object(
        {
          waitMs: Type.Optional(
            Type.String({
              pattern: '^\\d+$',
              maxLength: waitDigitsMax,
              description: 'Maximum time to wait, in milliseconds. Takes precedence over Prefer.',
            }),
          ),
        },
        closed,
      ),
      headers: Type.Object({
        Prefer: Type.Optional(Type.String({ maxLength: headerCharsMax, description: '`wait=30` waits up to 30 s.' })),
        'If-None-Match': Type.Optional(Type.String({ maxLength: headerCharsMax, description: 'ETags you already have; `*` matches any.' })),
      }),
      response: {
        200: jsonResponse(JobRef, 'The job.', ['ETag', 'Retry-After', 'Preference-Applied']),
        304: Type.Null({ description: 'Not modified.' }),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const asked = request.query.waitMs === undefined ? request.preferences.waitMs : Number(request.query.waitMs)
      const wait = request.grantWait(reply, asked)
      let found: JobSnapshot | null
      try {
        // Nobody waits for what they may not see.
        found = await requireJob(request, id)
        if (wait && !finishedStates.has(found.view.state)) {
          found = await awaitFinish(id, wait.waitMs, wait.signal)
          const ended = wait.keyProblem()
          if (ended) throw ended
        }
      } finally {
        wait?.end()
      }
      applyPreference(reply, wait && request.query.waitMs === undefined ? wait : null)
      return sendJob(request, reply, requireFound(found))
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/logs',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'getJobLogs',
      summary: "Read a job's log",
      description: 'What the handler logged, oldest line first.',
      tags: ['jobs'],
      params: JobParams,
      querystring: OffsetQuery,
      response: {
        200: jsonResponse(
          Type.Object({ items: Type.Array(Type.String()), next: Nullable(Type.String()) }, { ...closed, description: 'A page of lines.' }),
          'A page of lines.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const { id, queue } = (await requireJob(request, request.params.id)).view
      const start = Number(request.query.cursor ?? 0)
      const end = start + request.query.limit
      const { logs, count } = await control.logs(queue, id, start, end - 1)
      return { items: logs, next: end < count ? String(end) : null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/children',
    onRequest: requireScope('jobs:read'),
    schema: {
      operationId: 'getJobChildren',
      summary: 'List the children of a job',
      description:
        'The jobs that a job waits for. A submission to several recipients creates one job per recipient; this lists them in the order of the recipients.',
      tags: ['jobs'],
      params: JobParams,
      querystring: OffsetQuery,
      response: {
        200: jsonResponse(
          Type.Object({ items: Type.Array(JobRef), next: Nullable(Type.String()) }, { ...closed, description: 'A page of jobs.' }),
          'A page of jobs.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const { id, queue } = (await requireJob(request, request.params.id)).view
      const ids = await control.children(queue, id)
      const start = Number(request.query.cursor ?? 0)
      const end = start + request.query.limit
      const found = await Promise.all(ids.slice(start, end).map((child) => readSnapshot(child)))
      return { items: found.filter((each) => each !== null).map(({ view }) => view), next: end < ids.length ? String(end) : null }
    },
  })
}

/** Answers with a job, or with 304 when the client knows it already. */
const sendJob = (request: FastifyRequest, reply: FastifyReply, { view, document }: JobSnapshot) => {
  const { body, etag } = document()
  addVary(reply, 'Authorization')
  reply.header('etag', etag).header('cache-control', 'private, no-cache')
  setRetryAfter(reply, view)
  if (matchesEtag(request.headers['if-none-match'], etag)) return reply.code(304).send()
  return reply.type('application/json; charset=utf-8').send(body)
}

export default jobs
