// Operators begin long work on a queue, follow it, and stop it.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { KnownQueues } from '../../bullmq/queues.js'
import { requireScope } from '../../http/authenticate.js'
import { operationPollSeconds, operationResponses, sendOperation } from '../../http/documents/operation-responses.js'
import { problem } from '../../http/problems/problem-json.js'
import { problemResponse, problemResponses } from '../../http/problems/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { operatorTags, QueueParams } from '../../operations/queue-schema.js'
import { type OperationKind, operationIdPattern } from '../../operations/records.js'
import type { Operations } from '../../operations/runner.js'
import { DryRunQuery, OperationRef, toOperationView } from '../../operations/schema.js'
import { closed, Nullable } from '../../types/schema-parts.js'

export interface AdminOperationsOptions {
  readonly operations: Operations
  readonly queues: KnownQueues
}

const Params = Type.Object({ id: Type.String({ maxLength: 64, description: 'ID of the operation.' }) }, closed)

const OperationPageView = Type.Object(
  {
    items: Type.Array(OperationRef),
    next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
  },
  { ...closed, description: 'A page of operations.' },
)

const howItRuns =
  'The operation runs in small steps and continues on another instance if this one stops. With `dryRun=true`, it only returns how many jobs it would change.'

const plain: readonly { kind: OperationKind; operationId: string; summary: string; description: string }[] = [
  {
    kind: 'drain',
    operationId: 'drainQueue',
    summary: 'Drain a queue',
    description: `Removes all waiting and delayed jobs submitted before this request. Running and finished jobs and schedules remain. A job that waits for others is removed with the last of them. ${howItRuns}`,
  },
  {
    kind: 'retry-failed',
    operationId: 'retryFailedJobs',
    summary: 'Retry all failed jobs',
    description: `Runs every failed job again under its ID, with all its attempts. Cancelled jobs are not retried. ${howItRuns}`,
  },
  {
    kind: 'promote-delayed',
    operationId: 'promoteDelayedJobs',
    summary: 'Promote all delayed jobs',
    description: `Runs all delayed jobs, and jobs waiting for their next attempt, as soon as possible. Runs of schedules keep their time. ${howItRuns}`,
  },
]

const adminOperations: FastifyPluginAsyncTypebox<AdminOperationsOptions> = async (app, { operations, queues }) => {
  const onRequest = requireScope('admin')

  for (const { kind, ...texts } of plain) {
    app.route({
      method: 'POST',
      url: `/admin/queues/:queue/${kind}`,
      onRequest,
      schema: { ...texts, tags: operatorTags, params: QueueParams, querystring: DryRunQuery, response: operationResponses },
      handler: async (request, reply) => {
        const queue = requireQueueName(queues, request.params.queue)
        return sendOperation(reply, operations, { kind, queue, by: request.principal.keyId, request: {} }, request.query)
      },
    })
  }

  app.route({
    method: 'POST',
    url: '/admin/queues/:queue/obliterate',
    onRequest,
    schema: {
      operationId: 'obliterateQueue',
      summary: 'Obliterate a queue',
      description: `Pauses the queue, removes every job submitted before this request, including finished ones, and resumes the queue if it was not paused. The request is refused while jobs are running; with \`force=true\`, they are stopped and end as \`cancelled\`. Schedules and idempotency keys remain. ${howItRuns}`,
      tags: operatorTags,
      params: QueueParams,
      querystring: Type.Object(
        { ...DryRunQuery.properties, force: Type.Boolean({ default: false, description: 'Stop running jobs.' }) },
        closed,
      ),
      response: operationResponses,
    },
    handler: async (request, reply) => {
      const queue = requireQueueName(queues, request.params.queue)
      return sendOperation(reply, operations, { kind: 'obliterate', queue, by: request.principal.keyId, request: {} }, request.query)
    },
  })

  app.route({
    method: 'GET',
    url: '/admin/operations',
    onRequest,
    schema: {
      operationId: 'listOperations',
      summary: 'List recent operations',
      description: 'The latest 1,000 operations in all queues, newest first. Finished operations are listed for 7 days.',
      tags: operatorTags,
      querystring: Type.Object(
        {
          limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Maximum number of operations per page.' }),
          cursor: Type.Optional(Type.String({ pattern: operationIdPattern, maxLength: 64, description: '`next` from the previous page.' })),
        },
        closed,
      ),
      response: { 200: jsonResponse(OperationPageView, 'A page of operations.'), ...problemResponses },
    },
    handler: async ({ query }) => {
      const page = await operations.list({ before: query.cursor, limit: query.limit })
      if (page === 'unknown') throw problem('cursor-invalid', 'The operation that the cursor points to is no longer in the list.')
      return { items: page.items.map(toOperationView), next: page.next }
    },
  })

  app.route({
    method: 'GET',
    url: '/admin/operations/:id',
    onRequest,
    schema: {
      operationId: 'getOperation',
      summary: 'Read an operation',
      description: 'The state and progress of an operation. The response has `Retry-After` until it finishes.',
      tags: operatorTags,
      params: Params,
      response: { 200: jsonResponse(OperationRef, 'The operation.', ['Retry-After']), ...problemResponses },
    },
    handler: async (request, reply) => {
      const operation = await operations.read(request.params.id)
      if (!operation) throw notFound()
      if (operation.state === 'running') reply.header('retry-after', String(operationPollSeconds))
      return toOperationView(operation)
    },
  })

  app.route({
    method: 'DELETE',
    url: '/admin/operations/:id',
    onRequest,
    schema: {
      operationId: 'cancelOperation',
      summary: 'Stop an operation',
      description: 'Stops the operation after its current step. What it has already done is not undone.',
      tags: operatorTags,
      params: Params,
      response: {
        202: jsonResponse(OperationRef, 'The operation will stop.', ['Retry-After']),
        409: problemResponse('The operation has already finished.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const outcome = await operations.cancel(id, request.principal.keyId)
      if (outcome === 'finished') throw problem('operation-finished', 'The operation finished before it could be stopped.')
      const operation = outcome === 'missing' ? null : await operations.read(id)
      if (!operation) throw notFound()
      request.log.info({ operationId: id, by: request.principal.keyId }, 'operation stop requested')
      return reply.code(202).header('retry-after', String(operationPollSeconds)).send(toOperationView(operation))
    },
  })
}

const notFound = () => problem('not-found', 'There is no operation with this ID, or it ended more than 7 days ago.')

export default adminOperations
