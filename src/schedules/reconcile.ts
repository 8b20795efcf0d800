// Brings the clock of a schedule in line with its record, whoever changed or broke either of them.

import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { Duty } from '../runtime/duty.js'
import type { ScheduleClock } from './clock.js'
import { isOver, type ScheduleRecords, type StoredSchedule } from './record.js'
import { dueAtOf, firstRun, timingFingerprint } from './timing.js'

/** A record that changes all the time is left to the next look. */
const roundsMax = 5
/** Overdue for longer than this without a job that says so: it was lost, not late. */
const lostTickMs = 60_000

/** What a decision was made by; the state beside it does not matter. */
const versionOf = (stored: StoredSchedule | null): string | null => stored && JSON.stringify([stored.record, stored.timing])

/**
 * Aligns one schedule; harmless at any time and in any number. Resolves with what it did last.
 * Record and clock are two writes: a crash, or a change by somebody else between them, is healed by the next call.
 * Rejects with the error of Redis.
 */
export const createReconcile = ({ records, clock }: { records: ScheduleRecords; clock: ScheduleClock }) => {
  const alignOnce = async (key: string, stored: StoredSchedule | null): Promise<'kept' | 'set' | 'removed'> => {
    const running = await clock.read(key)
    const timing = stored?.timing
    const tick = timing && running?.print === timingFingerprint(timing) ? running.nextAt : undefined
    const dueAt = timing && (tick === undefined ? firstRun(timing, Date.now()) : dueAtOf(timing, tick))
    if (!stored || !timing || dueAt === undefined || isOver(stored, dueAt)) {
      if (running) await clock.remove(key)
      return 'removed'
    }
    const isLost = tick !== undefined && tick < Date.now() - lostTickMs && !(await clock.hasTick(key, tick))
    if (tick !== undefined && !isLost) return 'kept'
    await clock.set(key, timing)
    return 'set'
  }

  return async (key: string): Promise<'kept' | 'set' | 'removed'> => {
    let stored = await records.read(key)
    for (let round = 1; ; round++) {
      const done = await alignOnce(key, stored)
      if (done === 'kept' || round === roundsMax) return done
      const now = await records.read(key)
      if (versionOf(now) === versionOf(stored)) return done
      stored = now
    }
  }
}

export type Reconcile = ReturnType<typeof createReconcile>

/** One worker at a time looks at every schedule this often. */
const reconcileIntervalMs = 30_000

/** A duty: reconciles every schedule. It begins once Redis is there. */
export const createReconcileDuty = ({
  reconcile,
  connection,
  log,
  records,
}: {
  reconcile: Reconcile
  connection: RedisClient
  log: Logger
  records: ScheduleRecords
}): Duty => ({
  name: 'schedules',
  everyMs: reconcileIntervalMs,
  startsAtOnce: true,
  isShared: true,
  async run(signal) {
    for await (const keys of records.all()) {
      for (const key of keys) {
        if (signal.aborted) return
        const done = await reconcile(key)
        if (done !== 'kept') log.debug({ schedule: key, done }, 'schedule reconciled')
      }
    }
  },
  failure: 'looking after schedules failed',
  canEnd: () => connection.status === 'ready',
})
