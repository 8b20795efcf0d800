// What clients see of leases and of the programs that hold them.

import { type Static, type TObject, type TSchema, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import { JobView, type JobView as JobViewType } from '../types/job-schema.js'
import { QueueNameText } from '../types/queue-name.js'
import { closed, DurationMs, Matching, Nullable, StringEnum, Text, Time } from '../types/schema-parts.js'
import { TaggedUnion } from '../types/tagged-union.js'
import { leaseIdCharsMax } from './lease-id.js'

export const leasesMax = 100
export const typesMax = 100
/** In one heartbeat, and in one settlement. */
export const itemsMax = 1000
export const leaseMsDefault = 30_000
const leaseMsMin = 5000
const leaseMsMax = 3_600_000
const waitMsMax = 30_000
const logLinesMax = 100
const logLineCharsMax = 2000
/** Characters of JSON. */
export const progressCharsMax = 4096
export const checkpointCharsMax = 32_768

export const WorkerName = Matching(
  '^[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}$',
  'must be 1 to 128 letters, digits and . _ : @ -, and begin with a letter or digit',
  {
    maxLength: 128,
    description: 'Name of the worker, such as its host name and process ID. Each running program needs its own.',
    examples: ['resizer-7f9c-1'],
  },
)

export const LeaseId = Type.String({
  maxLength: leaseIdCharsMax,
  description: 'ID of the lease. It names one attempt of one job.',
  examples: ['resize-image_3q2AMb1cT7mR0wZk9vYxFg.Jx0cZQk1b2m3n4o5p6q7r8s9t0u1v2'],
})

const LeaseMs = DurationMs(
  leaseMsMin,
  leaseMsMax,
  'How long the lease lasts without a heartbeat. It ends no later than the timeout of the attempt.',
)

export const LeaseRequest = Type.Object(
  {
    worker: WorkerName,
    types: Type.Array(QueueNameText({ description: 'Name of a job type.' }), {
      minItems: 1,
      maxItems: typesMax,
      uniqueItems: true,
      description: 'Job types that the worker runs. Whichever has a job first is served.',
    }),
    max: Type.Optional(Type.Integer({ minimum: 1, maximum: leasesMax, default: 1, description: 'Maximum number of jobs.' })),
    waitMs: Type.Optional({
      ...DurationMs(0, waitMsMax, 'How long to wait for a job if there is none. MAX_WAIT_MS may limit it further.'),
      default: 0,
    } as ReturnType<typeof DurationMs>),
    leaseMs: Type.Optional({ ...LeaseMs, default: leaseMsDefault } as typeof LeaseMs),
  },
  {
    ...closed,
    $id: 'LeaseRequest',
    description: 'Who asks for which jobs.',
    examples: [{ worker: 'resizer-7f9c-1', types: ['resize-image'], max: 10, waitMs: 20_000, leaseMs: 30_000 }],
  },
)
export type LeaseRequest = Static<typeof LeaseRequest>

/** Nothing else of a job is shown in clear. */
export const LeasedJob = Type.Object(
  {
    ...(JobView as TObject).properties,
    data: Type.Unknown({ description: 'As submitted, sensitive members included.' }),
    traceparent: Nullable(Type.String(), { description: 'W3C trace context of the submission; null if there was none.' }),
  },
  { $id: 'LeasedJob', description: 'A job as the worker that leases it sees it.' },
)

export const Lease = Type.Object(
  {
    lease: LeaseId,
    expiresAt: Time({ description: 'When the job goes to another worker unless a heartbeat arrives first.' }),
    checkpoint: Type.Unknown({ description: 'What an earlier attempt left with its last heartbeat; null if there is nothing.' }),
    job: Type.Ref('LeasedJob') as TSchema,
  },
  { $id: 'Lease', ...closed, description: 'One attempt of one job, held by a worker.' },
)
export interface HandedLease {
  readonly lease: string
  readonly expiresAt: string
  readonly checkpoint: unknown
  readonly job: JobViewType & { readonly traceparent: string | null }
}

const Log = Type.Array(Type.String({ maxLength: logLineCharsMax }), {
  maxItems: logLinesMax,
  description: "Lines for the job's log. No secrets.",
})
const Progress = Type.Unsafe<number | Record<string, unknown>>({
  description: 'A number from 0 to 100, or a small object.',
  anyOf: [{ type: 'number', minimum: 0, maximum: 100 }, { type: 'object' }],
})
const notes = { log: Type.Optional(Log), progress: Type.Optional(Progress) }

export const beatMembers = {
  leaseMs: Type.Optional(LeaseMs),
  ...notes,
  checkpoint: Type.Optional(
    Type.Unknown({ description: 'Given to the next attempt if this one does not complete. At most 32 KiB of JSON.' }),
  ),
}
export const Beat = Type.Object(
  { lease: LeaseId, ...beatMembers },
  { ...closed, $id: 'LeaseHeartbeat', description: 'A sign of life for one lease.' },
)
export type Beat = Static<typeof Beat>

export const BeatResult = Type.Object(
  {
    lease: LeaseId,
    status: StringEnum(['held', 'cancelled', 'lost'], {
      description:
        '`held`: extended. `cancelled`: the job was cancelled and the lease is not extended; stop, and settle it before it expires. `lost`: it is over; stop.',
    }),
    expiresAt: Nullable(Time(), { description: 'When the lease expires; null if it is lost.' }),
  },
  { ...closed, $id: 'LeaseStatus', description: 'What became of one lease.' },
)
export type BeatResult = Static<typeof BeatResult>

export const WorkerOrder = StringEnum(['run', 'drain', 'stop'], {
  description:
    '`run`: go on. `drain`: an operator wants the worker to stop; settle what it holds, no more jobs are leased to it. `stop`: as `drain`, and it holds nothing anymore.',
})
export type WorkerOrder = Static<typeof WorkerOrder>

export const RemoteError = Type.Object(
  {
    code: Matching('^[a-z][a-z0-9_.]{0,63}$', 'must be 1 to 64 lowercase letters, digits, _ and ., and begin with a letter', {
      maxLength: 64,
    }),
    message: Text(500, { description: 'What happened, in one sentence without secrets.' }),
    retryable: Type.Boolean({ description: 'Whether another attempt may succeed.' }),
  },
  { ...closed, description: 'Why the attempt failed.' },
)

export const completeMembers = {
  result: Type.Optional(Type.Unknown({ description: 'Must match the result schema of the job type; null if omitted.' })),
  ...notes,
}
export const failMembers = {
  error: RemoteError,
  retryAfterMs: Type.Optional(DurationMs(0, day, 'Minimum delay before the next attempt. The backoff of the job applies if it is longer.')),
  ...notes,
}
export const releaseMembers = notes

/** `outcome` tells the forms apart. */
const settlement = <const O extends string, M extends Record<string, TSchema>>($id: string, outcome: O, members: M, description: string) =>
  Type.Object({ lease: LeaseId, outcome: StringEnum([outcome]), ...members }, { ...closed, $id, description })
const Completed = settlement('LeaseCompleted', 'completed', completeMembers, 'The attempt succeeded.')
const Failed = settlement('LeaseFailed', 'failed', failMembers, 'The attempt failed.')
const Released = settlement('LeaseReleased', 'released', releaseMembers, 'The job returns to the queue without counting an attempt.')
export const settlementForms = [Completed, Failed, Released] as const
export type Settlement = Static<(typeof settlementForms)[number]>

/** As it is checked: it refers to nothing outside itself. */
export const checkedSettlement = TaggedUnion(
  'outcome',
  settlementForms.map(({ $id: _, ...form }) => form as TObject),
  'How one attempt ended.',
)

/** As it is described: its forms have names. */
export const Settlement = Type.Unsafe<Settlement>({
  ...checkedSettlement,
  $id: 'LeaseSettlement',
  oneOf: settlementForms.map(({ $id }) => Type.Ref($id as string)),
})

export const SettledState = StringEnum(['completed', 'failed', 'retrying', 'deferred', 'released', 'cancelled'], {
  description:
    'What became of the job: `retrying` after an error, `deferred` because a follow-up could not be stored, `cancelled` whatever was said if a client cancelled it.',
})

export const SettleResult = Type.Object(
  {
    lease: Type.Union([LeaseId, Type.Null()]),
    status: Type.Integer({ description: '200, or the status that the settlement would have had by itself.' }),
    outcome: Type.Optional(SettledState),
    error: Type.Optional(Type.Ref('Problem') as TSchema),
  },
  { ...closed, $id: 'LeaseSettlementResult', description: 'The answer to one settlement.' },
)

export const SettledLease = Type.Object({ lease: LeaseId, outcome: SettledState }, { ...closed, description: 'The lease is settled.' })

export const RemoteWorker = Type.Object(
  {
    worker: WorkerName,
    types: Type.Array(Type.String(), { description: 'Job types that it asked for last.' }),
    leases: Type.Integer({ minimum: 0, description: 'Number of leases that it holds, as of a few seconds ago.' }),
    order: WorkerOrder,
    lastSeenAt: Time({ description: 'When it last polled or sent a heartbeat, to a few seconds.' }),
    version: Nullable(Type.String(), { description: 'Its User-Agent.' }),
  },
  { ...closed, $id: 'RemoteWorker', description: 'A program that leases jobs.' },
)
export type RemoteWorker = Static<typeof RemoteWorker>
