// A queue of BullMQ job schedulers, which ticks at the times that a schedule says.

import { Queue, type RepeatOptions } from 'bullmq'
import type { RedisClient } from '../../redis/connect.js'

/** No job type has its jobs here, and no client sees it. */
export const schedulerQueue = 'schedules'

/** When a scheduler ticks: by an expression in a time zone, or at even distances. Times are milliseconds since 1970. */
export type Repeat =
  | { readonly pattern: string; readonly tz: string; readonly startDate?: number }
  | { readonly every: number; readonly startDate: number }

/** The first moment after `after` at which a cron expression is due; undefined: never. BullMQ asks it, so that clock and previews agree. */
export type NextCronRun = (cron: string, timezone: string | undefined, startAt: number | undefined, after: number) => number | undefined

/** The setting of BullMQ that asks `next`; queue and worker have to be given the same. */
export const toRepeatStrategy =
  (next: NextCronRun) =>
  (after: number, { pattern, tz, startDate }: RepeatOptions): number | undefined =>
    next(pattern as string, tz, startDate === undefined ? undefined : Number(startDate), after)

const retryDelayMs = 2000
/** A tick is retried until it is submitted or a newer one takes its place; what it becomes is a job of its own, with limits of its own. */
const tickOptions = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: retryDelayMs },
  removeOnComplete: true,
  removeOnFail: true,
  stackTraceLimit: 1,
}

/** `D` is what each tick carries. Keys are digests: BullMQ builds names of its own keys from them. Every call rejects with the error of Redis. */
export const openSchedulerQueue = <D>({ redis, prefix, next }: { redis: RedisClient; prefix: string; next: NextCronRun }) => {
  const queue = new Queue(schedulerQueue, {
    connection: redis,
    prefix,
    skipVersionCheck: true,
    skipWaitingForReady: true,
    skipMetasUpdate: true,
    settings: { repeatStrategy: toRepeatStrategy(next) },
  })
  // The connection reports its errors itself; without a listener one of them would end the process.
  queue.on('error', () => {})
  const scores = `${prefix}:${schedulerQueue}:repeat`

  return {
    /** Starts, or starts over. What was due and not yet served is dropped. */
    async set(key: string, repeat: Repeat, data: D): Promise<void> {
      // BullMQ keeps parts of a former timing when it is replaced.
      await queue.removeJobScheduler(key)
      await queue.upsertJobScheduler(key, repeat, { name: 'tick', data, opts: tickOptions })
    },

    async remove(key: string): Promise<void> {
      await queue.removeJobScheduler(key)
    },

    /** What its ticks carry, and when it ticks next; null when it does not run. */
    async read(key: string): Promise<{ data: D | undefined; nextAt: number } | null> {
      const scheduler = await queue.getJobScheduler(key)
      if (scheduler?.next === undefined || scheduler.next === null) return null
      return { data: scheduler.template?.data as D | undefined, nextAt: scheduler.next }
    },

    /** When each ticks next; null for those that do not run. */
    async nextAt(keys: readonly string[]): Promise<(number | null)[]> {
      if (keys.length === 0) return []
      return (await redis.zmscore(scores, ...keys)).map((score) => (score === null ? null : Number(score)))
    },

    /** Whether the job is there that will tick at `dueAt`. Without one the scheduler would stand still. */
    async hasTick(key: string, dueAt: number): Promise<boolean> {
      return (await queue.getJob(`repeat:${key}:${dueAt}`)) !== undefined
    },

    close: (): Promise<void> => queue.close(),
  }
}
