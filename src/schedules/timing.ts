// When a schedule is due: by cron, or at even distances.

import { cronRuns } from './cron.js'

/** Times are milliseconds since 1970. */
export type Timing =
  | { readonly kind: 'cron'; readonly cron: string; readonly timezone: string; readonly startAt?: number }
  /** Due at `anchor` and every `everyMs` after it; `atOnce`: the anchor is when the client asked, so the first run does not wait. */
  | { readonly kind: 'every'; readonly everyMs: number; readonly anchor: number; readonly atOnce: boolean }

/** What a schedule says of when it is due. */
export interface TimingSpec {
  readonly cron?: string | undefined
  readonly timezone?: string | undefined
  readonly everyMs?: number | undefined
  readonly startAt?: number | undefined
}

/** `anchor` is what even distances are counted from. */
export const toTiming = ({ cron, timezone = 'UTC', everyMs = 0, startAt }: TimingSpec, anchor: number): Timing =>
  cron === undefined
    ? { kind: 'every', everyMs, anchor, atOnce: startAt === undefined }
    : { kind: 'cron', cron, timezone, ...(startAt === undefined ? {} : { startAt }) }

/** Two timings are the same exactly when their prints are. */
export const timingFingerprint = (timing: Timing): string => JSON.stringify(Object.entries(timing).sort())

/** Every moment after `after` at which a schedule is due, ascending. */
export function* runsAfter(timing: Timing, after: number): Generator<number> {
  if (timing.kind === 'cron') {
    yield* cronRuns(timing.cron, timing.timezone, Math.max(after, (timing.startAt ?? 0) - 1))
    return
  }
  const { anchor, everyMs } = timing
  const steps = Math.max(0, Math.floor((after - anchor) / everyMs) + 1)
  for (let at = anchor + steps * everyMs; ; at += everyMs) yield at
}

/** When a schedule is due after `after`; undefined: never. A run that is due exactly at `startAt` counts. */
export const nextRun = (timing: Timing, after: number): number | undefined => {
  for (const at of runsAfter(timing, after)) return at
  return undefined
}

/** When a schedule whose clock is set now is due for the first time, in the past when that is at once; undefined: never. */
export const firstRun = (timing: Timing, now: number): number | undefined => {
  const isDue = timing.kind === 'every' && timing.atOnce && now >= timing.anchor && now - timing.anchor < timing.everyMs
  return isDue ? timing.anchor : nextRun(timing, now)
}

/**
 * Which run a tick of the clock stands for. Even distances are counted from the anchor, so that a clock that is set twice
 * is due twice for one and the same run.
 */
export const dueAtOf = (timing: Timing, tick: number): number =>
  timing.kind === 'cron' ? tick : timing.anchor + Math.max(0, Math.floor((tick - timing.anchor) / timing.everyMs)) * timing.everyMs
