// Who spoke for how long: the times of every speaker merged, so that overlapping segments count once.

import { round } from './keywords.js'
import type { TranscriptSegment } from './meeting.js'

export interface TalkTime {
  readonly speakers: readonly { readonly speakerId: string; readonly ms: number; readonly share: number }[]
  readonly speechMs: number
  readonly overlapMs: number
}

/** From start to end, the end excluded; milliseconds. */
export type Interval = readonly [start: number, end: number]

/** Sorted intervals without overlap that cover the same time. Touching ones become one; empty ones vanish. */
export const mergeIntervals = (intervals: readonly Interval[]): Interval[] => {
  const merged: [number, number][] = []
  for (const [start, end] of [...intervals].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    if (end <= start) continue
    const last = merged.at(-1)
    if (last && start <= last[1]) last[1] = Math.max(last[1], end)
    else merged.push([start, end])
  }
  return merged
}

export const lengthOf = (intervals: readonly Interval[]): number =>
  mergeIntervals(intervals).reduce((sum, [start, end]) => sum + end - start, 0)

/**
 * Speakers by the time they spoke, longest first, ties in order of appearance. `share` is of the speakers' times together,
 * so that the shares add up to 1; `speechMs` counts the time in which anyone spoke, `overlapMs` what was spoken over others.
 * Out: null when no segment has a length.
 */
export const toTalkTime = (segments: readonly TranscriptSegment[]): TalkTime | null => {
  const bySpeaker = new Map<string, Interval[]>()
  for (const { speakerId, startMs, endMs } of segments) {
    const intervals = bySpeaker.get(speakerId) ?? []
    intervals.push([startMs, endMs])
    bySpeaker.set(speakerId, intervals)
  }
  const times = [...bySpeaker].map(([speakerId, intervals]) => ({ speakerId, ms: lengthOf(intervals) }))
  const sumMs = times.reduce((sum, { ms }) => sum + ms, 0)
  if (sumMs === 0) return null
  const speechMs = lengthOf([...bySpeaker.values()].flat())
  return {
    speakers: times.sort((a, b) => b.ms - a.ms).map(({ speakerId, ms }) => ({ speakerId, ms, share: round(ms / sumMs) })),
    speechMs,
    overlapMs: sumMs - speechMs,
  }
}
