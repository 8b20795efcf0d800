// GET /v1/job-types: the job types as clients see them.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { type Static, Type } from '@sinclair/typebox'
import { maySee } from '../auth/grants.js'
import type { Services } from '../gateway.js'
import { requireScope } from '../http/authenticate.js'
import { problem } from '../http/problems/problem-json.js'
import { problemResponses } from '../http/problems/problem-schema.js'
import { jsonResponse } from '../http/response-schemas.js'
import type { JobType } from '../types/definition.js'
import { JobPriority } from '../types/job-schema.js'
import { QueueNameText } from '../types/queue-name.js'
import { closed, Nullable, paramCharsMax, StringEnum } from '../types/schema-parts.js'

export interface JobTypesOptions {
  readonly services: Pick<Services, 'jobTypes' | 'config' | 'leases' | 'workerInstances'>
}

export const JobTypeView = Type.Object(
  {
    type: Type.String({ description: 'Name, as in a submission.' }),
    queue: QueueNameText(),
    description: Type.String(),
    available: Type.Boolean({
      description:
        'Whether a worker that is configured for it, or for some of its jobs, is running now. Submissions are accepted either way.',
    }),
    requires: Type.Array(Type.String(), { description: 'Integrations that a worker needs.' }),
    requiresOneOf: Type.Array(Type.String(), { description: 'Integrations of which a worker needs the one that the data names.' }),
    defaults: Type.Object(
      {
        attempts: Type.Integer(),
        backoff: Type.Object({ type: StringEnum(['fixed', 'exponential']), delayMs: Type.Integer() }, closed),
        priority: JobPriority,
        timeoutMs: Type.Integer(),
      },
      { ...closed, description: 'Defaults for submissions.' },
    ),
    dataSchema: Type.Any({ description: 'JSON Schema of `data`.' }),
    resultSchema: Type.Any({ description: 'JSON Schema of `result`.' }),
    example: Type.Any({ description: 'A ready-to-send body for POST /v1/jobs.' }),
  },
  { $id: 'JobType', ...closed, description: 'A job type.' },
)
const JobTypeRef = Type.Unsafe<Static<typeof JobTypeView>>(Type.Ref('JobType'))

const jobTypes: FastifyPluginAsyncTypebox<JobTypesOptions> = async (app, { services }) => {
  const { jobTypes, config, leases, workerInstances } = services
  app.addHook('onRequest', requireScope('jobs:read'))

  const readAvailable = async (): Promise<ReadonlySet<string>> => {
    const [instances, remote] = await Promise.all([workerInstances(), leases.workers.present()])
    return new Set([...instances, ...remote].flatMap(({ types }) => types))
  }

  const toView = (type: JobType, available: ReadonlySet<string>): Static<typeof JobTypeView> => ({
    type: type.name,
    queue: type.queue,
    description: type.description,
    available: available.has(type.name),
    requires: [...type.requires],
    requiresOneOf: [...(type.requiresOneOf ?? [])],
    defaults: {
      attempts: type.defaults.attempts ?? config.queues.defaultAttempts,
      backoff: type.defaults.backoff ?? { type: 'exponential', delayMs: config.queues.defaultBackoffMs },
      priority: type.defaults.priority,
      timeoutMs: type.defaults.timeoutMs,
    },
    dataSchema: type.data,
    resultSchema: type.result,
    example: { type: type.name, data: type.example },
  })

  app.route({
    method: 'GET',
    url: '/v1/job-types',
    schema: {
      operationId: 'listJobTypes',
      summary: 'List job types',
      description: 'All job types that this gateway accepts, with schemas, defaults and an example.',
      tags: ['catalog'],
      response: {
        200: jsonResponse(Type.Object({ items: Type.Array(JobTypeRef), next: Nullable(Type.String()) }, closed), 'All job types.'),
        ...problemResponses,
      },
    },
    handler: async (request) => {
      const available = await readAvailable()
      const visible = jobTypes.all.filter(({ name, queue }) => maySee(request.principal, { type: name, queue, followUps: [] }))
      return { items: visible.map((type) => toView(type, available)), next: null }
    },
  })

  app.route({
    method: 'GET',
    url: '/v1/job-types/:type',
    schema: {
      operationId: 'getJobType',
      summary: 'Read a job type',
      description: "The job type's schemas, defaults and example, and whether a worker can run it now.",
      tags: ['catalog'],
      params: Type.Object({ type: Type.String({ maxLength: paramCharsMax, description: 'Name of the job type.' }) }),
      response: { 200: jsonResponse(JobTypeRef, 'The job type.'), ...problemResponses },
    },
    handler: async (request) => {
      const type = jobTypes.find(request.params.type)
      if (!type || !maySee(request.principal, { type: type.name, queue: type.queue, followUps: [] })) {
        throw problem('not-found', 'There is no job type with this name.')
      }
      return toView(type, await readAvailable())
    },
  })
}

export default jobTypes
