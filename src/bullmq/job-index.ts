// The gateway's own order of jobs: BullMQ pages by offset and drifts while jobs move, this does not.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Partition, Partitions } from './partitions.js'

/** Base 36 digits of a creation time in milliseconds: fixed width, so that text order is time order until the year 5188. */
const timeDigits = 9

/** Entries that one step of a walk reads. */
const walkChunk = 500

/** The index entry of a job: `createdAt` in milliseconds since 1970. */
export const toIndexMember = (createdAt: number, jobId: string): string => createdAt.toString(36).padStart(timeDigits, '0') + jobId

/** The job id in an index entry. */
export const idOfIndexMember = (member: string): string => member.slice(timeDigits)

/** Where a walk enters the partition behind it: the start of no entry. */
const entering = '+'

/** A tenant's jobs are indexed in each partition; pages are of all of them together. All reject with the error of Redis. */
export const createJobIndex = ({ redis, keys, partitions }: { redis: RedisClient; keys: Keys; partitions: Partitions }) => {
  const newest = ({ keys }: Partition, tenant: string, after: string | undefined, count: number): Promise<string[]> =>
    redis.zrange(keys.jobIndex(tenant), after === undefined ? '+' : `(${after}`, '-', 'BYLEX', 'REV', 'LIMIT', 0, count)

  return {
    /**
     * Index entries of one tenant, newest first, that come after `after` (exclusive; absent: from the newest).
     * At most `count`.
     */
    async page(tenant: string, after: string | undefined, count: number): Promise<string[]> {
      const [first = [], ...others] = await Promise.all(partitions.all.map((partition) => newest(partition, tenant, after, count)))
      return others.length === 0 ? first : [first, ...others].flat().sort().reverse().slice(0, count)
    },

    /** Forgets entries whose jobs are gone. */
    async remove(tenant: string, members: readonly string[]): Promise<void> {
      const { all } = partitions
      for (const partition of all) {
        const some = all.length === 1 ? members : members.filter((member) => partitions.ofJob(idOfIndexMember(member)) === partition)
        if (some.length > 0) await redis.zrem(partition.keys.jobIndex(tenant), ...some)
      }
    },

    /**
     * Some entries of one tenant from old to new, from `position` (absent: from the oldest). `next` is undefined at the end.
     * A position is the last entry that was read.
     */
    async walk(tenant: string, position?: string): Promise<{ members: string[]; next: string | undefined }> {
      const { all } = partitions
      const entered = position?.startsWith(entering) ? all[Number.parseInt(position.slice(1), 36)] : undefined
      const partition =
        entered ?? (position === undefined ? undefined : partitions.ofJob(idOfIndexMember(position))) ?? (all[0] as Partition)
      const from = position === undefined || entered ? '-' : `(${position}`
      const members = await redis.zrange(partition.keys.jobIndex(tenant), from, '+', 'BYLEX', 'LIMIT', 0, walkChunk)
      const behind = all[partition.number + 1]
      return { members, next: members.length === walkChunk ? members.at(-1) : behind && entering + behind.number.toString(36) }
    },

    tenants: (): Promise<string[]> => redis.smembers(keys.tenants),
  }
}

export type JobIndex = ReturnType<typeof createJobIndex>
