// What an operator sees of queues: how many jobs stand where, how long they wait, and who works.

import type { WorkerInstance } from '../attempts/worker-instances.js'
import type { KnownQueues } from '../bullmq/queues.js'
import type { CountQueues, QueueCounts } from '../bullmq/statistics/queue-counts.js'
import type { QueueHistory, ReadQueueHistories } from '../bullmq/statistics/queue-history.js'
import type { QueueName } from '../types/queue-name.js'

/** Counts of one queue, and how many worker processes take jobs from it, or programs elsewhere lease them. */
export interface QueueMetrics extends QueueCounts {
  readonly workers: number
}

/** The same with what was finished in the last minutes. */
export interface QueueDetails extends QueueMetrics {
  readonly history: QueueHistory
}

/** All queues at one moment. */
export interface AllQueueMetrics {
  /** By name, in the order of the queues. */
  readonly queues: ReadonlyMap<QueueName, QueueMetrics>
  /** Worker processes, whatever queues they serve. */
  readonly workers: number
}

interface Deps {
  readonly count: CountQueues
  readonly history: ReadQueueHistories
  readonly queues: KnownQueues
  readonly workerInstances: () => Promise<readonly WorkerInstance[]>
  /** Programs that lease jobs, and from which queues. */
  readonly remoteWorkers: () => Promise<readonly Serving[]>
}

type Serving = Pick<WorkerInstance, 'queues'>

/** Reads metrics; the cost is the same however many jobs there are. Rejects with the error of Redis. */
export const createQueueMetrics = ({ count, history, queues, remoteWorkers, workerInstances }: Deps) => {
  const read = async (names: readonly QueueName[]): Promise<AllQueueMetrics> => {
    const [counts, instances, remote] = await Promise.all([count(names), workerInstances(), remoteWorkers()])
    const serving = countServing([...instances, ...remote])
    const entries = names.map((name, at) => [name, { ...(counts[at] as QueueCounts), workers: serving.get(name) ?? 0 }] as const)
    return { queues: new Map(entries), workers: instances.length }
  }
  const readDetails = async (names: readonly QueueName[], minutes: number): Promise<ReadonlyMap<QueueName, QueueDetails>> => {
    const [metrics, past] = await Promise.all([read(names), history(names, minutes)])
    return new Map(
      [...metrics.queues].map(
        ([name, each], at) => [name, { ...each, history: past[at] as QueueHistory }] satisfies [QueueName, QueueDetails],
      ),
    )
  }
  return {
    one: async (queue: QueueName): Promise<QueueMetrics> => (await read([queue])).queues.get(queue) as QueueMetrics,
    all: (): Promise<AllQueueMetrics> => read(queues.names()),
    /** With the history of the last `minutes`, the one under way included. */
    detailsOf: async (queue: QueueName, minutes: number): Promise<QueueDetails> =>
      (await readDetails([queue], minutes)).get(queue) as QueueDetails,
    details: (minutes: number): Promise<ReadonlyMap<QueueName, QueueDetails>> => readDetails(queues.names(), minutes),
  }
}

export type QueueMetricsReader = ReturnType<typeof createQueueMetrics>

const countServing = (instances: readonly Serving[]): ReadonlyMap<QueueName, number> => {
  const serving = new Map<QueueName, number>()
  for (const { queues } of instances) for (const queue of queues) serving.set(queue, (serving.get(queue) ?? 0) + 1)
  return serving
}
