// Opens what the gateway needs of each BullMQ queue, once.

import { Queue } from 'bullmq'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { type QueueName, queueNames } from '../types/job-schema.js'
import { createQueueKeys, type QueueKeys } from './queue-keys.js'

/**
 * About this many events stay readable in each queue's stream, at some 60 bytes each: what a reader
 * that was cut off, or a client that comes back with Last-Event-ID, can catch up on.
 */
const eventsKept = 50_000

/**
 * Keys and BullMQ's own Queue, for rare operations, by queue name.
 * The Queue objects share `redis`, never wait for it, and do not close it.
 */
export const openQueues = ({ redis, prefix, log }: { redis: RedisClient; prefix: string; log: Logger }) => {
  const keys = Object.fromEntries(queueNames.map((name) => [name, createQueueKeys(prefix, name)])) as Record<QueueName, QueueKeys>
  const queues = Object.fromEntries(
    queueNames.map((name) => {
      const queue = new Queue(name, {
        connection: redis,
        prefix,
        skipVersionCheck: true,
        skipWaitingForReady: true,
        skipMetasUpdate: true,
      })
      // The connection reports its errors itself; without a listener one of them would end the process.
      queue.on('error', () => {})
      return [name, queue]
    }),
  ) as Record<QueueName, Queue>

  // BullMQ's scripts create `meta` with their own default on the first add; ours has to be there before, and after every flush.
  const writeMeta = () => {
    for (const name of queueNames) {
      redis.hset(keys[name].meta, 'opts.maxLenEvents', eventsKept).catch((error: Error) => {
        log.warn({ queue: name, error: error.message }, 'queue settings were not written; they will be at the next connection')
      })
    }
  }
  redis.on('ready', writeMeta)
  if (redis.status === 'ready') writeMeta()

  return {
    keys,
    queues,
    async close() {
      redis.off('ready', writeMeta)
      await Promise.all(Object.values(queues).map((queue) => queue.close()))
    },
  }
}

export type Queues = ReturnType<typeof openQueues>
