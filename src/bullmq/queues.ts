// All queues and where their jobs lie: given a queue its partitions, given a job id its keys.

import { Queue } from 'bullmq'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { QueueName } from '../types/queue-name.js'
import type { JobTypes } from '../types/registry.js'
import { metaFields } from './facts.js'
import { queueOfJobId } from './job-id.js'
import { createPartitions, type Partition } from './partitions.js'
import { createQueueKeys, type QueueKeys, toJobKey } from './queue-keys.js'

/**
 * About this many events stay readable in each stream, at some 60 bytes each: what a reader
 * that was cut off, or a client that comes back with Last-Event-ID, can catch up on.
 */
const eventsKept = 50_000

/** Which queues there are, as the registry of job types tells; the list is another one whenever it has changed. */
export interface QueueSource {
  readonly queues: readonly QueueName[]
}

/**
 * Finds keys without I/O. To all but this folder and the workers `QueueKeys` are a place that is passed on: whatever is done to a queue
 * is done by name, and goes through its partitions here. Places are made when they are asked for, and dropped with their queue.
 */
export const createQueuePlaces = (prefix: string, source: QueueSource, partitionCount = 1) => {
  const partitions = createPartitions(prefix, partitionCount)
  const made = new Map<QueueName, readonly QueueKeys[]>()
  let names: readonly QueueName[] | undefined
  let known: ReadonlySet<QueueName> = new Set()

  const follow = () => {
    if (names === source.queues) return
    names = source.queues
    known = new Set(names)
    for (const name of made.keys()) if (!known.has(name)) made.delete(name)
  }

  /** Undefined for a queue that is not there. */
  const find = (queue: QueueName): readonly QueueKeys[] | undefined => {
    follow()
    const found = made.get(queue)
    if (found || !known.has(queue)) return found
    const places = partitions.all.map((partition) => createQueueKeys(partition, queue))
    made.set(queue, places)
    return places
  }
  const partitionsOf = (queue: QueueName): readonly QueueKeys[] => {
    const found = find(queue)
    if (!found) throw new Error(`There is no queue ${queue}`)
    return found
  }
  return {
    /** Those that are there now; another list whenever that changes. */
    names: (): readonly QueueName[] => source.queues,

    has: (queue: QueueName): boolean => find(queue) !== undefined,

    partitions,

    /** The partitions of a queue, in an order that stays. Throws for a queue that is not there. */
    partitionsOf,

    /** Every partition of every queue. */
    all: (): QueueKeys[] => source.queues.flatMap(partitionsOf),

    in: (queue: QueueName, partition: Partition): QueueKeys => partitionsOf(queue)[partition.number] as QueueKeys,

    /** Where a job of this queue lies; one whose id is not ours, in partition 0. Undefined for a queue that is not there. */
    holding: (queue: QueueName, id: string): QueueKeys | undefined => {
      const places = find(queue)
      return places?.length === 1 ? places[0] : places?.[partitions.ofJob(id)?.number ?? 0]
    },

    /** Where a job lies; undefined for an id that is none of ours, or of a queue that is not there. */
    ofJob(id: string): QueueKeys | undefined {
      const queue = queueOfJobId(id)
      const places = queue === undefined ? undefined : find(queue)
      const partition = places && partitions.ofJob(id)
      return partition && places[partition.number]
    },

    /** The key of a job's hash, also of a queue that this process does not know, or not yet; undefined for an id that is none of ours. */
    jobKey(id: string): string | undefined {
      const queue = queueOfJobId(id)
      const partition = partitions.ofJob(id)
      return queue === undefined || partition === undefined ? undefined : toJobKey(partition, queue, id)
    },
  }
}

export type QueuePlaces = ReturnType<typeof createQueuePlaces>
/** For those who only ask which queues there are. */
export type KnownQueues = Pick<QueuePlaces, 'has' | 'names'>

interface Deps {
  readonly redis: RedisClient
  readonly prefix: string
  readonly log: Logger
  readonly jobTypes: QueueSource & Pick<JobTypes, 'onChange'>
}

/**
 * Places of jobs, and BullMQ's own Queue of each, for rare operations. They follow the registry of job types.
 * The Queue objects share `redis`, never wait for it, and do not close it.
 */
export const openQueues = ({ redis, prefix, log, jobTypes }: Deps) => {
  const places = createQueuePlaces(prefix, jobTypes)
  const opened = new Map<QueueKeys, Queue>()
  /** BullMQ's own object for one partition of a queue. */
  const bullmqQueue = (keys: QueueKeys): Queue => {
    const queue = opened.get(keys) ?? createQueue(redis, keys)
    opened.set(keys, queue)
    return queue
  }
  const forEach = <T>(name: QueueName, act: (queue: Queue) => Promise<T>): Promise<T[]> =>
    Promise.all(places.partitionsOf(name).map((keys) => act(bullmqQueue(keys))))

  const writeMeta = (names: readonly QueueName[]): void => {
    if (redis.status !== 'ready' || names.length === 0) return
    writeSettings(redis, places, names).catch((error: Error) => {
      log.warn({ queues: names.length, error: error.message }, 'queue settings not written; retrying on the next connection')
    })
  }
  const writeAllMeta = () => writeMeta(places.names())
  redis.on('ready', writeAllMeta)
  writeAllMeta()

  let names: ReadonlySet<QueueName> = new Set(places.names())
  const stopFollowing = jobTypes.onChange(() => {
    writeMeta(places.names().filter((name) => !names.has(name)))
    names = new Set(places.names())
    for (const [keys, queue] of opened) if (!names.has(keys.queue)) drop(keys, queue)
  })
  const drop = (keys: QueueKeys, queue: Queue): void => {
    opened.delete(keys)
    queue.close().catch((error: Error) => log.debug({ queue: keys.queue, error: error.message }, 'closing a queue failed'))
  }

  return {
    ...places,

    bullmqQueue,

    /** Calls `listener` right after a queue came or went; gives the function that ends it. */
    onChange: (listener: () => void): (() => void) => {
      let before = places.names()
      return jobTypes.onChange(() => {
        if (before === places.names()) return
        before = places.names()
        listener()
      })
    },

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
      stopFollowing()
      redis.off('ready', writeAllMeta)
      await Promise.all([...opened.values()].map((queue) => queue.close()))
    },
  }
}

export type Queues = ReturnType<typeof openQueues>

const createQueue = (redis: RedisClient, { queue: name, tag }: QueueKeys): Queue => {
  const queue = new Queue(name, {
    connection: redis,
    prefix: tag,
    skipVersionCheck: true,
    skipWaitingForReady: true,
    skipMetasUpdate: true,
  })
  // The connection reports its errors itself; without a listener one of them would end the process.
  queue.on('error', () => {})
  return queue
}

/** BullMQ's scripts create `meta` with their own default on the first add; ours has to be there before, and after every flush. */
const writeSettings = async (redis: RedisClient, places: Pick<QueuePlaces, 'in' | 'partitions'>, names: readonly QueueName[]) => {
  const write = async (partition: Partition) => {
    const pipeline = redis.pipeline()
    for (const name of names) pipeline.hset(places.in(name, partition).meta, metaFields.eventsMax, eventsKept)
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  }
  await Promise.all(places.partitions.all.map(write))
}
