// Sets the gauges about queues and Redis whenever Prometheus asks.

import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { createRedisProbe } from '../redis/probe.js'
import { withDeadline } from '../runtime/deadline.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { QueueName } from '../types/job-schema.js'
import type { QueueMetrics, QueueMetricsReader } from './queue-metrics.js'

/** A scrape never waits longer for Redis. */
const deadlineMs = 1000

/** Whether Redis answers. Without it the scrape goes on: `jobgate_redis_up` is 0. */
export const watchRedis = (metrics: Metrics, redis: RedisClient): void => {
  const probe = createRedisProbe(redis, deadlineMs)
  metrics.onRender(async () => {
    const tookMs = await probe()
    metrics.redisUp.set(tookMs === null ? 0 : 1)
    if (tookMs === null) metrics.redisPing.remove()
    else metrics.redisPing.set(tookMs / 1000)
  })
}

/** What stands in the queues. When Redis does not tell in time, the gauges are absent rather than old. */
export const watchQueues = (metrics: Metrics, { reader, log }: { reader: QueueMetricsReader; log: Logger }): void => {
  metrics.onRender(async () => {
    const read = reader.all().catch((error: Error) => {
      log.debug({ error: error.message }, 'measuring queues failed')
      return null
    })
    const all = await withDeadline(read, deadlineMs, null)
    for (const family of [metrics.queueJobs, metrics.queueOverdue, metrics.queuePaused, metrics.queueOldest, metrics.queueFinished])
      family.reset()
    metrics.workers.remove()
    if (!all) return
    for (const [queue, counts] of Object.entries(all)) setQueue(metrics, queue as QueueName, counts)
  })
}

const setQueue = (metrics: Metrics, queue: QueueName, counts: QueueMetrics): void => {
  const { waiting, active, completed, failed, delayed, paused, waitingChildren } = counts
  const states = { waiting, active, completed, failed, delayed, paused, 'waiting-children': waitingChildren }
  for (const [state, jobs] of Object.entries(states)) metrics.queueJobs.labels(queue, state).set(jobs)
  metrics.queueOverdue.labels(queue).set(counts.overdue)
  metrics.queuePaused.labels(queue).set(counts.isPaused ? 1 : 0)
  metrics.queueOldest.labels(queue).set((counts.oldestWaitingMs ?? 0) / 1000)
  metrics.queueFinished.labels(queue, 'completed').inc(counts.completedTotal)
  metrics.queueFinished.labels(queue, 'failed').inc(counts.failedTotal)
  metrics.workers.set(counts.workers)
}
