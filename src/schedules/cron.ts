// When a cron expression is due in a time zone: BullMQ's parser reads it, the clock changes are ours.

import { nextInUtc } from '../bullmq/scheduler/cron-expression.js'

/** Five fields: minute, hour, day of the month, month, day of the week. `H` would be drawn at random by the parser. */
const fields = /^[0-9A-GI-Z*,/?#-]+(?: [0-9A-GI-Z*,/?#-]+){4}$/i
const thursday = /\bTHU\b/gi

const dayMs = 24 * 60 * 60 * 1000

const formats = new Map<string, Intl.DateTimeFormat>()

/** A zone's format is costly to make; there are some 600 zones. */
const formatOf = (timezone: string): Intl.DateTimeFormat => {
  let format = formats.get(timezone)
  if (!format) {
    const twoDigits = { month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' } as const
    format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, hourCycle: 'h23', year: 'numeric', ...twoDigits })
    formats.set(timezone, format)
  }
  return format
}

/** How far local time is ahead of UTC at a moment, in milliseconds. */
const offsetAt = (timezone: string, at: number): number => {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatOf(timezone).formatToParts(at)) parts[type] = Number(value)
  const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = parts
  return Date.UTC(year, month - 1, day, hour, minute, second) - Math.floor(at / 1000) * 1000
}

/** Local time as milliseconds, as if it were UTC. */
type Wall = number

/**
 * `moments` at which clocks show `wall`, ascending: one as a rule, two in the hour that comes twice.
 * A time that is skipped counts from the offset before the change: 02:30 becomes 03:30.
 * No later local time has a moment before `settled`.
 */
const toMoments = (timezone: string, wall: Wall): { moments: number[]; settled: number } => {
  const before = offsetAt(timezone, wall - dayMs)
  const after = offsetAt(timezone, wall + dayMs)
  const offsets = before === after ? [before] : [before, after]
  const moments = offsets.map((offset) => wall - offset).filter((at, index) => offsetAt(timezone, at) === offsets[index])
  if (moments.length === 0) return { moments: [wall - before], settled: wall - after }
  moments.sort((a, b) => a - b)
  return { moments, settled: moments[0] as number }
}

/** Longest time without a run that counts as being due: from one 29th of February over a year without one to the next. */
const aheadMsMax = 9 * 366 * dayMs

/** The next local time after `wall`; undefined when there is none. Throws when the expression is none. */
const nextWall = (cron: string, wall: Wall): Wall | undefined =>
  // Without an end the parser searches 10,000 steps for a day that never comes, a tenth of a second.
  nextInUtc(cron, wall, wall + aheadMsMax)

/**
 * Every moment after `after` at which a schedule is due, ascending; times are milliseconds since 1970.
 * Local times that are skipped are made up for at the same distance from midnight; those that come twice count once, at first,
 * unless the hour is `*`: what is due every hour stays due every hour. No moment comes twice.
 * The parser's own handling of clock changes is not used: it loses the day whose midnight is skipped (cron-parser 5.10).
 */
export function* cronRuns(cron: string, timezone: string, after: number): Generator<number> {
  const isHourly = cron.split(' ')[1] === '*'
  let pending: number[] = []
  let last = after
  // Local times up to a clock change back may still come.
  let wall = after + offsetAt(timezone, after) - Math.abs(offsetAt(timezone, after + dayMs) - offsetAt(timezone, after - dayMs))
  for (;;) {
    const next = nextWall(cron, wall)
    let until = Number.POSITIVE_INFINITY
    if (next !== undefined) {
      wall = next
      const { moments, settled } = toMoments(timezone, wall)
      const due = isHourly ? moments : moments.slice(0, 1)
      pending = [...new Set([...pending, ...due.filter((at) => at > last)])].sort((a, b) => a - b)
      until = settled
    }
    while (pending[0] !== undefined && pending[0] <= until) {
      last = pending.shift() as number
      yield last
    }
    if (next === undefined) return
  }
}

/** Whether this is a cron expression of five fields that is due at some time. */
export const isCron = (cron: string): boolean => {
  if (!fields.test(cron.replace(thursday, '4'))) return false
  try {
    return nextWall(cron, 0) !== undefined
  } catch {
    return false
  }
}
