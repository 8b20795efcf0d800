// Job type: brings the facts of one meeting into order: who was there for how long, and how many at once.

import { type Static, Type } from '@sinclair/typebox'
import { MeetingData, type Participant } from '../../analysis/meeting.js'
import { type Interval, lengthOf, mergeIntervals } from '../../analysis/talk-time.js'
import { done, fail } from '../../types/definition.js'
import type { FieldProblem } from '../../types/field-problems.js'
import { closed, Line, Nullable, StringEnum, Time } from '../../types/schema-parts.js'
import { toFailedAttempt } from '../../vendors/outcome.js'
import { VendorId } from '../../vendors/schema.js'
import { readParticipants } from '../../vendors/tencent-meeting/records.js'
import { type BuiltinContext, type BuiltinOutcome, defineBuiltin } from '../define.js'
import { integrationVariables } from '../integrations.js'
import { MeetingId } from './meeting-id.js'

const ProcessMeetingRecordData = Type.Object(
  {
    meetingId: MeetingId,
    meetingData: Type.Optional(MeetingData),
    tencentMeetingId: Type.Optional(
      Type.String({
        ...VendorId,
        description: 'Tencent Meeting ID. Title, times and participants missing from meetingData are read from Tencent Meeting.',
      }),
    ),
    tencentUserId: Type.Optional(Line(64, { description: 'User who reads them. Defaults to the configured user.' })),
  },
  closed,
)

const ProcessedParticipant = Type.Object(
  {
    id: Nullable(Type.String(), { description: 'null if unknown.' }),
    name: Type.String(),
    attendedMs: Nullable(Type.Integer({ minimum: 0 }), {
      description: 'Time spent in the meeting; overlapping periods count once. null if no period, or the end of one, is unknown.',
    }),
    joins: Type.Integer({ minimum: 0, description: 'Recorded periods in the meeting.' }),
  },
  { ...closed, description: 'One person. Entries with the same id were merged.' },
)
type ProcessedParticipant = Static<typeof ProcessedParticipant>

const ProcessMeetingRecordResult = Type.Object(
  {
    status: StringEnum(['processed', 'insufficient-data'], { description: 'insufficient-data: nothing is known about the meeting.' }),
    title: Nullable(Type.String()),
    startTime: Nullable(Time()),
    endTime: Nullable(Time()),
    durationMs: Nullable(Type.Integer({ minimum: 0 }), { description: 'As sent, or endTime minus startTime.' }),
    participants: Type.Array(ProcessedParticipant),
    peakParticipants: Nullable(Type.Integer({ minimum: 0 }), {
      description: 'Most participants at once; a period without an end lasts until the last known time. null if no period is known.',
    }),
    source: StringEnum(['payload', 'tencent-meeting'], { description: 'tencent-meeting if anything was read from it.' }),
  },
  { ...closed, description: 'Unknown values are null.' },
)
type ProcessMeetingRecordResult = Static<typeof ProcessMeetingRecordResult>

/** The same input gives the same result; what is read from Tencent Meeting may change. */
export const processMeetingRecord = defineBuiltin({
  name: 'process-meeting-record',
  queue: 'meeting',
  description:
    'Consolidates the facts of one meeting: duration, attendance and peak participants. Reads missing facts from Tencent Meeting.',
  data: ProcessMeetingRecordData,
  result: ProcessMeetingRecordResult,
  example: {
    meetingId: 'weekly-42',
    meetingData: {
      title: 'Weekly review',
      startTime: '2026-01-05T09:00:00.000Z',
      endTime: '2026-01-05T10:00:00.000Z',
      participants: [
        { id: 'u1', name: 'Ada', attendance: [{ joinedAt: '2026-01-05T09:00:00.000Z', leftAt: '2026-01-05T10:00:00.000Z' }] },
        { id: 'u2', name: 'Lin', attendance: [{ joinedAt: '2026-01-05T09:15:00.000Z', leftAt: '2026-01-05T09:45:00.000Z' }] },
      ],
    },
  },
  defaults: { attempts: 3, backoff: { type: 'exponential', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: [],
  check: ({ meetingData }) => (meetingData ? timeProblems(meetingData) : []),
  async run(data, ctx) {
    const given = data.meetingData ?? {}
    if (!data.tencentMeetingId || isComplete(given)) return done(toResult(given, 'payload'))
    return readMissing(given, data.tencentMeetingId, data.tencentUserId, ctx)
  },
})

/** What a schema cannot say about times. */
const timeProblems = ({ startTime, endTime, participants = [] }: MeetingData): FieldProblem[] => [
  ...(startTime && endTime && Date.parse(endTime) < Date.parse(startTime)
    ? [{ pointer: '#/data/meetingData/endTime', detail: 'must not be before startTime' }]
    : []),
  ...participants.flatMap(({ attendance = [] }, at) =>
    attendance.flatMap(({ joinedAt, leftAt }, stay) =>
      leftAt && Date.parse(leftAt) < Date.parse(joinedAt)
        ? [{ pointer: `#/data/meetingData/participants/${at}/attendance/${stay}/leftAt`, detail: 'must not be before joinedAt' }]
        : [],
    ),
  ),
]

const isComplete = ({ title, startTime, endTime, participants }: MeetingData): boolean =>
  title !== undefined && startTime !== undefined && endTime !== undefined && participants !== undefined

const readMissing = async (
  given: MeetingData,
  tencentMeetingId: string,
  tencentUserId: string | undefined,
  ctx: BuiltinContext,
): Promise<BuiltinOutcome<ProcessMeetingRecordResult>> => {
  const { tencentMeeting } = ctx.integrations
  if (!tencentMeeting) return fail('not_configured', `Set ${integrationVariables.tencentMeeting} on the workers.`)
  const userId = tencentUserId ?? tencentMeeting.userId
  if (!userId) return fail('not_configured', 'Set TENCENT_MEETING_USER_ID on the workers, or set tencentUserId in the job.')
  const fetched = await tencentMeeting.fetch(tencentMeetingId, { userId }, ctx.signal)
  if (fetched.kind !== 'done') return toFailedAttempt(fetched)
  const { subject, startTime, endTime } = fetched.value
  const told: MeetingData = { ...(subject ? { title: subject } : {}), ...(startTime ? { startTime } : {}), ...(endTime ? { endTime } : {}) }
  if (given.participants) return done(toResult({ ...told, ...given }, 'tencent-meeting'))
  const read = await readParticipants(tencentMeeting, { tencentMeetingId, userId }, ctx.signal)
  if (read.kind !== 'done') return toFailedAttempt(read)
  if (read.value.isCut) ctx.log('Tencent Meeting lists more than 1000 participants; the rest are omitted.')
  return done(toResult({ ...told, participants: [...read.value.participants], ...given }, 'tencent-meeting'))
}

const toResult = (facts: MeetingData, source: ProcessMeetingRecordResult['source']): ProcessMeetingRecordResult => {
  const { title = null, startTime = null, endTime = null } = facts
  const durationMs = facts.durationMs ?? (startTime && endTime ? Math.max(0, Date.parse(endTime) - Date.parse(startTime)) : null)
  const people = mergePeople(facts.participants ?? [])
  const endMs = toEndMs(startTime, endTime, durationMs)
  const isKnown = title !== null || startTime !== null || endTime !== null || durationMs !== null || people.length > 0
  return {
    status: isKnown ? 'processed' : 'insufficient-data',
    title,
    startTime: toUtc(startTime),
    endTime: toUtc(endTime),
    durationMs,
    participants: people.map((person) => toParticipant(person, endMs)),
    peakParticipants: toPeak(people, endMs),
    source,
  }
}

const toUtc = (time: string | null): string | null => (time === null ? null : new Date(time).toISOString())

const toEndMs = (startTime: string | null, endTime: string | null, durationMs: number | null): number | null => {
  if (endTime !== null) return Date.parse(endTime)
  return startTime !== null && durationMs !== null ? Date.parse(startTime) + durationMs : null
}

/** One person with every stay; milliseconds since 1970, null while it has no known end. */
interface Person {
  readonly id: string | null
  readonly name: string
  readonly stays: { readonly from: number; readonly to: number | null }[]
}

const mergePeople = (participants: readonly Participant[]): Person[] => {
  const people: Person[] = []
  const byId = new Map<string, Person>()
  for (const { id, name, attendance = [] } of participants) {
    // Two people may share a name, so only an id says that two entries are one person.
    const known = id === undefined ? undefined : byId.get(id)
    const person = known ?? { id: id ?? null, name, stays: [] }
    if (!known) people.push(person)
    if (id !== undefined) byId.set(id, person)
    person.stays.push(...attendance.map(({ joinedAt, leftAt }) => ({ from: Date.parse(joinedAt), to: leftAt ? Date.parse(leftAt) : null })))
  }
  return people
}

/** Stays without end last until `endMs`. */
const toIntervals = ({ stays }: Person, endMs: number): Interval[] => stays.map(({ from, to }) => [from, to ?? endMs])

const toParticipant = (person: Person, endMs: number | null): ProcessedParticipant => {
  const { id, name, stays } = person
  const isOpen = endMs === null && stays.some(({ to }) => to === null)
  return { id, name, attendedMs: stays.length === 0 || isOpen ? null : lengthOf(toIntervals(person, endMs ?? 0)), joins: stays.length }
}

const toPeak = (people: readonly Person[], endMs: number | null): number | null => {
  const stays = people.flatMap((person) => person.stays)
  if (stays.length === 0) return null
  const last = endMs ?? stays.reduce((latest, { from, to }) => Math.max(latest, to ?? from), 0)
  // Whoever leaves at the moment another joins was not there together with them.
  const steps = people
    .flatMap((person) => mergeIntervals(toIntervals(person, last)))
    .flatMap(([from, to]) => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ])
    .sort((a, b) => a.at - b.at || a.by - b.by)
  let present = 0
  let peak = 0
  for (const { by } of steps) {
    present += by
    peak = Math.max(peak, present)
  }
  return peak
}
