// What a job looks like to clients: the view, its states, options and events.

import { type Static, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import { closed, DurationMs, Line, Nullable, StringEnum, Time } from './schema-parts.js'

export const queueNames = ['meeting', 'email', 'external-api'] as const
export type QueueName = (typeof queueNames)[number]

export const JobState = StringEnum(['waiting', 'delayed', 'active', 'completed', 'failed', 'cancelled', 'waiting-children'], {
  $id: 'JobState',
  description: 'Where the job is. completed, failed and cancelled are final.',
})
export type JobState = Static<typeof JobState>

export const finishedStates: ReadonlySet<JobState> = new Set<JobState>(['completed', 'failed', 'cancelled'])

export const JobPriority = StringEnum(['high', 'normal', 'low'], { description: 'Jobs of a higher class are taken first.' })
export type JobPriority = Static<typeof JobPriority>

export const JobId = Type.String({
  pattern: '^[a-z]{1,4}_[A-Za-z0-9_-]{20,48}$',
  maxLength: 53,
  description: 'Minted by the server; carries its queue.',
  examples: ['mail_3q2AMb1cT7mR0wZk9vYxFg'],
})

/** What a client may ask of a job besides its data. Members left out take the defaults of the job type. */
export const JobOptions = Type.Object(
  {
    priority: Type.Optional(JobPriority),
    delayMs: Type.Optional(DurationMs(0, 366 * day, 'Start no earlier than this long from now. Not together with runAt.')),
    runAt: Type.Optional(Time({ description: 'Start no earlier than this time, at most 366 days ahead. Not together with delayMs.' })),
    attempts: Type.Optional(
      Type.Integer({ minimum: 1, maximum: 25, description: 'How often the job is tried before it counts as failed.' }),
    ),
    backoff: Type.Optional(
      Type.Object(
        {
          type: StringEnum(['fixed', 'exponential'], { description: 'exponential doubles the delay after every attempt.' }),
          delayMs: DurationMs(0, day, 'Delay before the second attempt.'),
        },
        { ...closed, description: 'How long to wait between attempts.' },
      ),
    ),
    timeoutMs: Type.Optional(DurationMs(100, day, 'One attempt may take this long.')),
    expiresInMs: Type.Optional(DurationMs(1, 366 * day, 'Not started this long after it was due: failed with code `expired`.')),
  },
  { $id: 'JobOptions', ...closed, description: 'Bounds and timing of one job.' },
)
export type JobOptions = Static<typeof JobOptions>

/** Free text that a client attaches: at most 32 short values. */
export const Metadata = Type.Record(
  Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }),
  Type.Union([Type.String({ maxLength: 512 }), Type.Number(), Type.Boolean(), Type.Null()]),
  {
    $id: 'JobMetadata',
    maxProperties: 32,
    additionalProperties: false,
    description: 'Up to 32 short values of the caller, returned unchanged.',
  },
)
export type Metadata = Static<typeof Metadata>

export const UserId = Line(128, { description: "The caller's id of the user this job is for." })
export const CorrelationId = Type.String({
  pattern: '^[A-Za-z0-9._~:@/+=-]{1,128}$',
  maxLength: 128,
  description: 'Ties together what belongs together; in every log line of the job.',
})

/** Why an attempt failed: no stack, no vendor address, no secret. */
export const JobError = Type.Object(
  {
    code: Type.String({
      description: 'snake_case, with the integration in front where that is the cause.',
      examples: ['smtp.recipient_refused'],
    }),
    message: Type.String({ description: 'What happened, in one sentence.' }),
    retryable: Type.Boolean({ description: 'Whether the same job may succeed when it is tried again.' }),
  },
  { $id: 'JobError', ...closed },
)
export type JobError = Static<typeof JobError>

export const JobView = Type.Object(
  {
    id: JobId,
    type: Type.String({ description: 'Name of the job type.' }),
    queue: StringEnum(queueNames),
    state: JobState,
    data: Type.Unknown({ description: 'As submitted; sensitive members read "***".' }),
    priority: JobPriority,
    attempts: Type.Object(
      { made: Type.Integer({ minimum: 0 }), max: Type.Integer({ minimum: 1 }) },
      { ...closed, description: 'Attempts that ended, and how many there may be.' },
    ),
    progress: Type.Unknown({ description: 'A number from 0 to 100 or an object, as the handler reports it; null before.' }),
    result: Type.Unknown({ description: "The handler's result once completed, else null." }),
    error: Nullable(Type.Ref('JobError') as unknown as typeof JobError),
    userId: Nullable(Type.String()),
    correlationId: Type.String(),
    metadata: Type.Record(Type.String(), Type.Unknown()),
    idempotencyKey: Nullable(Type.String()),
    parentId: Type.Optional(JobId),
    scheduleId: Type.Optional(Type.String({ description: 'The schedule that the job is a run of.' })),
    followUps: Type.Optional(
      Type.Array(JobId, {
        description: 'Ids of the jobs that follow, in the order of `followUps`. They exist once this one has completed.',
      }),
    ),
    createdAt: Time(),
    runAt: Nullable(Time(), {
      description: 'When a delayed job is due: for the first time, or again after an attempt that failed or was deferred.',
    }),
    startedAt: Nullable(Time(), { description: 'Start of the latest attempt.' }),
    finishedAt: Nullable(Time()),
    expiresAt: Nullable(Time()),
  },
  { $id: 'Job', description: 'One piece of accepted work.' },
)

/** A job as clients see it. Times are RFC 3339 in UTC with milliseconds. */
export interface JobView {
  id: string
  type: string
  queue: QueueName
  state: JobState
  data: unknown
  priority: JobPriority
  attempts: { made: number; max: number }
  progress: unknown
  result: unknown
  error: JobError | null
  userId: string | null
  correlationId: string
  metadata: Metadata
  idempotencyKey: string | null
  parentId?: string
  scheduleId?: string
  followUps?: string[]
  createdAt: string
  runAt: string | null
  startedAt: string | null
  finishedAt: string | null
  expiresAt: string | null
}

export const jobEventNames = ['waiting', 'active', 'progress', 'completed', 'failed', 'retrying', 'cancelled'] as const
export type JobEventName = (typeof jobEventNames)[number]
