// Removes finished jobs by their age and number: BullMQ looks at both only when a worker finishes another one.

import type { RedisClient } from '../redis/connect.js'
import type { QueueName } from '../types/job-schema.js'
import type { QueueKeys } from './queue-keys.js'
import type { Queues } from './queues.js'

/** Jobs that one script removes: it blocks Redis for some 30 ms. */
const removedAtOnce = 500

export type FinishedState = 'completed' | 'failed'

/** The finished jobs of one partition of a queue, and what may be kept of them. */
export interface FinishedSet {
  readonly queue: QueueKeys
  readonly state: FinishedState
}

/** All reject with the error of Redis. */
export const createFinishedJobs = ({ redis, queues }: { redis: RedisClient; queues: Queues }) => {
  const removeFrom = async ({ queue, state }: FinishedSet, ageMs: number, limit: number): Promise<number> => {
    let removed = 0
    while (removed < limit) {
      const wanted = Math.min(removedAtOnce, limit - removed)
      const ids = await queues.bullmqQueue(queue).clean(ageMs, wanted, state)
      removed += ids.length
      if (ids.length < wanted) break
    }
    return removed
  }

  return {
    /**
     * Removes jobs that ended `ageMs` ago or earlier, oldest first in each partition and at most `limit`, in steps that each block
     * Redis for a moment only. Says how many.
     */
    async removeOld(name: QueueName, state: FinishedState, ageMs: number, limit: number): Promise<number> {
      let removed = 0
      for (const queue of queues.partitionsOf(name)) removed += await removeFrom({ queue, state }, ageMs, limit - removed)
      return removed
    },

    /** The sets that `removeSome` takes, one for each partition. */
    setsOf: (name: QueueName, state: FinishedState): FinishedSet[] => queues.partitionsOf(name).map((queue) => ({ queue, state })),

    /**
     * Removes, in one step, of those that ended `ageMs` ago or earlier, and of the oldest beyond a share of `count` (undefined: any
     * number). Says how many, and whether more are to be removed.
     */
    async removeSome(finished: FinishedSet, ageMs: number, count: number | undefined): Promise<{ removed: number; isMore: boolean }> {
      const set = finished.queue[finished.state]
      const now = Date.now()
      const tooOld = await redis.zcount(set, '-inf', now - ageMs)
      const tooMany = count === undefined ? 0 : (await redis.zcard(set)) - queues.partitions.share(count)
      const wanted = Math.max(tooOld, tooMany)
      if (wanted <= 0) return { removed: 0, isMore: false }
      // By the age of the newest of them: should a worker be quicker, nothing else is removed in their place.
      const [, endedAt] = await redis.zrange(set, wanted - 1, `${wanted - 1}`, 'WITHSCORES')
      if (endedAt === undefined) return { removed: 0, isMore: false }
      const removed = await removeFrom(finished, now - Number(endedAt), Math.min(wanted, removedAtOnce))
      return { removed, isMore: removed > 0 && removed < wanted }
    },
  }
}

export type FinishedJobs = ReturnType<typeof createFinishedJobs>
