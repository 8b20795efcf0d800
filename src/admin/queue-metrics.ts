// What an operator sees of a queue: how many jobs stand where, how long they wait, and who works.

import type { CountQueue, QueueCounts } from '../queues/queue-counts.js'
import type { QueueKeys } from '../queues/queue-keys.js'
import type { WorkerInstance } from '../queues/worker-instances.js'
import { type QueueName, queueNames } from '../schemas/job.js'

/** Counts of one queue, and how many worker processes serve it. */
export interface QueueMetrics extends QueueCounts {
  readonly workers: number
}

/**
 * Reads metrics; the cost is the same however many jobs there are. Rejects with the error of Redis.
 * Every worker process takes jobs from every queue, so `workers` is the same for all of them.
 */
export const createQueueMetrics = ({
  count,
  queueKeys,
  workerInstances,
}: {
  count: CountQueue
  queueKeys: Readonly<Record<QueueName, QueueKeys>>
  workerInstances: () => Promise<readonly WorkerInstance[]>
}) => {
  const one = async (queue: QueueName): Promise<QueueMetrics> => {
    const [counts, workers] = await Promise.all([count(queueKeys[queue]), workerInstances()])
    return { ...counts, workers: workers.length }
  }
  return {
    one,
    async all(): Promise<Record<QueueName, QueueMetrics>> {
      const workers = await workerInstances()
      const entries = await Promise.all(
        queueNames.map(async (name) => [name, { ...(await count(queueKeys[name])), workers: workers.length }] as const),
      )
      return Object.fromEntries(entries) as Record<QueueName, QueueMetrics>
    },
  }
}

export type QueueMetricsReader = ReturnType<typeof createQueueMetrics>
