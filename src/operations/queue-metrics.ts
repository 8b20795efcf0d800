// What an operator sees of a queue: how many jobs stand where, how long they wait, and who works.

import type { WorkerInstance } from '../attempts/worker-instances.js'
import type { CountQueue, QueueCounts } from '../bullmq/queue-counts.js'
import type { QueueHistory, ReadQueueHistory } from '../bullmq/queue-history.js'
import { type QueueName, queueNames } from '../types/job-schema.js'

/** Counts of one queue, and how many worker processes serve it. */
export interface QueueMetrics extends QueueCounts {
  readonly workers: number
}

/** The same with what was finished in the last minutes. */
export interface QueueDetails extends QueueMetrics {
  readonly history: QueueHistory
}

/**
 * Reads metrics; the cost is the same however many jobs there are. Rejects with the error of Redis.
 * Every worker process takes jobs from every queue, so `workers` is the same for all of them.
 */
export const createQueueMetrics = ({
  count,
  history,
  workerInstances,
}: {
  count: CountQueue
  history: ReadQueueHistory
  workerInstances: () => Promise<readonly WorkerInstance[]>
}) => {
  const one = async (queue: QueueName): Promise<QueueMetrics> => {
    const [counts, workers] = await Promise.all([count(queue), workerInstances()])
    return { ...counts, workers: workers.length }
  }
  const all = async (): Promise<Record<QueueName, QueueMetrics>> => {
    const workers = await workerInstances()
    return forEach(async (name) => ({ ...(await count(name)), workers: workers.length }))
  }
  return {
    one,
    all,
    /** With the history of the last `minutes`, the one under way included. */
    async detailsOf(queue: QueueName, minutes: number): Promise<QueueDetails> {
      const [metrics, past] = await Promise.all([one(queue), history(queue, minutes)])
      return { ...metrics, history: past }
    },
    async details(minutes: number): Promise<Record<QueueName, QueueDetails>> {
      const metrics = await all()
      return forEach(async (name) => ({ ...metrics[name], history: await history(name, minutes) }))
    },
  }
}

export type QueueMetricsReader = ReturnType<typeof createQueueMetrics>

const forEach = async <T>(read: (name: QueueName) => Promise<T>): Promise<Record<QueueName, T>> => {
  const entries = await Promise.all(queueNames.map(async (name) => [name, await read(name)] as const))
  return Object.fromEntries(entries) as Record<QueueName, T>
}
