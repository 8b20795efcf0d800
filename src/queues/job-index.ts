// The gateway's own order of jobs: BullMQ pages by offset and drifts while jobs move, this does not.

import type { Keys } from '../redis/keys.js'
import type { RedisClient } from '../redis/connect.js'

/** Base 36 digits of a creation time in milliseconds: fixed width, so that text order is time order until the year 5188. */
const timeDigits = 9

/** Entries that one round of sweeping looks at. */
const sweepChunk = 500

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
    const members = await redis.zrange(
      keys.jobIndex(tenant),
      after === undefined ? '-' : `(${after}`,
      '+',
      'BYLEX',
      'LIMIT',
      0,
      sweepChunk,
    )
    return { members, next: members.length < sweepChunk ? undefined : members.at(-1) }
  },

  tenants: (): Promise<string[]> => redis.smembers(keys.tenants),
})

export type JobIndex = ReturnType<typeof createJobIndex>
