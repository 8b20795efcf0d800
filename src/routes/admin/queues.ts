// Operators pause, resume and clean queues, and read what operators did.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { KnownQueues } from '../../bullmq/queues.js'
import { requireScope } from '../../http/authenticate.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { type Audit, auditActs } from '../../operations/audit.js'
import type { QueueControl } from '../../operations/queue-control.js'
import type { QueueMetrics, QueueMetricsReader } from '../../operations/queue-metrics.js'
import { Count, operatorTags, PerQueue, QueueParams } from '../../operations/queue-schema.js'
import { day } from '../../runtime/durations.js'
import type { JobType } from '../../types/definition.js'
import { type QueueName, QueueNameText } from '../../types/queue-name.js'
import type { JobTypes } from '../../types/registry.js'
import { closed, Nullable, StringEnum, Time } from '../../types/schema-parts.js'

export interface AdminQueuesOptions {
  readonly control: QueueControl
  readonly audit: Audit
  readonly jobTypes: Pick<JobTypes, 'all'>
  readonly metrics: Pick<QueueMetricsReader, 'all'>
  readonly queues: KnownQueues
}

const Paused = Type.Object(
  { paused: Type.Boolean({ description: 'Whether the queue is paused now.' }) },
  { ...closed, description: 'Whether the queue is paused.', examples: [{ paused: true }] },
)
const AllPaused = PerQueue(Paused, 'Whether each queue is paused.')

const cleanDefaults = { completedMaxAge: day, failedMaxAge: 7 * day, limit: 1000 }

const CleanBody = Type.Object(
  {
    completedMaxAge: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 366 * day,
        default: cleanDefaults.completedMaxAge,
        description: 'Remove completed jobs that ended longer ago than this, in milliseconds.',
      }),
    ),
    failedMaxAge: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 366 * day,
        default: cleanDefaults.failedMaxAge,
        description: 'Remove failed and cancelled jobs that ended longer ago than this, in milliseconds.',
      }),
    ),
    limit: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 10_000,
        default: cleanDefaults.limit,
        description: 'Maximum number of jobs to remove, per queue and state.',
      }),
    ),
  },
  { ...closed, description: 'What to remove.', examples: [{ completedMaxAge: 3_600_000, failedMaxAge: 86_400_000, limit: 1000 }] },
)

const Cleaned = PerQueue(
  Type.Object(
    { completed: Count('Number of completed jobs removed.'), failed: Count('Number of failed and cancelled jobs removed.') },
    { ...closed, description: 'Number of jobs removed.' },
  ),
  'Number of jobs removed, by queue.',
)

const QueueSummary = Type.Object(
  {
    queue: QueueNameText(),
    types: Type.Array(Type.String(), { description: 'Job types whose jobs are in this queue.' }),
    runBy: StringEnum(['workers', 'module', 'pull', 'push', 'bullmq'], {
      description: 'Who runs its jobs: workers of Jobgate for built-in job types, else `runs.by` of the job type.',
    }),
    workers: Count('Worker processes that take jobs from this queue and reported within the last 30 s.'),
    isPaused: Type.Boolean({ description: 'Whether the queue is paused.' }),
    waiting: Count('Jobs that are ready to run; 0 while the queue is paused.'),
    active: Count('Running jobs.'),
    delayed: Count('Jobs that are waiting for their due time or their next attempt.'),
    paused: Count('Jobs that are ready to run in a paused queue; otherwise 0.'),
    waitingChildren: Count('Jobs that are waiting for other jobs.'),
    completed: Count('Completed jobs that are still retained.'),
    failed: Count('Failed jobs that are still retained, including cancelled ones.'),
  },
  { ...closed, description: 'A queue.' },
)
const QueueList = Type.Object(
  { items: Type.Array(QueueSummary), next: Nullable(Type.String(), { description: 'Always null: all queues are on one page.' }) },
  { ...closed, description: 'All queues.' },
)

const AuditPage = Type.Object(
  {
    items: Type.Array(
      Type.Object(
        {
          id: Type.String({ description: 'Increases with time.' }),
          at: Time({ description: 'When it happened.' }),
          by: Type.String({ description: 'ID of the API key. `admin` is the first key, `command-line` the `keys` command.' }),
          act: StringEnum(auditActs, { description: 'What the operator did.' }),
          queue: Nullable(QueueNameText(), { description: 'null for all queues, and for actions that do not concern a queue.' }),
          details: Type.Record(Type.String(), Type.Unknown(), {
            description: 'What was requested, and how many jobs changed. Contains IDs, never secrets.',
          }),
        },
        { ...closed, description: 'An action by an operator.' },
      ),
    ),
    next: Nullable(Type.String(), { description: 'Cursor of the next page; null on the last one.' }),
  },
  { ...closed, description: 'A page of actions.' },
)

const adminQueues: FastifyPluginAsyncTypebox<AdminQueuesOptions> = async (app, { control, audit, jobTypes, metrics, queues }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/queues',
    onRequest,
    schema: {
      operationId: 'listQueues',
      summary: 'List queues',
      description: 'Every queue with its job types, its workers and the number of its jobs by state.',
      tags: operatorTags,
      response: { 200: jsonResponse(QueueList, 'All queues.'), ...problemResponses },
    },
    handler: async () => {
      const { queues: all } = await metrics.all()
      const types = new Map<QueueName, JobType[]>([...all.keys()].map((queue) => [queue, []]))
      for (const type of jobTypes.all) types.get(type.queue)?.push(type)
      return { items: [...all].map(([queue, each]) => toSummary(queue, types.get(queue) ?? [], each)), next: null }
    },
  })

  for (const [verb, act, actOnAll, paused, what] of [
    [
      'pause',
      control.pause,
      control.pauseAll,
      true,
      'Workers start no more jobs. Running jobs continue, and submissions are still accepted.',
    ],
    ['resume', control.resume, control.resumeAll, false, 'Workers start jobs again.'],
  ] as const) {
    const title = paused ? 'Pause' : 'Resume'
    app.route({
      method: 'POST',
      url: `/admin/queues/${verb}`,
      onRequest,
      schema: {
        operationId: `${verb}Queues`,
        summary: `${title} all queues`,
        description: `${what} Safe to repeat.`,
        tags: operatorTags,
        response: { 200: jsonResponse(AllPaused, 'Done.'), ...problemResponses },
      },
      handler: async (request) => {
        const names = await actOnAll(request.principal.keyId)
        return Object.fromEntries(names.map((name) => [name, { paused }]))
      },
    })

    app.route({
      method: 'POST',
      url: `/admin/queues/:queue/${verb}`,
      onRequest,
      schema: {
        operationId: `${verb}Queue`,
        summary: `${title} one queue`,
        description: `${what} Safe to repeat.`,
        tags: operatorTags,
        params: QueueParams,
        response: { 200: jsonResponse(Paused, 'Done.'), ...problemResponses },
      },
      handler: async (request) => {
        await act(requireQueueName(queues, request.params.queue), request.principal.keyId)
        return { paused }
      },
    })
  }

  app.route({
    method: 'POST',
    url: '/admin/queues/clean',
    onRequest,
    preValidation: allowNoBody,
    schema: {
      operationId: 'cleanQueues',
      summary: 'Remove old finished jobs',
      description:
        'Removes completed and failed jobs above an age, oldest first, in every queue. Repeat while a count equals `limit`. Idempotency keys of removed jobs are still remembered.',
      tags: operatorTags,
      body: CleanBody,
      response: { 200: jsonResponse(Cleaned, 'Number of jobs removed.'), ...problemResponses },
    },
    handler: async (request) => control.clean({ ...cleanDefaults, ...request.body }, request.principal.keyId),
  })

  app.route({
    method: 'GET',
    url: '/admin/audit',
    onRequest,
    schema: {
      operationId: 'listAudit',
      summary: 'Read the audit trail',
      description: 'Who changed what, and how many jobs it affected, newest first. About the last 10,000 actions are retained.',
      tags: operatorTags,
      querystring: Type.Object(
        {
          limit: Type.Integer({ minimum: 1, maximum: 200, default: 50, description: 'Number of actions per page.' }),
          cursor: Type.Optional(
            Type.String({ pattern: '^\\d{1,16}-\\d{1,10}$', maxLength: 27, description: '`next` from the previous page.' }),
          ),
        },
        closed,
      ),
      response: { 200: jsonResponse(AuditPage, 'A page of actions.'), ...problemResponses },
    },
    handler: async ({ query }) => {
      const { items, next } = await audit.list({ before: query.cursor, limit: query.limit })
      return { items: items.map((each) => ({ ...each, at: new Date(each.at).toISOString() })), next }
    },
  })
}

const toSummary = (queue: QueueName, types: readonly JobType[], metrics: QueueMetrics): typeof QueueSummary.static => {
  const { workers, isPaused, waiting, active, delayed, paused, waitingChildren, completed, failed } = metrics
  const runBy = types[0]?.registered?.runs.by ?? 'workers'
  const names = types.map(({ name }) => name)
  return { queue, types: names, runBy, workers, isPaused, waiting, active, delayed, paused, waitingChildren, completed, failed }
}

/** Where no member has to be there, the body need not be there either. */
const allowNoBody = async (request: { body: unknown }) => {
  if (request.body === undefined) request.body = {}
}

export default adminQueues
