// How many finished jobs of a queue stay when another one finishes, in BullMQ's words.

import type { Config } from '../config/config.js'
import type { Partitions } from './partitions.js'

/** Finished jobs that one finishing job removes at most. */
const removedAtOnceMax = 1000

type Limits = Pick<Config['queues'], 'removeOnComplete' | 'removeOnFail' | 'retentionCompletedMs' | 'retentionFailedMs'>

/** BullMQ counts ages in seconds. */
const toKeep = (ageMs: number, count: number | undefined, { share }: Pick<Partitions, 'share'>) => ({
  age: Math.ceil(ageMs / 1000),
  limit: removedAtOnceMax,
  ...(count === undefined ? {} : { count: share(count) }),
})

/** What each partition of a queue keeps. */
export const toFinishedKept = (limits: Limits, partitions: Pick<Partitions, 'share'>) => ({
  completed: toKeep(limits.retentionCompletedMs, limits.removeOnComplete, partitions),
  failed: toKeep(limits.retentionFailedMs, limits.removeOnFail, partitions),
})
