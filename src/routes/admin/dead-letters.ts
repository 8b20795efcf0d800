// Operators list dead letters, redrive them or purge them.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { KnownQueues } from '../../bullmq/queues.js'
import { requireScope } from '../../http/authenticate.js'
import { operationResponses, sendOperation } from '../../http/documents/operation-responses.js'
import { problem } from '../../http/problems/problem-json.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import type { DeadLetterFilter, ListDeadLetters } from '../../operations/dead-letters.js'
import { Count, operatorTags, QueueParams } from '../../operations/queue-schema.js'
import type { OperationRequest } from '../../operations/records.js'
import type { Operations } from '../../operations/runner.js'
import { DryRunQuery } from '../../operations/schema.js'
import { type JobError, JobId } from '../../types/job-schema.js'
import { closed, Nullable, Time } from '../../types/schema-parts.js'

export interface AdminDeadLettersOptions {
  readonly operations: Operations
  readonly list: ListDeadLetters
  readonly queues: KnownQueues
}

const filterMembers = {
  type: Type.Optional(Type.String({ pattern: '^[a-z0-9-]{1,64}$', maxLength: 64, description: 'Name of a job type.' })),
  code: Type.Optional(
    Type.String({ pattern: '^[a-z0-9_.]{1,64}$', maxLength: 64, description: 'Error code.', examples: ['smtp.unreachable'] }),
  ),
  since: Type.Optional(Time({ description: 'Failed at this time or later.' })),
  until: Type.Optional(Time({ description: 'Failed at this time or earlier.' })),
}

const Choice = {
  ids: Type.Optional(
    Type.Array(JobId, { minItems: 1, maxItems: 1000, uniqueItems: true, description: 'IDs of the jobs. Cannot be combined with filter.' }),
  ),
  filter: Type.Optional(
    Type.Object(filterMembers, {
      ...closed,
      description: 'All dead letters that match; an empty filter matches all. Cannot be combined with ids.',
    }),
  ),
}
const examples = [{ filter: { code: 'smtp.unreachable', since: '2026-11-24T00:00:00.000Z' } }]

const PurgeBody = Type.Object(Choice, { ...closed, description: 'Which dead letters.', examples })
const RedriveBody = Type.Object(
  {
    ...Choice,
    ratePerSecond: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 10_000, default: 100, description: 'Maximum number of jobs retried per second.' }),
    ),
  },
  { ...closed, description: 'Which dead letters to redrive, and how fast.', examples },
)
const redriveRate = 100

const Page = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          id: Type.String({ description: 'ID of the job.' }),
          type: Type.String({ description: 'Name of the job type.' }),
          error: Type.Unsafe<JobError>(Type.Ref('JobError')),
          attempts: Type.Object({ made: Count('Number of attempts that ended.'), max: Count('Maximum number of attempts.') }, closed),
          sentBack: Count('How often an operator has already redriven it.'),
          createdAt: Time({ description: 'When the job was submitted.' }),
          failedAt: Time({ description: 'When the job failed.' }),
        },
        { ...closed, description: 'A job that failed permanently.' },
      ),
    ),
    next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
  },
  { ...closed, description: 'A page of dead letters.' },
)

const adminDeadLetters: FastifyPluginAsyncTypebox<AdminDeadLettersOptions> = async (app, { operations, list, queues }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/dead-letters',
    onRequest,
    schema: {
      operationId: 'listDeadLetters',
      summary: 'List dead letters',
      description:
        'Jobs of all tenants that ran out of attempts or failed with an error that is not retryable, newest failure first. Cancelled jobs are not included. A page can be short and still have a next one.',
      tags: operatorTags,
      params: QueueParams,
      querystring: Type.Object(
        {
          ...filterMembers,
          limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of jobs per page.' }),
          cursor: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: '`next` from the previous page.' })),
        },
        closed,
      ),
      response: { 200: jsonResponse(Page, 'A page of dead letters.'), ...problemResponses },
    },
    handler: async ({ params, query: { limit, cursor, ...filter } }) => {
      const page = await list(requireQueueName(queues, params.queue), toFilter(filter), { limit, cursor })
      if (page.kind === 'cursor-invalid') throw problem('cursor-invalid', 'This cursor was not issued for this list, or it was modified.')
      const items = page.items.map((each) => ({ ...each, createdAt: toTime(each.createdAt), failedAt: toTime(each.failedAt) }))
      return { items, next: page.next }
    },
  })

  app.route({
    method: 'POST',
    url: '/admin/queues/:queue/dead-letters/redrive',
    onRequest,
    schema: {
      operationId: 'redriveDeadLetters',
      summary: 'Redrive dead letters',
      description:
        'Runs the jobs again under their IDs, with all their attempts and at a limited rate. Each job keeps the history of its earlier failures. Age limits do not apply.',
      tags: operatorTags,
      params: QueueParams,
      querystring: DryRunQuery,
      body: RedriveBody,
      response: operationResponses,
    },
    handler: async (request, reply) => {
      const queue = requireQueueName(queues, request.params.queue)
      const { ratePerSecond = redriveRate } = request.body
      const wanted = { ...requireChoice(request.body), ratePerSecond }
      return sendOperation(reply, operations, { kind: 'redrive', queue, by: request.principal.keyId, request: wanted }, request.query)
    },
  })

  app.route({
    method: 'POST',
    url: '/admin/queues/:queue/dead-letters/purge',
    onRequest,
    schema: {
      operationId: 'purgeDeadLetters',
      summary: 'Purge dead letters',
      description: 'Removes the jobs permanently. Their idempotency keys are still remembered.',
      tags: operatorTags,
      params: QueueParams,
      querystring: DryRunQuery,
      body: PurgeBody,
      response: operationResponses,
    },
    handler: async (request, reply) => {
      const queue = requireQueueName(queues, request.params.queue)
      const wanted = requireChoice(request.body)
      return sendOperation(reply, operations, { kind: 'purge', queue, by: request.principal.keyId, request: wanted }, request.query)
    },
  })
}

/** Exactly one of ids and filter: nobody means all by leaving both out. */
const requireChoice = ({ ids, filter }: typeof PurgeBody.static): OperationRequest => {
  if ((ids === undefined) === (filter === undefined)) {
    throw problem('validation-failed', 'The body has one error; see `errors`.', {
      errors: [{ pointer: '#', detail: 'requires either ids or filter' }],
    })
  }
  return ids ? { ids } : { filter: toFilter(filter ?? {}) }
}

const toFilter = ({ type, code, since, until }: { type?: string; code?: string; since?: string; until?: string }): DeadLetterFilter => ({
  ...(type === undefined ? {} : { type }),
  ...(code === undefined ? {} : { code }),
  ...(since === undefined ? {} : { since: Date.parse(since) }),
  ...(until === undefined ? {} : { until: Date.parse(until) }),
})

const toTime = (at: number): string => new Date(at).toISOString()

export default adminDeadLetters
