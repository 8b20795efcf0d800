// How many jobs of a queue were finished in each of the last minutes, from the counts that BullMQ keeps.

import type { RedisClient } from '../../redis/connect.js'
import type { QueueName } from '../../types/queue-name.js'
import { metricsDataEnding } from '../facts.js'
import type { QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'

/** Minutes that Redis keeps; workers trim to this. */
export const historyMinutesMax = 1440
const minuteMs = 60_000

/** Jobs finished in each minute, oldest first; the last entry is the minute under way. */
export interface QueueHistory {
  /** Start of the first minute, RFC 3339. */
  readonly from: string
  readonly stepMs: number
  readonly completed: number[]
  readonly failed: number[]
}

/** One BullMQ metric as it is stored. */
interface StoredMinutes {
  readonly meta: { readonly count: number; readonly prevTS: number; readonly prevCount: number }
  readonly data: readonly number[]
}

/**
 * The last `minutes` of one BullMQ metric as of `now` (ms since 1970), oldest first.
 * BullMQ writes a minute down only when a job finishes in a later one: `prevTS` is in the minute it counts now,
 * `prevCount` what had been finished before it, and `data` the minutes before, latest first.
 */
export const toMinutes = ({ meta, data }: StoredMinutes, minutes: number, now: number): number[] => {
  const last = Math.floor(now / minuteMs)
  const counting = Math.floor(meta.prevTS / minuteMs)
  return Array.from({ length: minutes }, (_, index) => {
    const minute = last - (minutes - 1) + index
    if (minute > counting) return 0
    return minute === counting ? meta.count - meta.prevCount : (data[counting - 1 - minute] ?? 0)
  })
}

/** Commands that one pipeline sends: their replies take a few MB at most. */
const commandsAtOnce = 400

/** Reads the histories of queues that are there, in the same order. Rejects with the error of Redis. */
export const createQueueHistory = ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'in' | 'partitions'> }) => {
  const readMetrics = async (keys: readonly string[], minutes: number): Promise<StoredMinutes[]> => {
    const pipeline = redis.pipeline()
    for (const key of keys) {
      pipeline.hmget(key, 'count', 'prevTS', 'prevCount')
      pipeline.lrange(key + metricsDataEnding, 0, minutes - 1)
    }
    const replies = ((await pipeline.exec()) ?? []).map(([error, reply]) => {
      if (error) throw error
      return (reply as (string | null)[]).map(Number)
    })
    return keys.map((_key, at) => {
      const [count = 0, prevTS = 0, prevCount = 0] = replies[2 * at] ?? []
      return { meta: { count, prevTS, prevCount }, data: replies[2 * at + 1] ?? [] }
    })
  }

  const readPartition = async (keys: readonly string[], minutes: number, now: number): Promise<number[][]> => {
    const parts: Promise<StoredMinutes[]>[] = []
    const atOnce = commandsAtOnce / 2
    for (let at = 0; at < keys.length; at += atOnce) parts.push(readMetrics(keys.slice(at, at + atOnce), minutes))
    return (await Promise.all(parts)).flat().map((metrics) => toMinutes(metrics, minutes, now))
  }

  return async (names: readonly QueueName[], minutes: number): Promise<QueueHistory[]> => {
    const now = Date.now()
    const read = async (keyOf: (queue: QueueKeys) => string): Promise<number[][]> => {
      const ofPartitions = await Promise.all(
        queues.partitions.all.map((partition) =>
          readPartition(
            names.map((name) => keyOf(queues.in(name, partition))),
            minutes,
            now,
          ),
        ),
      )
      return ofPartitions.reduce((sums, counts) => sums.map((sum, at) => addMinutes(sum, counts[at] as number[])))
    }
    const [completed, failed] = await Promise.all([
      read(({ metricsCompleted }) => metricsCompleted),
      read(({ metricsFailed }) => metricsFailed),
    ])
    const from = new Date((Math.floor(now / minuteMs) - (minutes - 1)) * minuteMs).toISOString()
    return names.map((_name, at) => ({ from, stepMs: minuteMs, completed: completed[at] as number[], failed: failed[at] as number[] }))
  }
}

const addMinutes = (some: readonly number[], others: readonly number[]): number[] => some.map((count, at) => count + (others[at] ?? 0))

export type ReadQueueHistories = ReturnType<typeof createQueueHistory>
