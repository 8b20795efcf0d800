// Operators begin long work on a queue, follow it, and stop it.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { requireScope } from '../../http/authenticate.js'
import { operationPollSeconds, operationResponses, sendOperation } from '../../http/operation-responses.js'
import { problem } from '../../http/problem-json.js'
import { problemResponse, problemResponses } from '../../http/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { operatorTags, QueueParams } from '../../operations/queue-schema.js'
import { type OperationKind, operationIdPattern } from '../../operations/records.js'
import type { Operations } from '../../operations/runner.js'
import { DryRunQuery, OperationRef, toOperationView } from '../../operations/schema.js'
import { closed, Nullable } from '../../types/schema-parts.js'

export interface AdminOperationsOptions {
  readonly operations: Operations
}

const Params = Type.Object({ id: Type.String({ maxLength: 64, description: 'Id of the operation.' }) }, closed)

const OperationPageView = Type.Object(
  {
    items: Type.Array(OperationRef),
    next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
  },
  { ...closed, description: 'One page of operations.' },
)

const howItRuns =
  'It runs in small steps and goes on at another instance should this one end. With `dryRun=true` it only says how many jobs it would change.'

const plain: readonly { kind: OperationKind; operationId: string; summary: string; description: string }[] = [
  {
    kind: 'drain',
    operationId: 'drainQueue',
    summary: 'Remove the jobs that wait',
    description: `Removes waiting and delayed jobs that were submitted before. Running and finished jobs stay, and so do schedules. A job that waits for others goes with the last of them. ${howItRuns}`,
  },
  {
    kind: 'retry-failed',
    operationId: 'retryFailedJobs',
    summary: 'Send all failed jobs back',
    description: `Every failed job runs again under its id with all its attempts; cancelled ones do not. ${howItRuns}`,
  },
  {
    kind: 'promote-delayed',
    operationId: 'promoteDelayedJobs',
    summary: 'Run all delayed jobs now',
    description: `Delayed jobs, and those that wait for their next attempt, no longer wait. Runs of schedules keep their time. ${howItRuns}`,
  },
]

const adminOperations: FastifyPluginAsyncTypebox<AdminOperationsOptions> = async (app, { operations }) => {
  const onRequest = requireScope('admin')

  for (const { kind, ...texts } of plain) {
    app.route({
      method: 'POST',
      url: `/admin/queues/:queue/${kind}`,
      onRequest,
      schema: { ...texts, tags: operatorTags, params: QueueParams, querystring: DryRunQuery, response: operationResponses },
      handler: async (request, reply) => {
        const queue = requireQueueName(request.params.queue)
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
      summary: 'Remove all jobs of a queue',
      description: `Pauses the queue, removes every job that was submitted before, finished ones included, and resumes the queue if it was not paused. While jobs run it is refused; with \`force=true\` they are told to stop and end as \`cancelled\`. Schedules and idempotency keys stay. ${howItRuns}`,
      tags: operatorTags,
      params: QueueParams,
      querystring: Type.Object(
        { ...DryRunQuery.properties, force: Type.Boolean({ default: false, description: 'Stop the jobs that run.' }) },
        closed,
      ),
      response: operationResponses,
    },
    handler: async (request, reply) => {
      const queue = requireQueueName(request.params.queue)
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
      description: 'The latest 1,000 at most, in all queues, newest first; finished ones for 7 days.',
      tags: operatorTags,
      querystring: Type.Object(
        {
          limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Operations on one page at most.' }),
          cursor: Type.Optional(Type.String({ pattern: operationIdPattern, maxLength: 64, description: '`next` of the page before.' })),
        },
        closed,
      ),
      response: { 200: jsonResponse(OperationPageView, 'One page of operations.'), ...problemResponses },
    },
    handler: async ({ query }) => {
      const page = await operations.list({ before: query.cursor, limit: query.limit })
      if (page === 'unknown') throw problem('cursor-invalid', 'The list no longer holds the operation that the cursor names.')
      return { items: page.items.map(toOperationView), next: page.next }
    },
  })

  app.route({
    method: 'GET',
    url: '/admin/operations/:id',
    onRequest,
    schema: {
      operationId: 'getOperation',
      summary: 'Follow an operation',
      description: 'Its state and progress. `Retry-After` until it has finished.',
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
      description: 'It stops after the step it is at. What it has done stays done.',
      tags: operatorTags,
      params: Params,
      response: {
        202: jsonResponse(OperationRef, 'The operation is told to stop.', ['Retry-After']),
        409: problemResponse('The operation has already finished.'),
        ...problemResponses,
      },
    },
    handler: async (request, reply) => {
      const { id } = request.params
      const outcome = await operations.cancel(id, request.principal.keyId)
      if (outcome === 'finished') throw problem('operation-finished', 'The operation had finished before it could be stopped.')
      const operation = outcome === 'missing' ? null : await operations.read(id)
      if (!operation) throw notFound()
      request.log.info({ operationId: id, by: request.principal.keyId }, 'operation told to stop')
      return reply.code(202).header('retry-after', String(operationPollSeconds)).send(toOperationView(operation))
    },
  })
}

const notFound = () => problem('not-found', 'There is no operation with this id, or it ended more than 7 days ago.')

export default adminOperations
