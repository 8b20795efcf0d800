// The partitions of every queue. Only this folder knows how many there are: to all others a queue is one thing.

import { createPartitionKeys, type PartitionKeys } from '../redis/redis-keys.js'
import { partitionOfJobId } from './job-id.js'

/**
 * A share of all queues whose Redis keys have one hash tag, so that the idempotency claim, the index entry and the jobs of a
 * submission are written by one script. There is one; several, each in a slot of its own, are for a Redis Cluster.
 */
export interface Partition {
  /** From 0. */
  readonly number: number
  /** What its keys begin with, as in `{jobgate}`. */
  readonly tag: string
  /** Names of the gateway's own keys that lie beside its jobs. */
  readonly keys: PartitionKeys
}

/** The tag of partition 0 is the prefix, as it was before there were others. */
export const toPartitionTag = (prefix: string, number: number): string =>
  number === 0 ? prefix : prefix.replace(/\}$/, `:${number.toString(36)}}`)

/** `prefix` with braces; `count` is 1 as long as nothing but this folder's tests asks for more. */
export const createPartitions = (prefix: string, count = 1) => {
  const all = Array.from({ length: count }, (_, number): Partition => {
    const tag = toPartitionTag(prefix, number)
    return { number, tag, keys: createPartitionKeys(tag) }
  })
  const first = all[0] as Partition
  return {
    all,

    /**
     * Where a submission belongs: with the id of its job if that was settled before, else by the digest of its idempotency key
     * (base64url); drawn when it has neither.
     */
    forSubmission(digest: string | undefined, jobId?: string): Partition {
      if (count === 1) return first
      const number = jobId === undefined ? undefined : partitionOfJobId(jobId)
      if (number !== undefined) return all[number] ?? first
      const drawn = digest === undefined ? Math.floor(Math.random() * count) : Buffer.from(digest, 'base64url').readUInt32BE() % count
      return all[drawn] as Partition
    },

    /** Where a job lies; undefined for an id that cannot be one of ours. */
    ofJob(id: string): Partition | undefined {
      const number = partitionOfJobId(id)
      return number === undefined ? undefined : all[number]
    },

    /** What one partition may hold when all together may hold `total`. */
    share: (total: number): number => (count === 1 ? total : Math.ceil(total / count)),
  }
}

export type Partitions = ReturnType<typeof createPartitions>
