// Whether a job has been taken up by a worker yet.

import { queueOfJobId } from '../bullmq/job-id.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { RedisClient } from '../redis/connect.js'
import type { QueueName } from '../types/job-schema.js'

/** A job that is gone has begun, and so has a parent one of whose children is finished. Rejects with the error of Redis. */
export const createHasBegun =
  ({ redis, queueKeys }: { redis: RedisClient; queueKeys: Readonly<Record<QueueName, QueueKeys>> }) =>
  async (jobId: string): Promise<boolean> => {
    const queue = queueOfJobId(jobId)
    if (!queue) return true
    const key = queueKeys[queue].job(jobId)
    const [[timestamp, processedOn, finishedOn], children] = await Promise.all([
      redis.hmget(key, 'timestamp', 'processedOn', 'finishedOn'),
      redis.exists(`${key}:processed`, `${key}:failed`),
    ])
    return !timestamp || Boolean(processedOn) || Boolean(finishedOn) || children > 0
  }

export type HasBegun = ReturnType<typeof createHasBegun>
