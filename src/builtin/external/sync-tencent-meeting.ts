// Job type: creates, changes, cancels or reads a meeting at Tencent Meeting.

import { type Static, Type } from '@sinclair/typebox'
import { defer, done, fail, retry } from '../../types/definition.js'
import type { FieldProblem } from '../../types/field-problems.js'
import { closed, Line, Nullable, StringEnum, Time } from '../../types/schema-parts.js'
import { TaggedUnion } from '../../types/tagged-union.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { VendorId } from '../../vendors/schema.js'
import type { TencentCaller, TencentMeeting } from '../../vendors/tencent-meeting/tencent-meeting.js'
import type { TencentMeetingFacts } from '../../vendors/tencent-meeting/wire.js'
import { type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'
import { MeetingId } from '../meeting/meeting-id.js'

const settingsBytesMax = 4096
/** A meeting that was created shows in the list after this long. */
const settleMs = 5000

const UserId = Line(64, { description: 'ID of a Tencent Meeting user.' })
const subject = Line(200, { description: 'Subject of the meeting.' })
const startTime = Time({ description: 'Start of the meeting.' })
const endTime = Time({ description: 'End of the meeting; after startTime.' })
const details = {
  type: Type.Optional(Type.Unsafe<0 | 1>({ type: 'integer', enum: [0, 1], description: '0: scheduled, 1: instant.' })),
  hosts: Type.Optional(Type.Array(UserId, { maxItems: 10, description: 'User IDs of the hosts.' })),
  invitees: Type.Optional(Type.Array(UserId, { maxItems: 300, description: 'User IDs of the invitees.' })),
  settings: Type.Optional(
    Type.Record(Type.String({ pattern: '^\\w{1,64}$' }), Type.Unknown(), {
      maxProperties: 64,
      additionalProperties: false,
      description: 'Settings as Tencent Meeting names them, at most 4 KiB of JSON.',
    }),
  ),
}
const NewMeeting = Type.Object({ subject, startTime, endTime, ...details }, { ...closed, description: 'The meeting to create.' })
const ChangedMeeting = Type.Object(
  { subject: Type.Optional(subject), startTime: Type.Optional(startTime), endTime: Type.Optional(endTime), ...details },
  { ...closed, minProperties: 1, description: 'What to change.' },
)

const shared = {
  meetingId: Type.Optional(MeetingId),
  tencentUserId: Type.Optional(Line(64, { description: 'Acting user. Defaults to the configured user.' })),
  instanceId: Type.Optional(Type.Integer({ minimum: 1, maximum: 32, description: 'Device type. Defaults to the configured one.' })),
}
const tencentMeetingId = Type.String({ ...VendorId, description: 'Tencent Meeting ID of the meeting.' })

const SyncTencentMeetingData = TaggedUnion(
  'action',
  [
    Type.Object({ action: Type.Literal('create'), ...shared, meetingData: NewMeeting }, { ...closed, description: 'Creates a meeting.' }),
    Type.Object(
      { action: Type.Literal('update'), ...shared, tencentMeetingId, meetingData: ChangedMeeting },
      { ...closed, description: 'Updates a meeting.' },
    ),
    Type.Object(
      {
        action: Type.Literal('delete'),
        ...shared,
        tencentMeetingId,
        subMeetingId: Type.Optional(Type.String({ ...VendorId, description: 'One meeting in a series.' })),
        reasonCode: Type.Optional(Type.Integer({ minimum: 0, maximum: 1_000_000, description: 'Your own reason code. Defaults to 1.' })),
        reasonDetail: Type.Optional(Line(200, { description: 'Reason as text.' })),
      },
      { ...closed, description: 'Cancels a meeting.' },
    ),
    Type.Object({ action: Type.Literal('fetch'), ...shared, tencentMeetingId }, { ...closed, description: 'Reads a meeting.' }),
  ],
  'Which meeting to change and how, depending on `action`.',
)
type SyncTencentMeetingData = Static<typeof SyncTencentMeetingData>

const Meeting = Type.Object(
  {
    subject: Nullable(Type.String()),
    startTime: Nullable(Type.String()),
    endTime: Nullable(Type.String()),
    status: Nullable(Type.String({ description: 'As returned by Tencent Meeting.' })),
    type: Nullable(Type.Integer()),
    hosts: Type.Array(Type.String()),
  },
  { ...closed, description: 'What Tencent Meeting returned; null for missing values.' },
)
const SyncTencentMeetingResult = Type.Object(
  {
    status: StringEnum(['created', 'updated', 'deleted', 'fetched']),
    meetingId: Type.Optional(MeetingId),
    tencentMeetingId: Type.String(),
    meetingCode: Nullable(Type.String({ description: 'The number to dial.' })),
    joinUrl: Nullable(Type.String()),
    meeting: Type.Optional(Meeting),
  },
  closed,
)
type SyncTencentMeetingResult = Static<typeof SyncTencentMeetingResult>
type Ctx = BuiltinContext<'tencentMeeting'>
type Outcome = BuiltinOutcome<SyncTencentMeetingResult>
type Create = Extract<SyncTencentMeetingData, { action: 'create' }>

/** Update, delete and fetch may be repeated as they are; create is looked up before it is made again. */
export const syncTencentMeeting = defineBuiltin({
  name: 'sync-tencent-meeting',
  queue: 'external-api',
  description:
    'Creates, updates, cancels or reads a meeting in Tencent Meeting. A create with an unknown outcome is looked up before it is retried.',
  data: SyncTencentMeetingData,
  result: SyncTencentMeetingResult,
  example: {
    action: 'create',
    meetingId: 'weekly-42',
    meetingData: { subject: 'Weekly review', startTime: '2030-01-07T09:00:00.000Z', endTime: '2030-01-07T10:00:00.000Z' },
  },
  defaults: { attempts: 3, backoff: { type: 'exponential', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: ['tencentMeeting'],
  check: (data) => ('meetingData' in data ? meetingProblems(data.meetingData) : []),
  async run(data, ctx) {
    const { tencentMeeting } = ctx.integrations
    const caller = toCaller(data, tencentMeeting)
    if (!caller) return fail('not_configured', 'Set TENCENT_MEETING_USER_ID on the workers, or set tencentUserId in the job.')
    switch (data.action) {
      case 'create':
        return create(data, caller, ctx)
      case 'update': {
        const updated = await tencentMeeting.update(data.tencentMeetingId, data.meetingData, caller, ctx.signal)
        return updated.kind === 'done' ? done(toResult('updated', data, updated.value)) : toFailedAttempt(updated)
      }
      case 'delete': {
        const { tencentMeetingId, meetingId } = data
        const cancelled = await tencentMeeting.cancel(tencentMeetingId, data, caller, ctx.signal)
        if (cancelled.kind !== 'done') return toFailedAttempt(cancelled)
        return done({ status: 'deleted', ...(meetingId ? { meetingId } : {}), tencentMeetingId, meetingCode: null, joinUrl: null })
      }
      case 'fetch': {
        const fetched = await tencentMeeting.fetch(data.tencentMeetingId, caller, ctx.signal)
        if (fetched.kind !== 'done') return toFailedAttempt(fetched)
        const { subject, startTime, endTime, status, type, hosts } = fetched.value
        return done({
          ...toResult('fetched', data, fetched.value),
          meeting: { subject, startTime, endTime, status, type, hosts: [...hosts] },
        })
      }
    }
  },
})

const meetingProblems = ({ startTime, endTime, settings }: Static<typeof ChangedMeeting>): FieldProblem[] => [
  ...(startTime !== undefined && endTime !== undefined && Date.parse(endTime) <= Date.parse(startTime)
    ? [{ pointer: '#/data/meetingData/endTime', detail: 'must be after startTime' }]
    : []),
  ...(settings !== undefined && Buffer.byteLength(JSON.stringify(settings)) > settingsBytesMax
    ? [{ pointer: '#/data/meetingData/settings', detail: 'must be at most 4 KiB of JSON' }]
    : []),
]

const toCaller = ({ tencentUserId, instanceId }: SyncTencentMeetingData, { userId }: TencentMeeting): TencentCaller | null => {
  const acting = tencentUserId ?? userId
  return acting === undefined ? null : { userId: acting, instanceId }
}

const toResult = (
  status: SyncTencentMeetingResult['status'],
  { meetingId }: { meetingId?: string },
  { tencentMeetingId, meetingCode, joinUrl }: TencentMeetingFacts,
): SyncTencentMeetingResult => ({ status, ...(meetingId ? { meetingId } : {}), tencentMeetingId, meetingCode, joinUrl })

/** One attempt is one create: it is not over before Tencent Meeting has said whether the meeting exists. */
const create = async (data: Create, caller: TencentCaller, ctx: Ctx): Promise<Outcome> => {
  const before = await ctx.marker.read()
  if (before.state === 'done') return done(before.result as SyncTencentMeetingResult)
  if (before.state === 'begun') return reconcile(data, caller, ctx)
  await ctx.marker.begin()
  const created = await ctx.integrations.tencentMeeting.create(data.meetingData, caller, ctx.signal)
  if (created.kind === 'done') return complete(data, created.value, ctx)
  if (created.kind === 'unconfirmed') return defer(created.code, created.message, settleMs)
  await ctx.marker.clear()
  return toFailedAttempt(created)
}

const reconcile = async (data: Create, caller: TencentCaller, ctx: Ctx): Promise<Outcome> => {
  const found = await ctx.integrations.tencentMeeting.findCreated(data.meetingData, caller, ctx.signal)
  if (found.kind === 'wait') return toFailedAttempt(found)
  if (found.kind !== 'done')
    return retry('tencent.outcome_unknown', 'An earlier attempt may have created the meeting, but the list of meetings cannot be read.')
  const [meeting, ...others] = found.value
  if (others.length > 0)
    return fail('tencent.outcome_unknown', `${found.value.length} meetings match the one to create; it is unclear which one it is.`)
  if (meeting) return complete(data, meeting, ctx)
  await ctx.marker.clear()
  if (ctx.isExpired) return fail('expired', 'The meeting was not created before the job expired.')
  return retry('tencent.unavailable', 'Tencent Meeting did not create the meeting; it is not in the list of meetings.')
}

const complete = async (data: Create, meeting: TencentMeetingFacts, ctx: Ctx): Promise<Outcome> => {
  const result = toResult('created', data, meeting)
  await ctx.marker.done(result)
  return done(result)
}
