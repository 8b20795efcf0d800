// Operators see how queues fare: health against the configured limits, and metrics.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { KnownQueues } from '../../bullmq/queues.js'
import { historyMinutesMax } from '../../bullmq/statistics/queue-history.js'
import { requireScope } from '../../http/authenticate.js'
import { problemResponses } from '../../http/problems/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { type HealthLimits, toHealth, toOverallHealth } from '../../operations/health.js'
import type { QueueMetricsReader } from '../../operations/queue-metrics.js'
import { Count, operatorTags, PerQueue, QueueParams } from '../../operations/queue-schema.js'
import { closed, Nullable, Time } from '../../types/schema-parts.js'

export interface AdminHealthOptions {
  readonly metrics: QueueMetricsReader
  readonly limits: HealthLimits
  readonly queues: KnownQueues
}

export const QueueHealth = Type.Object(
  {
    healthy: Type.Boolean({ description: 'Whether all limits are respected.' }),
    issues: Type.Array(Type.String(), { maxItems: 3, description: 'One sentence for each limit that is exceeded.' }),
  },
  { $id: 'QueueHealth', ...closed, description: 'Health of one queue.', examples: [{ healthy: true, issues: [] }] },
)
const QueueHealthRef = Type.Unsafe<{ healthy: boolean; issues: string[] }>(Type.Ref('QueueHealth'))

const Minutes = (description: string) => Type.Array(Count(''), { minItems: 1, maxItems: historyMinutesMax, description })

const QueueHistory = Type.Object(
  {
    from: Time({ description: 'Start of the first minute.' }),
    stepMs: Count('Length of a step, always one minute.'),
    completed: Minutes('Jobs completed in each minute, oldest first. The last entry is the current minute.'),
    failed: Minutes('Jobs that failed permanently in each minute, in the same order.'),
  },
  { ...closed, description: 'Jobs that workers finished in each minute, whether or not they are retained.' },
)

const HistoryQuery = Type.Object(
  {
    minutes: Type.Integer({
      minimum: 1,
      maximum: historyMinutesMax,
      default: 60,
      description: 'How many minutes of history to return, including the current one.',
    }),
  },
  closed,
)

export const QueueMetrics = Type.Object(
  {
    waiting: Count('Jobs of all priorities that are ready to run; 0 while the queue is paused.'),
    active: Count('Running jobs.'),
    completed: Count('Completed jobs that are still retained.'),
    failed: Count('Failed jobs that are still retained, including cancelled ones.'),
    delayed: Count('Jobs that are waiting for their due time or their next attempt.'),
    paused: Count('Jobs that are ready to run in a paused queue; otherwise 0.'),
    waitingChildren: Count('Jobs that are waiting for other jobs.'),
    isPaused: Type.Boolean({ description: 'Whether the queue is paused.' }),
    overdue: Count('Delayed jobs that are due. They stay here for more than a moment only if no worker is running.'),
    oldestWaitingMs: Nullable(Count(''), {
      description: 'How long the oldest waiting job has been ready, in ms; null if none is waiting.',
    }),
    completedLastMinute: Count('Retained jobs that completed within the last minute.'),
    failedLastMinute: Count('Retained jobs that failed within the last minute.'),
    completedTotal: Count('All jobs that workers have completed, whether or not they are retained.'),
    failedTotal: Count('All jobs that failed permanently in a worker, whether or not they are retained.'),
    workers: Count('Worker processes that reported within the last 30 s.'),
    history: QueueHistory,
  },
  { $id: 'QueueMetrics', ...closed, description: 'Current metrics of one queue, and its last minutes.' },
)
const QueueMetricsRef = Type.Unsafe<typeof QueueMetrics.static>(Type.Ref('QueueMetrics'))

const Overall = Type.Object(
  {
    healthy: Type.Boolean({ description: 'Whether every queue is healthy.' }),
    queues: PerQueue(QueueHealthRef, 'Health by queue.'),
    summary: Type.Object(
      {
        totalWaiting: Count('Jobs that are ready to run, including those in paused queues.'),
        totalActive: Count('Running jobs.'),
        totalCompleted: Count('Completed jobs that are still retained.'),
        totalFailed: Count('Failed jobs that are still retained, including cancelled ones.'),
      },
      { ...closed, description: 'Totals over all queues.' },
    ),
  },
  { ...closed, description: 'The health of all queues.' },
)

const adminHealth: FastifyPluginAsyncTypebox<AdminHealthOptions> = async (app, { metrics, limits, queues }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/queues/health',
    onRequest,
    schema: {
      operationId: 'getQueuesHealth',
      summary: 'Read the health of all queues',
      description:
        'A queue is unhealthy if it has more waiting jobs than QUEUE_MAX_WAITING_JOBS, more failed jobs than QUEUE_MAX_FAILED_JOBS, or waiting jobs but no worker. The status is 200 even then; check `healthy`.',
      tags: operatorTags,
      response: { 200: jsonResponse(Overall, 'The health of all queues.'), ...problemResponses },
    },
    handler: async () => toOverallHealth((await metrics.all()).queues, limits),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/metrics',
    onRequest,
    schema: {
      operationId: 'getQueuesMetrics',
      summary: 'Read the metrics of all queues',
      description: 'One member per queue. The cost does not grow with the number of jobs.',
      tags: operatorTags,
      querystring: HistoryQuery,
      response: { 200: jsonResponse(PerQueue(QueueMetricsRef, 'The metrics of all queues.'), 'Metrics by queue.'), ...problemResponses },
    },
    handler: async ({ query }) => Object.fromEntries(await metrics.details(query.minutes)),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/health',
    onRequest,
    schema: {
      operationId: 'getQueueHealth',
      summary: "Read one queue's health",
      description: 'Like the health of all queues, but for one queue.',
      tags: operatorTags,
      params: QueueParams,
      response: { 200: jsonResponse(QueueHealthRef, 'Health of the queue.'), ...problemResponses },
    },
    handler: async ({ params }) => toHealth(await metrics.one(requireQueueName(queues, params.queue)), limits),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/metrics',
    onRequest,
    schema: {
      operationId: 'getQueueMetrics',
      summary: "Read one queue's metrics",
      description: 'Number of jobs by state, waiting time, recent throughput and number of workers.',
      tags: operatorTags,
      params: QueueParams,
      querystring: HistoryQuery,
      response: { 200: jsonResponse(QueueMetricsRef, 'Current metrics of the queue.'), ...problemResponses },
    },
    handler: async ({ params, query }) => metrics.detailsOf(requireQueueName(queues, params.queue), query.minutes),
  })
}

export default adminHealth
