// What a schedule looks like to clients: when it recurs, which job it submits, and what became of it.

import { type Static, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import type { FollowUp } from '../types/follow-up.js'
import { JobId, JobOptions, type Metadata } from '../types/job-schema.js'
import { type QueueName, QueueNameText } from '../types/queue-name.js'
import { closed, DurationMs, Nullable, Time } from '../types/schema-parts.js'
import { TimeZone } from '../types/time-zone.js'

export const ScheduleId = Type.String({
  pattern: '^[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}$',
  maxLength: 128,
  description: "The caller's ID for the schedule.",
  examples: ['daily-report'],
})

/** What a submission may ask of its job, without the members that say when it is due: the schedule does. */
export const ScheduleOptions = Type.Omit(JobOptions, ['delayMs', 'runAt'], {
  $id: 'ScheduleOptions',
  ...closed,
  description: 'Options of every run.',
})
export type ScheduleOptions = Static<typeof ScheduleOptions>

const everyMsMin = 1000
const everyMsMax = 366 * day
/** How far ahead a schedule may begin. */
export const startAheadMsMax = 5 * 366 * day
/** Most runs that can be asked for in advance. */
export const previewMax = 50

/** The members of a schedule that a submission does not have. */
export const scheduleMembers = {
  cron: Type.Optional(
    Type.String({
      minLength: 9,
      maxLength: 100,
      pattern: '^[A-Za-z0-9*,/?# -]+$',
      description:
        'Minute, hour, day of the month, month, day of the week. Names, ranges, lists, steps, `L` and `#` are supported. Set either this or everyMs.',
      examples: ['0 9 * * MON-FRI'],
    }),
  ),
  timezone: Type.Optional({ ...TimeZone, description: 'IANA time zone of `cron`. Defaults to UTC.' }),
  everyMs: Type.Optional(DurationMs(everyMsMin, everyMsMax, 'Interval between runs. The first run is due at once, or at startAt.')),
  startAt: Type.Optional(
    Time({ description: 'No run is due before this time, at most 5 years in the future. With everyMs, runs stay aligned with it.' }),
  ),
  endAt: Type.Optional(Time({ description: 'No run is due after this time.' })),
  limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000_000_000, description: 'Total number of runs.' })),
}

/** When a schedule is due, as clients write it. */
export interface ScheduleTiming {
  readonly cron?: string
  readonly timezone?: string
  readonly everyMs?: number
  readonly startAt?: string
  readonly endAt?: string
  readonly limit?: number
}

export const ScheduleView = Type.Object(
  {
    id: ScheduleId,
    type: Type.String({ description: 'Name of the job type.' }),
    queue: QueueNameText(),
    data: Type.Unknown({ description: 'Data of every run. Sensitive members appear as "***".' }),
    options: Type.Unsafe<ScheduleOptions>(Type.Ref(ScheduleOptions.$id as string)),
    userId: Nullable(Type.String()),
    correlationId: Nullable(Type.String(), { description: 'Correlation ID of every run; null if each run gets its own.' }),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    followUps: Type.Optional(Type.Array(Type.Unknown(), { description: 'Jobs that follow every run.' })),
    cron: Nullable(Type.String()),
    timezone: Nullable(Type.String()),
    everyMs: Nullable(Type.Integer()),
    startAt: Nullable(Time()),
    endAt: Nullable(Time()),
    limit: Nullable(Type.Integer()),
    createdAt: Time(),
    updatedAt: Time(),
    nextRunAt: Nullable(Time(), {
      description: 'When the next run is due. It is in the past while no worker is alive, and null if the schedule is over.',
    }),
    runs: Type.Integer({ minimum: 0, description: 'Number of runs so far, not counting manual triggers.' }),
    skippedRuns: Type.Integer({ minimum: 0, description: 'Runs skipped because earlier ones were still waiting or the queue was full.' }),
    lastRun: Nullable(Type.Object({ jobId: JobId, dueAt: Time() }, { ...closed, description: 'The latest run.' })),
    nextRuns: Type.Optional(
      Type.Array(Time(), { description: 'When the next runs are due, at most 10 years in the future. Only present with `preview`.' }),
    ),
  },
  { $id: 'Schedule', ...closed, description: 'A recurring job.' },
)

/** A schedule as clients see it. Times are RFC 3339 in UTC with milliseconds. */
export interface ScheduleView {
  id: string
  type: string
  queue: QueueName
  data: unknown
  options: ScheduleOptions
  userId: string | null
  correlationId: string | null
  metadata: Metadata
  followUps?: readonly FollowUp[]
  cron: string | null
  timezone: string | null
  everyMs: number | null
  startAt: string | null
  endAt: string | null
  limit: number | null
  createdAt: string
  updatedAt: string
  nextRunAt: string | null
  runs: number
  skippedRuns: number
  lastRun: { jobId: string; dueAt: string } | null
  nextRuns?: string[]
}
