// Keeps the index of jobs short: forgets entries whose jobs are gone.

import type { Logger } from 'pino'
import type { JobExists } from '../../bullmq/job-begun.js'
import { idOfIndexMember, type JobIndex } from '../../bullmq/job-index.js'
import type { RedisClient } from '../../redis/connect.js'
import type { Keys } from '../../redis/redis-keys.js'
import type { Duty } from '../../runtime/duty.js'

const sweepIntervalMs = 60_000
/** Steps of one round, for each tenant, that find few jobs missing. */
const keptStepsMax = 50

/**
 * A duty: forgets entries whose jobs are gone, since BullMQ removes finished jobs without telling.
 * Rounds walk each tenant's index from old to new and then again: each goes on where the one before, of whichever instance, came to,
 * as far as jobs are missing and a bounded number of steps beyond.
 */
export const createIndexSweep = ({
  index,
  keys,
  jobExists,
  redis,
  log,
}: {
  index: JobIndex
  keys: Keys
  jobExists: JobExists
  redis: RedisClient
  log: Logger
}): Duty => {
  const isGone = async (member: string): Promise<boolean> => !(await jobExists(idOfIndexMember(member)))

  /** From `start` on. Gives how many were removed, and where the next round goes on; undefined at the end. */
  const sweepTenant = async (tenant: string, start: string | undefined, signal: AbortSignal) => {
    let position = start
    let removed = 0
    for (let kept = 0; kept < keptStepsMax && !signal.aborted; ) {
      const { members, next } = await index.walk(tenant, position)
      const gone = await Promise.all(members.map(isGone))
      const stale = members.filter((_member, at) => gone[at])
      await index.remove(tenant, stale)
      removed += stale.length
      position = next
      if (next === undefined) break
      if (stale.length < members.length / 10) kept++
    }
    return { removed, position }
  }

  const run = async (signal: AbortSignal) => {
    const tenants = new Set(await index.tenants())
    // A tenant may be called `constructor`.
    const positions = new Map(Object.entries(await redis.hgetall(keys.jobIndexPositions)))
    const unlisted = [...positions.keys()].filter((tenant) => !tenants.has(tenant))
    if (unlisted.length > 0) await redis.hdel(keys.jobIndexPositions, ...unlisted)
    for (const tenant of tenants) {
      if (signal.aborted) return
      const { removed, position } = await sweepTenant(tenant, positions.get(tenant), signal)
      if (position !== undefined) await redis.hset(keys.jobIndexPositions, tenant, position)
      else if (positions.get(tenant) !== undefined) await redis.hdel(keys.jobIndexPositions, tenant)
      if (removed > 0) log.debug({ tenant, removed }, 'removed index entries of deleted jobs')
    }
  }

  return {
    name: 'job-index',
    everyMs: sweepIntervalMs,
    jitter: 0.1,
    isShared: true,
    unref: true,
    run,
    failure: 'sweeping the job index failed',
  }
}
