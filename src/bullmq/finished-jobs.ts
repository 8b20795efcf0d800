// Removes finished jobs by their age and number: BullMQ looks at both only when a worker finishes another one.

import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
import type { QueueName } from '../types/queue-name.js'
import type { QueueKeys } from './queue-keys.js'
import type { Queues } from './queues.js'

/** Jobs that one script removes: it blocks Redis for some 30 ms. */
const removedAtOnce = 500
/** Sets that one script looks at: it blocks Redis for less than a millisecond. */
const setsPerScript = 500

export const finishedStates = ['completed', 'failed'] as const
export type FinishedState = (typeof finishedStates)[number]

/** The finished jobs of one partition of a queue. */
export interface FinishedSet {
  readonly queue: QueueKeys
  readonly state: FinishedState
}

/** What may be kept of the jobs of one state: how long, and how many of a queue's, the newest; undefined for any number. */
export interface FinishedLimit {
  readonly ageMs: number
  readonly count: number | undefined
}
export type FinishedLimits = Readonly<Record<FinishedState, FinishedLimit>>

/**
 * Finds the sets of which something is to be removed.
 * KEYS: sets. ARGV: for each the score up to which jobs are too old, and how many may be kept ('' for any number).
 * Returns the places of those sets among the keys.
 */
const findScript = `
local found = {}
if redis.call('EXISTS', unpack(KEYS)) == 0 then return found end
for at = 1, #KEYS do
  local most = tonumber(ARGV[2 * at])
  if redis.call('ZCOUNT', KEYS[at], '-inf', ARGV[2 * at - 1]) > 0
    or most and redis.call('ZCARD', KEYS[at]) > most then found[#found + 1] = at end
end
return found
`

/** All reject with the error of Redis. */
export const createFinishedJobs = ({ redis, queues }: { redis: RedisClient; queues: Queues }) => {
  const runFindScript = defineScript<number[]>(redis, findScript)

  /** What one partition may keep; '' for any number. */
  const toShare = (count: number | undefined) => (count === undefined ? '' : queues.partitions.share(count))

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

  const findSome = async (sets: readonly FinishedSet[], limits: FinishedLimits, now: number): Promise<FinishedSet[]> => {
    const values = sets.flatMap(({ state }) => [now - limits[state].ageMs, toShare(limits[state].count)])
    const found = await runFindScript(
      sets.map(({ queue, state }) => queue[state]),
      values,
    )
    return found.map((place) => sets[place - 1] as FinishedSet)
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

    /** The sets of all queues of which something is to be removed; what they hold more costs nothing. */
    async exceeding(limits: FinishedLimits): Promise<FinishedSet[]> {
      const now = Date.now()
      const found: FinishedSet[] = []
      for (const partition of queues.partitions.all) {
        const places = queues.names().map((name) => queues.in(name, partition))
        const sets = places.flatMap((queue) => finishedStates.map((state) => ({ queue, state })))
        for (let at = 0; at < sets.length; at += setsPerScript) {
          found.push(...(await findSome(sets.slice(at, at + setsPerScript), limits, now)))
        }
      }
      return found
    },

    /**
     * Removes, in one step, of those that ended `ageMs` ago or earlier, and of the oldest beyond a share of `count`. Says how many, and
     * whether more are to be removed.
     */
    async removeSome(finished: FinishedSet, { ageMs, count }: FinishedLimit): Promise<{ removed: number; isMore: boolean }> {
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
