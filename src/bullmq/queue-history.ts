// How many jobs of a queue were finished in each of the last minutes, from the counts that BullMQ keeps.

import type { Metrics } from 'bullmq'
import type { QueueName } from '../types/job-schema.js'
import type { Queues } from './queues.js'

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

/**
 * The last `minutes` of one BullMQ metric as of `now` (ms since 1970), oldest first.
 * BullMQ writes a minute down only when a job finishes in a later one: `prevTS` is in the minute it counts now,
 * `prevCount` what had been finished before it, and `data` the minutes before, latest first.
 */
export const toMinutes = ({ meta, data }: Metrics, minutes: number, now: number): number[] => {
  const last = Math.floor(now / minuteMs)
  const counting = Math.floor(meta.prevTS / minuteMs)
  return Array.from({ length: minutes }, (_, index) => {
    const minute = last - (minutes - 1) + index
    if (minute > counting) return 0
    return minute === counting ? meta.count - meta.prevCount : (data[counting - 1 - minute] ?? 0)
  })
}

/** Reads one queue's history. Rejects with the error of Redis. */
export const createQueueHistory =
  (queues: Pick<Queues, 'bullmqQueue' | 'partitionsOf'>) =>
  async (queue: QueueName, minutes: number): Promise<QueueHistory> => {
    const now = Date.now()
    const read = async (type: 'completed' | 'failed') => {
      const ofPartitions = await Promise.all(
        queues.partitionsOf(queue).map((keys) => queues.bullmqQueue(keys).getMetrics(type, 0, minutes - 1)),
      )
      return ofPartitions.map((metrics) => toMinutes(metrics, minutes, now)).reduce((a, b) => a.map((count, at) => count + (b[at] ?? 0)))
    }
    const [completed, failed] = await Promise.all([read('completed'), read('failed')])
    const from = new Date((Math.floor(now / minuteMs) - (minutes - 1)) * minuteMs).toISOString()
    return { from, stepMs: minuteMs, completed, failed }
  }

export type ReadQueueHistory = ReturnType<typeof createQueueHistory>
