// All queues and where their jobs lie: given a queue its partitions, given a job id its keys.

import { Queue } from 'bullmq'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { type QueueName, queueNames } from '../types/job-schema.js'
import { metaFields } from './facts.js'
import { queueOfJobId } from './job-id.js'
import { createPartitions, type Partition } from './partitions.js'
import { createQueueKeys, type QueueKeys } from './queue-keys.js'

/**
 * About this many events stay readable in each stream, at some 60 bytes each: what a reader
 * that was cut off, or a client that comes back with Last-Event-ID, can catch up on.
 */
const eventsKept = 50_000

/**
 * Finds keys without I/O. To all but this folder and the workers `QueueKeys` are a place that is passed on: whatever is done to a queue
 * is done by name, and goes through its partitions here.
 */
export const createQueuePlaces = (prefix: string, names: readonly QueueName[] = queueNames, partitionCount = 1) => {
  const partitions = createPartitions(prefix, partitionCount)
  const byName = new Map(names.map((name) => [name, partitions.all.map((partition) => createQueueKeys(partition, name))]))
  const partitionsOf = (queue: QueueName): readonly QueueKeys[] => {
    const found = byName.get(queue)
    if (!found) throw new Error(`There is no queue ${queue}`)
    return found
  }
  return {
    names,
    partitions,

    /** The partitions of a queue, in an order that stays. Throws for a queue that is not there. */
    partitionsOf,

    /** Every partition of every queue. */
    all: (): QueueKeys[] => names.flatMap(partitionsOf),

    in: (queue: QueueName, partition: Partition): QueueKeys => partitionsOf(queue)[partition.number] as QueueKeys,

    /** Where a job of this queue lies; one whose id is not ours, in partition 0. */
    holding: (queue: QueueName, id: string): QueueKeys => {
      const places = partitionsOf(queue)
      return (places.length === 1 ? places[0] : places[partitions.ofJob(id)?.number ?? 0]) as QueueKeys
    },

    /** Where a job lies; undefined for an id that cannot be one of ours. */
    ofJob(id: string): QueueKeys | undefined {
      const queue = queueOfJobId(id)
      const partition = queue && partitions.ofJob(id)
      return queue && partition && byName.get(queue)?.[partition.number]
    },
  }
}

/**
 * Places of jobs, and BullMQ's own Queue of each, for rare operations.
 * The Queue objects share `redis`, never wait for it, and do not close it.
 */
export const openQueues = ({ redis, prefix, log }: { redis: RedisClient; prefix: string; log: Logger }) => {
  const places = createQueuePlaces(prefix)
  const queues = new Map(
    places.all().map((keys) => {
      const queue = new Queue(keys.queue, {
        connection: redis,
        prefix: keys.tag,
        skipVersionCheck: true,
        skipWaitingForReady: true,
        skipMetasUpdate: true,
      })
      // The connection reports its errors itself; without a listener one of them would end the process.
      queue.on('error', () => {})
      return [keys, queue]
    }),
  )
  const bullmqQueue = (keys: QueueKeys): Queue => queues.get(keys) as Queue
  const forEach = <T>(name: QueueName, act: (queue: Queue) => Promise<T>): Promise<T[]> =>
    Promise.all(places.partitionsOf(name).map((keys) => act(bullmqQueue(keys))))

  // BullMQ's scripts create `meta` with their own default on the first add; ours has to be there before, and after every flush.
  const writeMeta = () => {
    for (const { queue, meta } of places.all()) {
      redis.hset(meta, metaFields.eventsMax, eventsKept).catch((error: Error) => {
        log.warn({ queue, error: error.message }, 'queue settings not written; retrying on the next connection')
      })
    }
  }
  redis.on('ready', writeMeta)
  if (redis.status === 'ready') writeMeta()

  return {
    ...places,

    /** BullMQ's own object for one partition of a queue. */
    bullmqQueue,

    /** Workers take no more jobs from this queue; running ones go on. Rejects with the error of Redis, as do the next two. */
    async pause(name: QueueName): Promise<void> {
      await forEach(name, (queue) => queue.pause())
    },

    async resume(name: QueueName): Promise<void> {
      await forEach(name, (queue) => queue.resume())
    },

    /** Whether all of it is paused. */
    isPaused: async (name: QueueName): Promise<boolean> => (await forEach(name, (queue) => queue.isPaused())).every(Boolean),

    async close() {
      redis.off('ready', writeMeta)
      await Promise.all([...queues.values()].map((queue) => queue.close()))
    },
  }
}

export type QueuePlaces = ReturnType<typeof createQueuePlaces>
export type Queues = ReturnType<typeof openQueues>
