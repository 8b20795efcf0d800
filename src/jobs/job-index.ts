// The gateway's own order of jobs: BullMQ pages by offset and drifts while jobs move, this does not.

import type { Logger } from 'pino'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Duty } from '../runtime/duty.js'
import type { QueueName } from '../types/job-schema.js'

/** Base 36 digits of a creation time in milliseconds: fixed width, so that text order is time order until the year 5188. */
const timeDigits = 9

/** Entries that one step of sweeping looks at, and the pause between rounds. */
const sweepChunk = 500
const sweepIntervalMs = 60_000
/** Steps of one round, for each tenant, that find few jobs missing. */
const keptStepsMax = 50

/** The index entry of a job: `createdAt` in milliseconds since 1970. */
export const toIndexMember = (createdAt: number, jobId: string): string => createdAt.toString(36).padStart(timeDigits, '0') + jobId

/** The job id in an index entry. */
export const idOfIndexMember = (member: string): string => member.slice(timeDigits)

export const createJobIndex = ({ redis, keys }: { redis: RedisClient; keys: Keys }) => ({
  /**
   * Index entries of one tenant, newest first, that come after `after` (exclusive; absent: from the newest).
   * At most `count`.
   */
  page: (tenant: string, after: string | undefined, count: number): Promise<string[]> =>
    redis.zrange(keys.jobIndex(tenant), after === undefined ? '+' : `(${after}`, '-', 'BYLEX', 'REV', 'LIMIT', 0, count),

  /** Forgets entries whose jobs are gone. */
  remove: async (tenant: string, members: readonly string[]): Promise<void> => {
    if (members.length > 0) await redis.zrem(keys.jobIndex(tenant), ...members)
  },

  /**
   * Looks at the oldest entries after `after` (absent: from the oldest) of one tenant.
   * `next` is undefined at the end of the index.
   */
  oldest: async (tenant: string, after: string | undefined): Promise<{ members: string[]; next: string | undefined }> => {
    const members = await redis.zrange(keys.jobIndex(tenant), after === undefined ? '-' : `(${after}`, '+', 'BYLEX', 'LIMIT', 0, sweepChunk)
    return { members, next: members.length < sweepChunk ? undefined : members.at(-1) }
  },

  tenants: (): Promise<string[]> => redis.smembers(keys.tenants),
})

export type JobIndex = ReturnType<typeof createJobIndex>

/**
 * A duty: forgets entries whose jobs are gone, since BullMQ removes finished jobs without telling.
 * Rounds walk each tenant's index from old to new and then again: each goes on where the one before, of whichever instance, came to,
 * as far as jobs are missing and a bounded number of steps beyond.
 */
export const createIndexSweep = ({
  index,
  keys,
  redis,
  queueKeys,
  log,
}: {
  index: JobIndex
  keys: Keys
  redis: RedisClient
  queueKeys: Readonly<Record<QueueName, QueueKeys>>
  log: Logger
}): Duty => {
  const isGone = async (member: string): Promise<boolean> => {
    const id = idOfIndexMember(member)
    const queue = queueOfJobId(id)
    return queue === undefined || (await redis.exists(queueKeys[queue].job(id))) === 0
  }

  /** From `start` on, the last entry that was looked at. Gives how many were removed, and the last one of this round; none at the end. */
  const sweepTenant = async (tenant: string, start: string | undefined, signal: AbortSignal) => {
    let position = start
    let removed = 0
    for (let kept = 0; kept < keptStepsMax && !signal.aborted; ) {
      const { members, next } = await index.oldest(tenant, position)
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
    const positions = await redis.hgetall(keys.jobIndexPositions)
    const unlisted = Object.keys(positions).filter((tenant) => !tenants.has(tenant))
    if (unlisted.length > 0) await redis.hdel(keys.jobIndexPositions, ...unlisted)
    for (const tenant of tenants) {
      if (signal.aborted) return
      const { removed, position } = await sweepTenant(tenant, positions[tenant], signal)
      if (position !== undefined) await redis.hset(keys.jobIndexPositions, tenant, position)
      else if (positions[tenant] !== undefined) await redis.hdel(keys.jobIndexPositions, tenant)
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
