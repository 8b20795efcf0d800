// Which worker processes live, and which job types they can serve.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { builtinQueues, type QueueName } from '../types/queue-name.js'

/** A worker that has not reported for this long counts as gone. */
export const heartbeatTtlMs = 30_000

/** One process that works jobs. */
export interface WorkerInstance {
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Job types whose integrations are configured there. */
  readonly types: readonly string[]
  /** Queues that it takes jobs from. */
  readonly queues: readonly QueueName[]
}

/** The processes that live. Rejects with the error of Redis. */
export const readWorkerInstances = async (redis: RedisClient, keys: Keys): Promise<WorkerInstance[]> => {
  const ids = await redis.zrangebyscore(keys.workers, Date.now() - heartbeatTtlMs, '+inf')
  if (ids.length === 0) return []
  const values = await redis.mget(...ids.map(keys.worker))
  return values.filter((value) => value !== null).map(toInstance)
}

/** Workers of earlier versions say nothing of queues: they serve those that are always there. */
const toInstance = (text: string): WorkerInstance => {
  const stored = JSON.parse(text) as Omit<WorkerInstance, 'queues'> & Partial<Pick<WorkerInstance, 'queues'>>
  return { ...stored, queues: stored.queues ?? builtinQueues }
}
