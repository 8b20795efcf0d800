// GET /v1/jobs/{id}/events: a job's changes as Server-Sent Events.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { createRequireJob } from '../http/job-responses.js'
import { createTenantCap } from '../http/limits/tenant-cap.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponses } from '../http/problems/problem-schema.js'
import { JobParams } from '../http/response-schemas.js'
import { requireEventStream } from '../http/sse.js'
import { finishedStates } from '../types/job-schema.js'
import { closed, headerCharsMax } from '../types/schema-parts.js'

export interface JobEventsOptions {
  readonly services: Pick<Services, 'config' | 'eventStreams' | 'findJob' | 'metrics'>
}

const lastEventIdDescription = 'Resume after this event. An EventSource sends this when it reconnects.'

const jobEvents: FastifyPluginAsyncTypebox<JobEventsOptions> = async (app, { services }) => {
  const { config, eventStreams, findJob, metrics } = services
  const requireJob = createRequireJob(findJob)
  const streams = createTenantCap(config.http.maxStreams)
  metrics.onRender(() => {
    metrics.eventStreams.set(streams.total())
  })

  app.route({
    method: 'GET',
    url: '/v1/jobs/:id/events',
    onRequest: requireScope('jobs:read'),
    preHandler: requireEventStream,
    schema: {
      operationId: 'followJob',
      summary: "Follow a job's events",
      description: [
        'Server-Sent Events `waiting`, `active`, `progress` and `retrying`, and finally `completed`, `failed` or `cancelled`, which contains the entire job and closes the stream.',
        'The first event reports the current state. `Last-Event-ID` resumes a stream. If the job has finished and you have received its last event, the response is 204.',
        'If the API key is revoked, expires or loses a right, the stream ends within 5 s with the event `unauthorized`, whose data is a problem document.',
      ].join(' '),
      tags: ['jobs'],
      params: JobParams,
      querystring: Type.Object({}, closed),
      headers: Type.Object({
        'Last-Event-ID': Type.Optional(Type.String({ maxLength: headerCharsMax, description: lastEventIdDescription })),
      }),
      response: {
        200: {
          description: 'The stream of events.',
          content: { 'text/event-stream': { schema: Type.String({ description: 'Events in the WHATWG event stream format.' }) } },
        },
        204: Type.Null({ description: 'The job has finished and you have received its last event.' }),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const { state } = (await requireJob(request, id)).view
      const lastEventId = request.headers['last-event-id'] as string | undefined
      if (lastEventId !== undefined && finishedStates.has(state) && (await eventStreams.isOver(id, lastEventId))) {
        return reply.code(204).send(null)
      }
      const leave = streams.enter(request.principal.tenant)
      if (!leave) {
        throw problem(
          'overloaded',
          `Your tenant has reached the limit of ${config.http.maxStreams} event streams on this instance. Poll instead, or try again later.`,
          {
            retryAfterSeconds: 5,
          },
        )
      }
      const held = request.holdKey()
      return reply.sse(
        async function* (signal) {
          try {
            yield* eventStreams.open(id, lastEventId, signal)
          } finally {
            held.release()
            leave()
          }
        },
        { signal: held.signal },
      )
    },
  })
}

export default jobEvents
