// Removes finished jobs when their time is over: BullMQ looks at their age only when a worker finishes another one.

import { setTimeout as pause } from 'node:timers/promises'
import type { Queue } from 'bullmq'
import type { Logger } from 'pino'
import type { Queues } from '../bullmq/queues.js'
import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import type { Duty } from '../runtime/duty.js'
import { type QueueName, queueNames } from '../types/job-schema.js'

/** Jobs that one script removes: it blocks Redis for some 30 ms. */
const removedAtOnce = 500
const intervalMsMin = 1000
const intervalMsMax = 60_000
/** What a slow step makes the next one wait at most. */
const restMsMax = 100

type FinishedState = 'completed' | 'failed'

/**
 * Removes jobs that ended `ageMs` ago or earlier, oldest first and at most `limit`, in steps that each block Redis
 * for a moment only. Says how many. Rejects with the error of Redis.
 */
export const removeOld = async (queue: Queue, state: FinishedState, ageMs: number, limit: number): Promise<number> => {
  let removed = 0
  while (removed < limit) {
    const wanted = Math.min(removedAtOnce, limit - removed)
    const ids = await queue.clean(ageMs, wanted, state)
    removed += ids.length
    if (ids.length < wanted) break
  }
  return removed
}

/** The finished jobs of one queue, and what may be kept of them. */
interface Kept {
  readonly queue: QueueName
  readonly state: FinishedState
  readonly ageMs: number
  /** How many, the newest; undefined for any number. */
  readonly count: number | undefined
}

interface Deps {
  readonly limits: Pick<Config['queues'], 'removeOnComplete' | 'removeOnFail' | 'retentionCompletedMs' | 'retentionFailedMs'>
  readonly log: Logger
  readonly queues: Queues
  readonly redis: RedisClient
}

/**
 * A duty: holds every queue to its limits, cancelled jobs and the last ones of an idle queue too, which no worker looks at.
 * A round lasts half an interval at most; what is left is for the next one.
 */
export const createRetention = ({ limits, log, queues, redis }: Deps): Duty => {
  const { removeOnComplete, removeOnFail, retentionCompletedMs, retentionFailedMs } = limits
  const shortest = Math.min(retentionCompletedMs, retentionFailedMs)
  const intervalMs = Math.min(intervalMsMax, Math.max(intervalMsMin, shortest / 2))
  const all = queueNames.flatMap((queue): Kept[] => [
    { queue, state: 'completed', ageMs: retentionCompletedMs, count: removeOnComplete },
    { queue, state: 'failed', ageMs: retentionFailedMs, count: removeOnFail },
  ])

  /** How many were removed, and whether more are to be. */
  const removeSome = async ({ queue, state, ageMs, count }: Kept): Promise<{ removed: number; isMore: boolean }> => {
    const set = queues.keys[queue][state]
    const now = Date.now()
    const tooOld = await redis.zcount(set, '-inf', now - ageMs)
    const tooMany = count === undefined ? 0 : (await redis.zcard(set)) - count
    const wanted = Math.max(tooOld, tooMany)
    if (wanted <= 0) return { removed: 0, isMore: false }
    // By the age of the newest of them: should a worker be quicker, nothing else is removed in their place.
    const [, endedAt] = await redis.zrange(set, wanted - 1, `${wanted - 1}`, 'WITHSCORES')
    if (endedAt === undefined) return { removed: 0, isMore: false }
    const removed = await removeOld(queues.queues[queue], state, now - Number(endedAt), Math.min(wanted, removedAtOnce))
    return { removed, isMore: removed > 0 && removed < wanted }
  }

  /** How many jobs were removed. */
  const removeAll = async (signal: AbortSignal): Promise<number> => {
    const end = performance.now() + intervalMs / 2
    let total = 0
    // A step of each in turn: a large backlog holds up no other queue.
    for (let open = all; open.length > 0; ) {
      const more: Kept[] = []
      for (const each of open) {
        const start = performance.now()
        if (signal.aborted || start > end) return total
        const { removed, isMore } = await removeSome(each)
        total += removed
        if (isMore) more.push(each)
        // Every second moment is left to others: Redis does one thing at a time.
        if (removed > 0) await pause(Math.min(performance.now() - start, restMsMax))
      }
      open = more
    }
    return total
  }

  return {
    name: 'retention',
    everyMs: intervalMs,
    jitter: 0.1,
    backoffMsMax: intervalMsMax,
    isShared: true,
    unref: true,
    async run(signal) {
      const removed = await removeAll(signal)
      if (removed > 0) log.debug({ removed }, 'finished jobs removed, their retention is over')
    },
    failure: 'removing finished jobs failed',
  }
}
