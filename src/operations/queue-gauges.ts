// Sets the gauges about queues and Redis whenever Prometheus asks.

import type { Logger } from 'pino'
import { addCounts, type QueueCounts } from '../bullmq/statistics/queue-counts.js'
import type { RedisClient } from '../redis/connect.js'
import { createRedisProbe } from '../redis/probe.js'
import { withDeadline } from '../runtime/deadline.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { MetricNames } from '../types/metric-names.js'
import type { AllQueueMetrics, QueueMetricsReader } from './queue-metrics.js'

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

interface Watch {
  readonly reader: QueueMetricsReader
  readonly names: MetricNames
  readonly log: Logger
}

/** What stands in the queues. When Redis does not tell in time, the gauges are absent rather than old. */
export const watchQueues = (metrics: Metrics, { reader, names, log }: Watch): void => {
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
    metrics.workers.set(all.workers)
    for (const [name, counts] of sumByName(all, names)) setQueue(metrics, name, counts)
  })
}

/** Queues that metrics call alike are shown as one. */
const sumByName = ({ queues }: AllQueueMetrics, names: MetricNames): ReadonlyMap<string, QueueCounts> => {
  const sums = new Map<string, QueueCounts>()
  for (const [queue, counts] of queues) {
    const name = names.ofQueue(queue)
    const sum = sums.get(name)
    sums.set(name, sum ? addCounts(sum, counts) : counts)
  }
  return sums
}

const setQueue = (metrics: Metrics, queue: string, counts: QueueCounts): void => {
  const { waiting, active, completed, failed, delayed, paused, waitingChildren } = counts
  const states = { waiting, active, completed, failed, delayed, paused, 'waiting-children': waitingChildren }
  for (const [state, jobs] of Object.entries(states)) metrics.queueJobs.labels(queue, state).set(jobs)
  metrics.queueOverdue.labels(queue).set(counts.overdue)
  metrics.queuePaused.labels(queue).set(counts.isPaused ? 1 : 0)
  metrics.queueOldest.labels(queue).set((counts.oldestWaitingMs ?? 0) / 1000)
  metrics.queueFinished.labels(queue, 'completed').inc(counts.completedTotal)
  metrics.queueFinished.labels(queue, 'failed').inc(counts.failedTotal)
}
