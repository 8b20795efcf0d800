// The clock of schedules: each ticks when its timing says so, and a tick says by which timing.

import { type NextCronRun, openSchedulerQueue, type Repeat } from '../bullmq/scheduler/scheduler-queue.js'
import type { RedisClient } from '../redis/connect.js'
import { firstRun, nextRun, type Timing, timingFingerprint, toTiming } from './timing.js'

/** What a tick carries. `print` is its name in Redis since the first version. */
export interface TickData {
  /** The fingerprint of the timing that the tick was made by. */
  readonly print: string
}

/** The same for the clock and every preview. */
export const nextCronRun: NextCronRun = (cron, timezone, startAt, after) => nextRun(toTiming({ cron, timezone, startAt }, after), after)

const toRepeat = (timing: Timing): Repeat =>
  timing.kind === 'cron'
    ? { pattern: timing.cron, tz: timing.timezone, ...(timing.startAt === undefined ? {} : { startDate: timing.startAt }) }
    : // A start that lies behind is due at once.
      { every: timing.everyMs, startDate: firstRun(timing, Date.now()) as number }

/** Every call rejects with the error of Redis. */
export const openScheduleClock = ({ redis, prefix }: { redis: RedisClient; prefix: string }) => {
  const queue = openSchedulerQueue<TickData>({ redis, prefix, next: nextCronRun })
  return {
    ...queue,
    /** Starts, or starts over. What was due and not yet submitted is dropped. */
    set: (key: string, timing: Timing): Promise<void> => queue.set(key, toRepeat(timing), { print: timingFingerprint(timing) }),

    /** The fingerprint of the timing it runs by, and when it is due next; null when it does not run. */
    async read(key: string): Promise<{ print: string | undefined; nextAt: number } | null> {
      const found = await queue.read(key)
      return found && { print: found.data?.print, nextAt: found.nextAt }
    },
  }
}

export type ScheduleClock = ReturnType<typeof openScheduleClock>
