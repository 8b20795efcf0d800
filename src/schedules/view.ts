// A schedule as clients see it: secrets masked, times written out, the next runs on demand.

import { day } from '../runtime/durations.js'
import type { SchedulePayloads } from './payload.js'
import { isOver, type StoredSchedule } from './record.js'
import type { ScheduleView } from './schema.js'
import { dueAtOf, runsAfter } from './timing.js'

const iso = (ms: number): string => new Date(ms).toISOString()
const isoOrNull = (ms: number | null | undefined): string | null => (ms === null || ms === undefined ? null : iso(ms))

/** When the next run is due, given when the clock is; null: there is none. */
const nextRunAt = (stored: StoredSchedule, tick: number | null): number | null => {
  const dueAt = tick === null ? null : dueAtOf(stored.timing, tick)
  return dueAt === null || isOver(stored, dueAt) ? null : dueAt
}

/** Rare dates are costly to find: leap days beyond this are not looked for. */
const previewAheadMsMax = 10 * 366 * day

/** At most `count` runs from the next one on, none of them after the end or beyond the limit. */
const nextRuns = ({ record, timing, runs }: StoredSchedule, first: number | null, count: number): string[] => {
  if (first === null) return []
  const { endAt = Number.POSITIVE_INFINITY, limit = Number.POSITIVE_INFINITY } = record
  const wanted = Math.min(count, limit - runs)
  const until = Math.min(endAt, first + previewAheadMsMax)
  const found = [first]
  // What is overdue is one run, however much was missed.
  for (const at of runsAfter(timing, Math.max(first, Date.now()))) {
    if (found.length >= wanted || at > until) break
    found.push(at)
  }
  return found.map(iso)
}

/** `tick` is when the clock is due, null when it does not run; `preview` how many of the next runs are wanted. */
export const createScheduleView =
  (payloads: SchedulePayloads) =>
  (stored: StoredSchedule, tick: number | null, preview?: number): ScheduleView => {
    const { createdAt, updatedAt, runs, skipped, lastRun } = stored
    const record = payloads.mask(stored.record)
    const next = nextRunAt(stored, tick)
    return {
      id: record.id,
      type: record.type,
      queue: record.queue,
      data: record.data,
      options: record.options ?? {},
      userId: record.userId ?? null,
      correlationId: record.correlationId ?? null,
      metadata: record.metadata ?? {},
      ...(record.followUps === undefined ? {} : { followUps: record.followUps }),
      cron: record.cron ?? null,
      timezone: record.cron === undefined ? null : (record.timezone ?? 'UTC'),
      everyMs: record.everyMs ?? null,
      startAt: isoOrNull(record.startAt),
      endAt: isoOrNull(record.endAt),
      limit: record.limit ?? null,
      createdAt: iso(createdAt),
      updatedAt: iso(updatedAt),
      nextRunAt: isoOrNull(next),
      runs,
      skippedRuns: skipped,
      lastRun: lastRun && { jobId: lastRun.jobId, dueAt: iso(lastRun.dueAt) },
      ...(preview === undefined ? {} : { nextRuns: nextRuns(stored, next, preview) }),
    }
  }
