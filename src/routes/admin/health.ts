// Operators see how queues fare: health against the configured limits, and metrics.

import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import { historyMinutesMax } from '../../bullmq/queue-history.js'
import { requireScope } from '../../http/authenticate.js'
import { problemResponses } from '../../http/problem-schema.js'
import { requireQueueName } from '../../http/queue-param.js'
import { jsonResponse } from '../../http/response-schemas.js'
import { type HealthLimits, toHealth, toOverallHealth } from '../../operations/health.js'
import type { QueueMetricsReader } from '../../operations/queue-metrics.js'
import { Count, operatorTags, PerQueue, QueueParams } from '../../operations/queue-schema.js'
import { closed, Nullable, Time } from '../../types/schema-parts.js'

export interface AdminHealthOptions {
  readonly metrics: QueueMetricsReader
  readonly limits: HealthLimits
}

export const QueueHealth = Type.Object(
  {
    healthy: Type.Boolean({ description: 'Whether no limit is passed.' }),
    issues: Type.Array(Type.String(), { maxItems: 3, description: 'One sentence for each limit that is passed.' }),
  },
  { $id: 'QueueHealth', ...closed, description: 'How one queue fares.', examples: [{ healthy: true, issues: [] }] },
)
const QueueHealthRef = Type.Unsafe<{ healthy: boolean; issues: string[] }>(Type.Ref('QueueHealth'))

const Minutes = (description: string) => Type.Array(Count(''), { minItems: 1, maxItems: historyMinutesMax, description })

const QueueHistory = Type.Object(
  {
    from: Time({ description: 'Start of the first minute.' }),
    stepMs: Count('Length of a step: one minute.'),
    completed: Minutes('Jobs completed in each minute, oldest first; the last entry is the minute under way.'),
    failed: Minutes('Jobs failed for good in each minute, likewise.'),
  },
  { ...closed, description: 'What workers finished, minute by minute, kept or not.' },
)

const HistoryQuery = Type.Object(
  {
    minutes: Type.Integer({
      minimum: 1,
      maximum: historyMinutesMax,
      default: 60,
      description: 'How many minutes of history are told, the one under way included.',
    }),
  },
  closed,
)

export const QueueMetrics = Type.Object(
  {
    waiting: Count('Jobs of every priority that are ready to run; 0 while the queue is paused.'),
    active: Count('Jobs that run.'),
    completed: Count('Completed jobs that are still kept.'),
    failed: Count('Failed jobs that are still kept, cancelled ones among them.'),
    delayed: Count('Jobs that wait for their time, or for their next attempt.'),
    paused: Count('Jobs that are ready to run in a paused queue; 0 otherwise.'),
    waitingChildren: Count('Jobs that wait for others.'),
    isPaused: Type.Boolean({ description: 'Whether the queue is paused.' }),
    overdue: Count('Delayed jobs that are due; more than a moment only where no worker runs.'),
    oldestWaitingMs: Nullable(Count(''), {
      description: 'How long the job that waits longest has been ready, in ms; null when none waits.',
    }),
    completedLastMinute: Count('Of the completed jobs that are kept, those of the last minute.'),
    failedLastMinute: Count('Of the failed jobs that are kept, those of the last minute.'),
    completedTotal: Count('All jobs that workers have completed, kept or not.'),
    failedTotal: Count('All jobs that failed for good in a worker, kept or not.'),
    workers: Count('Worker processes that have told of themselves within 30 s.'),
    history: QueueHistory,
  },
  { $id: 'QueueMetrics', ...closed, description: 'One moment of one queue, and its last minutes.' },
)
const QueueMetricsRef = Type.Unsafe<typeof QueueMetrics.static>(Type.Ref('QueueMetrics'))

const Overall = Type.Object(
  {
    healthy: Type.Boolean({ description: 'Whether every queue is healthy.' }),
    queues: PerQueue(QueueHealthRef, 'The health of each queue.'),
    summary: Type.Object(
      {
        totalWaiting: Count('Jobs that are ready to run, those of paused queues included.'),
        totalActive: Count('Jobs that run.'),
        totalCompleted: Count('Completed jobs that are still kept.'),
        totalFailed: Count('Failed jobs that are still kept, cancelled ones among them.'),
      },
      { ...closed, description: 'All queues together.' },
    ),
  },
  { ...closed, description: 'The health of all queues.' },
)

const adminHealth: FastifyPluginAsyncTypebox<AdminHealthOptions> = async (app, { metrics, limits }) => {
  const onRequest = requireScope('admin')

  app.route({
    method: 'GET',
    url: '/admin/queues/health',
    onRequest,
    schema: {
      operationId: 'getQueuesHealth',
      summary: 'Read the health of all queues',
      description:
        'A queue is unhealthy with more waiting jobs than QUEUE_MAX_WAITING_JOBS, more failed ones than QUEUE_MAX_FAILED_JOBS, or jobs waiting but no worker. Unhealthy queues answer 200 as well: read `healthy`.',
      tags: operatorTags,
      response: { 200: jsonResponse(Overall, 'The health of all queues.'), ...problemResponses },
    },
    handler: async () => toOverallHealth(await metrics.all(), limits),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/metrics',
    onRequest,
    schema: {
      operationId: 'getQueuesMetrics',
      summary: 'Read the metrics of all queues',
      description: 'One member for each queue. The cost does not grow with the number of jobs.',
      tags: operatorTags,
      querystring: HistoryQuery,
      response: { 200: jsonResponse(PerQueue(QueueMetricsRef, 'The metrics of each queue.'), 'Metrics by queue.'), ...problemResponses },
    },
    handler: async ({ query }) => metrics.details(query.minutes),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/health',
    onRequest,
    schema: {
      operationId: 'getQueueHealth',
      summary: "Read one queue's health",
      description: 'As for all queues, for one.',
      tags: operatorTags,
      params: QueueParams,
      response: { 200: jsonResponse(QueueHealthRef, 'How the queue fares.'), ...problemResponses },
    },
    handler: async ({ params }) => toHealth(await metrics.one(requireQueueName(params.queue)), limits),
  })

  app.route({
    method: 'GET',
    url: '/admin/queues/:queue/metrics',
    onRequest,
    schema: {
      operationId: 'getQueueMetrics',
      summary: "Read one queue's metrics",
      description: 'How many jobs stand where, how long they wait, what was done lately, and who works.',
      tags: operatorTags,
      params: QueueParams,
      querystring: HistoryQuery,
      response: { 200: jsonResponse(QueueMetricsRef, 'One moment of the queue.'), ...problemResponses },
    },
    handler: async ({ params, query }) => metrics.detailsOf(requireQueueName(params.queue), query.minutes),
  })
}

export default adminHealth
