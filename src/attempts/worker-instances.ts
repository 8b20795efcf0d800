// Which worker processes live, and which job types they can serve.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

/** A worker that has not reported for this long counts as gone. */
export const heartbeatTtlMs = 30_000

/** One process that works jobs. */
export interface WorkerInstance {
  readonly id: string
  readonly host: string
  readonly pid: number
  /** Job types whose integrations are configured there. */
  readonly types: readonly string[]
}

/** The processes that live. Rejects with the error of Redis. */
export const readWorkerInstances = async (redis: RedisClient, keys: Keys): Promise<WorkerInstance[]> => {
  const ids = await redis.zrangebyscore(keys.workers, Date.now() - heartbeatTtlMs, '+inf')
  if (ids.length === 0) return []
  const values = await redis.mget(...ids.map(keys.worker))
  return values.filter((value) => value !== null).map((value) => JSON.parse(value) as WorkerInstance)
}
