// The gateway's own order of jobs: BullMQ pages by offset and drifts while jobs move, this does not.

import type { Logger } from 'pino'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
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
 * Forgets, at intervals, entries whose jobs are gone: BullMQ removes finished jobs without telling.
 * Rounds walk each tenant's index from old to new and then again: each goes on where the one before came to, as far as
 * jobs are missing and a bounded number of steps beyond.
 */
export const openIndexSweep = ({
  index,
  redis,
  queueKeys,
  log,
}: {
  index: JobIndex
  redis: RedisClient
  queueKeys: Readonly<Record<QueueName, QueueKeys>>
  log: Logger
}) => {
  const isGone = async (member: string): Promise<boolean> => {
    const id = idOfIndexMember(member)
    const queue = queueOfJobId(id)
    return queue === undefined || (await redis.exists(queueKeys[queue].job(id))) === 0
  }

  /** The last entry that was looked at, by tenant; none at the beginning. */
  const positions = new Map<string, string>()

  const sweepTenant = async (tenant: string): Promise<number> => {
    let removed = 0
    for (let kept = 0; kept < keptStepsMax; ) {
      const { members, next } = await index.oldest(tenant, positions.get(tenant))
      const gone = await Promise.all(members.map(isGone))
      const stale = members.filter((_member, at) => gone[at])
      await index.remove(tenant, stale)
      removed += stale.length
      if (next === undefined) {
        positions.delete(tenant)
        break
      }
      positions.set(tenant, next)
      if (stale.length < members.length / 10) kept++
    }
    return removed
  }

  const sweep = async () => {
    const tenants = new Set(await index.tenants())
    for (const tenant of positions.keys()) if (!tenants.has(tenant)) positions.delete(tenant)
    for (const tenant of tenants) {
      const removed = await sweepTenant(tenant)
      if (removed > 0) log.debug({ tenant, removed }, 'index entries of removed jobs forgotten')
    }
  }

  const timer = setInterval(() => {
    sweep().catch((error: Error) => log.warn({ error: error.message }, 'sweeping the job index failed; the next round follows'))
  }, sweepIntervalMs)
  timer.unref()
  return { sweep, close: () => clearInterval(timer) }
}
