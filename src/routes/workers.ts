// Programs that lease jobs: who is there, and telling one to stop.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyRequest } from 'fastify'
import { isLimited, maySee } from '../auth/grants.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponses } from '../http/problems/problem-schema.js'
import { jsonResponse } from '../http/response-schemas.js'
import { RemoteWorker } from '../leases/schema.js'
import { toIsoTime } from '../runtime/iso-time.js'
import { closed, Nullable, paramCharsMax } from '../types/schema-parts.js'

export interface WorkersOptions {
  readonly services: Pick<Services, 'audit' | 'jobTypes' | 'leases'>
}

const listedMax = 1000

const workers: FastifyPluginAsyncTypebox<WorkersOptions> = async (app, { services }) => {
  const { audit, jobTypes, leases } = services

  /** Those of its types that the caller may see. */
  const visible = ({ principal }: FastifyRequest, types: readonly string[]): string[] =>
    types.filter((type) => maySee(principal, { type, queue: jobTypes.find(type)?.queue, followUps: [] }))

  app.route({
    method: 'GET',
    url: '/v1/workers',
    onRequest: requireScope('work'),
    schema: {
      operationId: 'listWorkers',
      summary: 'List workers',
      description: `The programs of the caller's tenant that leased jobs or sent heartbeats within the last 90 s, the latest first; at most ${listedMax}.`,
      tags: ['workers'],
      response: {
        200: jsonResponse(
          Type.Object(
            { items: Type.Array(Type.Ref(RemoteWorker.$id as string)), next: Nullable(Type.String()) },
            { ...closed, description: 'Workers.' },
          ),
          'Workers.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const { principal } = request
      const isMeant = ({ tenant, types }: { tenant: string; types: readonly string[] }) =>
        tenant === principal.tenant && (!isLimited(principal) || visible(request, types).length > 0)
      const found = await leases.workers.list(listedMax, isMeant)
      const items = found.map(({ name, types, leases: held, isDrained, lastSeenAt, version }) => ({
        worker: name,
        types: visible(request, types),
        leases: held,
        order: isDrained ? (held > 0 ? 'drain' : 'stop') : 'run',
        lastSeenAt: toIsoTime(lastSeenAt),
        version,
      }))
      return { items, next: null } as never
    },
  })

  app.route({
    method: 'POST',
    url: '/v1/workers/:worker/drain',
    onRequest: requireScope('admin'),
    schema: {
      operationId: 'drainWorker',
      summary: 'Drain a worker',
      description: [
        'No more jobs are leased to the worker. Its next heartbeat tells it to drain, and to stop once it holds nothing. Within a minute after that,',
        'a program of the same name starts afresh.',
      ].join(' '),
      tags: ['workers'],
      params: Type.Object({ worker: Type.String({ maxLength: paramCharsMax, description: 'Name of the worker.' }) }),
      response: {
        202: jsonResponse(
          Type.Object({ worker: Type.String(), order: Type.String() }, { ...closed, description: 'What the worker is told.' }),
          'The worker is told with its next heartbeat.',
        ),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { principal, params } = request
      const worker = { tenant: principal.tenant, name: params.worker }
      if (!(await leases.workers.isKnown(worker))) throw problem('not-found', 'There is no worker with this name.')
      await leases.workers.drain(worker)
      await audit.note({ by: principal.keyId, act: 'worker.drained', queue: null, details: { worker: params.worker } })
      return reply.code(202).send({ worker: params.worker, order: 'drain' })
    },
  })
}

export default workers
