// Job type: brings what is known of a meeting into a Lark table or to Tencent Meeting.

import { type Static, Type } from '@sinclair/typebox'
import { MeetingData } from '../../analysis/meeting.js'
import { done, fail } from '../../types/definition.js'
import type { FieldProblem } from '../../types/field-problems.js'
import { closed, Line, StringEnum } from '../../types/schema-parts.js'
import { TaggedUnion } from '../../types/tagged-union.js'
import { AppToken, TableId } from '../../vendors/lark/schema.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { VendorId } from '../../vendors/schema.js'
import { type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'
import { MeetingId } from './meeting-id.js'

const shared = {
  meetingId: MeetingId,
  meetingData: Type.Unsafe<MeetingData>({ ...MeetingData, minProperties: 1 }),
}
const ToLark = Type.Object(
  {
    syncTarget: Type.Literal('lark-bitable'),
    ...shared,
    appToken: Type.Optional(AppToken),
    tableId: Type.Optional(TableId),
    keyField: Type.Optional(Line(100, { description: 'Column that contains the meeting ID. Defaults to the configured one.' })),
    fieldMap: Type.Optional(
      Type.Record(Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }), Line(100), {
        maxProperties: 50,
        additionalProperties: false,
        description: 'Maps names in meetingData, or in its custom member, to columns. Other names go to the column of the same name.',
      }),
    ),
  },
  {
    ...closed,
    description: [
      'Writes one record per meeting to a Lark Bitable table. Times are written as milliseconds since 1970 (date columns),',
      'recordingUrl as a link (URL column), people and action items as text.',
    ].join(' '),
  },
)
const ToTencent = Type.Object(
  {
    syncTarget: Type.Literal('tencent-meeting'),
    ...shared,
    tencentMeetingId: Type.String({ ...VendorId, description: 'Tencent Meeting ID of the meeting.' }),
    tencentUserId: Type.Optional(Line(64, { description: 'Acting user. Defaults to the configured user.' })),
  },
  { ...closed, description: 'Updates title, startTime and endTime of a meeting in Tencent Meeting, which accepts nothing else.' },
)
type ToLark = Static<typeof ToLark>
type ToTencent = Static<typeof ToTencent>

const SyncMeetingDataResult = Type.Object(
  {
    status: StringEnum(['created', 'updated', 'unchanged']),
    externalId: Type.String({ description: 'ID of the Lark record or the Tencent Meeting meeting.' }),
    syncedFields: Type.Array(Type.String(), { description: 'Names in meetingData, or in its custom member, that were written.' }),
  },
  closed,
)
type Outcome = BuiltinOutcome<Static<typeof SyncMeetingDataResult>>

/** An upsert: repeating it changes nothing further. */
export const syncMeetingData = defineBuiltin({
  name: 'sync-meeting-data',
  queue: 'meeting',
  description: 'Writes facts about a meeting to a Lark Bitable table, one record per meeting, or updates the meeting in Tencent Meeting.',
  data: TaggedUnion('syncTarget', [ToLark, ToTencent], 'What to sync and where, depending on `syncTarget`.'),
  result: SyncMeetingDataResult,
  example: {
    syncTarget: 'lark-bitable',
    meetingId: 'weekly-42',
    meetingData: { title: 'Weekly review', startTime: '2030-01-07T09:00:00.000Z', durationMs: 3_600_000 },
    fieldMap: { title: 'Title', startTime: 'Start' },
  },
  defaults: { attempts: 5, backoff: { type: 'exponential', delayMs: 3000 }, priority: 'normal', timeoutMs: 120_000 },
  requires: [],
  requiresOneOf: ['lark', 'tencentMeeting'],
  check: (data) => (data.syncTarget === 'lark-bitable' ? larkProblems(data) : tencentProblems(data)),
  run: (data, ctx) => (data.syncTarget === 'lark-bitable' ? syncToLark(data, ctx) : syncToTencent(data, ctx)),
})

const syncToLark = async ({ meetingId, meetingData, fieldMap, ...data }: ToLark, ctx: BuiltinContext): Promise<Outcome> => {
  const { lark } = ctx.integrations
  if (!lark) return notConfigured('LARK_APP_ID')
  const { appToken, tableId } = data.appToken && data.tableId ? data : lark.meetings
  if (!appToken || !tableId) return notConfigured('LARK_MEETING_APP_TOKEN and LARK_MEETING_TABLE_ID')
  const values = toValues(meetingData)
  const fields = Object.fromEntries(Object.entries(values).map(([name, value]) => [toColumn(name, fieldMap), value]))
  const key = { keyField: data.keyField ?? lark.meetings.keyField, keyValue: meetingId }
  const written = await lark.upsert({ appToken, tableId }, key, fields, { reference: ctx.jobId, signal: ctx.signal })
  if (written.kind !== 'done') return toFailedAttempt(written)
  const { recordId, status } = written.value
  return done({ status, externalId: recordId, syncedFields: Object.keys(values) })
}

const syncToTencent = async ({ meetingData, tencentMeetingId, tencentUserId }: ToTencent, ctx: BuiltinContext): Promise<Outcome> => {
  const { tencentMeeting } = ctx.integrations
  if (!tencentMeeting) return notConfigured('TENCENT_MEETING_SECRET_ID')
  const userId = tencentUserId ?? tencentMeeting.userId
  if (userId === undefined) return notConfigured('TENCENT_MEETING_USER_ID')
  const { title, startTime, endTime } = meetingData
  const updated = await tencentMeeting.update(tencentMeetingId, { subject: title, startTime, endTime }, { userId }, ctx.signal)
  if (updated.kind !== 'done') return toFailedAttempt(updated)
  const syncedFields = tencentNames.filter((name) => meetingData[name] !== undefined)
  return done({ status: 'updated', externalId: tencentMeetingId, syncedFields })
}

const tencentNames = ['title', 'startTime', 'endTime'] as const

const notConfigured = (variables: string) => fail('not_configured', `Set ${variables} on the workers.`)

const tencentProblems = ({ meetingData }: ToTencent): FieldProblem[] => {
  const { startTime, endTime } = meetingData
  if (tencentNames.every((name) => meetingData[name] === undefined)) {
    return [{ pointer: '#/data/meetingData', detail: 'needs title, startTime or endTime, because Tencent Meeting accepts nothing else' }]
  }
  const isReversed = startTime !== undefined && endTime !== undefined && Date.parse(endTime) <= Date.parse(startTime)
  return isReversed ? [{ pointer: '#/data/meetingData/endTime', detail: 'must be after startTime' }] : []
}

const larkProblems = ({ meetingData, fieldMap, keyField, appToken, tableId }: ToLark): FieldProblem[] => {
  const columns = Object.keys(toValues(meetingData)).map((name) => toColumn(name, fieldMap))
  const isTwice = new Set(columns).size < columns.length || (keyField !== undefined && columns.includes(keyField))
  const lacks = appToken === undefined ? 'appToken' : 'tableId'
  return [
    ...((appToken === undefined) !== (tableId === undefined)
      ? [{ pointer: `#/data/${lacks}`, detail: 'is missing: set both appToken and tableId, or neither' }]
      : []),
    ...(isTwice ? [{ pointer: '#/data/fieldMap', detail: 'maps two values, or a value and the meeting ID, to the same column' }] : []),
  ]
}

const toColumn = (name: string, fieldMap: ToLark['fieldMap'] = {}): string =>
  Object.hasOwn(fieldMap, name) ? (fieldMap[name] as string) : name

/** Values as columns take them, by their name in meetingData; `custom` is spread out. */
const toValues = ({ startTime, endTime, organizer, participants, recordingUrl, actionItems, custom, ...plain }: MeetingData) =>
  withoutUndefined({
    ...custom,
    ...plain,
    startTime: startTime === undefined ? undefined : Date.parse(startTime),
    endTime: endTime === undefined ? undefined : Date.parse(endTime),
    organizer: organizer && (organizer.name ?? organizer.email ?? organizer.id),
    participants: participants?.map(({ name }) => name).join(', '),
    recordingUrl: recordingUrl === undefined ? undefined : { link: recordingUrl, text: recordingUrl },
    actionItems: actionItems?.join('\n'),
  })

const withoutUndefined = (values: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined))
