// The clock of schedules: BullMQ job schedulers in a queue of their own, whose jobs only say that a schedule is due.

import { Queue, type RepeatOptions } from 'bullmq'
import type { RedisClient } from '../redis/connect.js'
import { firstRun, nextRun, type Timing, timingFingerprint, toTiming } from './timing.js'

/** No job type has its jobs here, and no client sees it. */
export const scheduleQueue = 'schedules'

/** What a tick carries: whose timing it was made by. */
export interface TickData {
  readonly print: string
}

const retryDelayMs = 2000
/** A tick is retried until it is submitted or a newer one takes its place; what it becomes is a job of its own, with limits of its own. */
const tickOptions = {
  attempts: 1_000_000,
  backoff: { type: 'fixed', delay: retryDelayMs },
  removeOnComplete: true,
  removeOnFail: true,
  stackTraceLimit: 1,
}

/** BullMQ asks this for the next run of a cron schedule, so that the clock and every preview agree. */
export const repeatStrategy = (after: number, { pattern, tz, startDate }: RepeatOptions): number | undefined => {
  const startAt = startDate === undefined ? undefined : Number(startDate)
  return nextRun(toTiming({ cron: pattern as string, timezone: tz, startAt }, after), after)
}

const toRepeat = (timing: Timing): RepeatOptions =>
  timing.kind === 'cron'
    ? { pattern: timing.cron, tz: timing.timezone, ...(timing.startAt === undefined ? {} : { startDate: timing.startAt }) }
    : // A start that lies behind is due at once.
      { every: timing.everyMs, startDate: firstRun(timing, Date.now()) as number }

/** The moment of a tick, from BullMQ's `repeat:<key>:<milliseconds>`. */
export const momentOfTick = (id: string): number => Number(id.slice(id.lastIndexOf(':') + 1))

/** Keys are digests: BullMQ builds names of its own keys from them. Every call rejects with the error of Redis. */
export const openScheduleClock = ({ redis, prefix }: { redis: RedisClient; prefix: string }) => {
  const queue = new Queue<TickData>(scheduleQueue, {
    connection: redis,
    prefix,
    skipVersionCheck: true,
    skipWaitingForReady: true,
    skipMetasUpdate: true,
    settings: { repeatStrategy },
  })
  // The connection reports its errors itself; without a listener one of them would end the process.
  queue.on('error', () => {})
  const scores = `${prefix}:${scheduleQueue}:repeat`

  return {
    /** Starts, or starts over. What was due and not yet submitted is dropped. */
    async set(key: string, timing: Timing): Promise<void> {
      // BullMQ keeps parts of a former timing when it is replaced.
      await queue.removeJobScheduler(key)
      await queue.upsertJobScheduler(key, toRepeat(timing), { name: 'tick', data: { print: timingFingerprint(timing) }, opts: tickOptions })
    },

    async remove(key: string): Promise<void> {
      await queue.removeJobScheduler(key)
    },

    /** The print of the timing it runs by, and when it is due next; null when it does not run. */
    async read(key: string): Promise<{ print: string | undefined; nextAt: number } | null> {
      const scheduler = await queue.getJobScheduler(key)
      if (scheduler?.next === undefined || scheduler.next === null) return null
      return { print: (scheduler.template?.data as TickData | undefined)?.print, nextAt: scheduler.next }
    },

    /** When each is due next; null for those that do not run. */
    async nextAt(keys: readonly string[]): Promise<(number | null)[]> {
      if (keys.length === 0) return []
      return (await redis.zmscore(scores, ...keys)).map((score) => (score === null ? null : Number(score)))
    },

    /** Whether the job is there that will say that it is due. Without one the schedule would stand still. */
    async hasTick(key: string, dueAt: number): Promise<boolean> {
      return (await queue.getJob(`repeat:${key}:${dueAt}`)) !== undefined
    },

    close: (): Promise<void> => queue.close(),
  }
}

export type ScheduleClock = ReturnType<typeof openScheduleClock>
