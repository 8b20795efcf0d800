// Whether a job is there, and whether a worker has taken it up yet.

import type { RedisClient } from '../redis/connect.js'
import type { QueuePlaces } from './queues.js'

/** A job that is gone has begun, and so has a parent one of whose children is finished. Rejects with the error of Redis. */
export const createHasBegun =
  ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'ofJob'> }) =>
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

/** Whether there is a job of this id, also in a queue that this process does not know. Rejects with the error of Redis. */
export const createJobExists =
  ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'jobKey'> }) =>
  async (jobId: string): Promise<boolean> => {
    const key = queues.jobKey(jobId)
    return key !== undefined && (await redis.exists(key)) === 1
  }

export type JobExists = ReturnType<typeof createJobExists>
