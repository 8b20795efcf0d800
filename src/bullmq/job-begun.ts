// Whether a job is there, and whether a worker has taken it up yet.

import type { RedisClient } from '../redis/connect.js'
import type { QueuePlaces } from './queues.js'

interface Deps {
  readonly redis: RedisClient
  readonly queues: Pick<QueuePlaces, 'ofJob'>
}

/** A job that is gone has begun, and so has a parent one of whose children is finished. Rejects with the error of Redis. */
export const createHasBegun =
  ({ redis, queues }: Deps) =>
  async (jobId: string): Promise<boolean> => {
    const queue = queues.ofJob(jobId)
    if (!queue) return true
    const [[timestamp, processedOn, finishedOn], children] = await Promise.all([
      redis.hmget(queue.job(jobId), 'timestamp', 'processedOn', 'finishedOn'),
      redis.exists(queue.processed(jobId), queue.failedChildren(jobId)),
    ])
    return !timestamp || Boolean(processedOn) || Boolean(finishedOn) || children > 0
  }

export type HasBegun = ReturnType<typeof createHasBegun>

/** Whether there is a job of this id. Rejects with the error of Redis. */
export const createJobExists =
  ({ redis, queues }: Deps) =>
  async (jobId: string): Promise<boolean> => {
    const queue = queues.ofJob(jobId)
    return queue !== undefined && (await redis.exists(queue.job(jobId))) === 1
  }

export type JobExists = ReturnType<typeof createJobExists>
