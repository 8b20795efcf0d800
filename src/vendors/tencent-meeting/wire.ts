// Meetings as Tencent Meeting writes them, and as we do.

import { toObject, toText } from '../json.js'

/** Times are RFC 3339. `type` 0 is a booked meeting, 1 one that starts at once. */
export interface TencentMeetingData {
  readonly subject?: string | undefined
  readonly startTime?: string | undefined
  readonly endTime?: string | undefined
  readonly type?: 0 | 1 | undefined
  readonly hosts?: readonly string[] | undefined
  readonly invitees?: readonly string[] | undefined
  readonly settings?: Readonly<Record<string, unknown>> | undefined
}

/** A meeting as far as the vendor told. */
export interface TencentMeetingFacts {
  readonly tencentMeetingId: string
  readonly meetingCode: string | null
  readonly joinUrl: string | null
  readonly subject: string | null
  readonly startTime: string | null
  readonly endTime: string | null
  readonly status: string | null
  readonly type: number | null
  readonly hosts: readonly string[]
}

/** What the vendor answered, member by member unchecked. */
export type TencentAnswer = Readonly<Record<string, unknown>>

/** The meetings of an answer. */
export const toMeetings = (answer: TencentAnswer): TencentAnswer[] =>
  Array.isArray(answer['meeting_info_list']) ? answer['meeting_info_list'].map(toObject) : []

/** Times go out as Unix seconds in text. */
export const toWire = ({ subject, startTime, endTime, type, hosts, invitees, settings }: TencentMeetingData): Record<string, unknown> => ({
  subject,
  type,
  start_time: toSeconds(startTime),
  end_time: toSeconds(endTime),
  hosts: hosts?.map((userid) => ({ userid })),
  invitees: invitees?.map((userid) => ({ userid })),
  settings,
})

const toSeconds = (time: string | undefined): string | undefined =>
  time === undefined ? undefined : String(Math.floor(Date.parse(time) / 1000))

const toTime = (seconds: unknown): string | null => {
  const value = Number(toText(seconds) ?? Number.NaN)
  return Number.isFinite(value) && value > 0 && value < 1e11 ? new Date(value * 1000).toISOString() : null
}

/** Where a list entry tells who created it; the documentation names no member for it that is always there. */
export const toCreator = (meeting: TencentAnswer): string | undefined =>
  toText(meeting['creator_userid']) ?? toText(toObject(meeting['creator'])['userid'])

/** What an entry of an answer tells about a meeting. */
export const toFacts = (meeting: TencentAnswer): TencentMeetingFacts => ({
  tencentMeetingId: toText(meeting['meeting_id']) ?? '',
  meetingCode: toText(meeting['meeting_code']) ?? null,
  joinUrl: toText(meeting['join_url']) ?? null,
  subject: toText(meeting['subject']) ?? null,
  startTime: toTime(meeting['start_time']),
  endTime: toTime(meeting['end_time']),
  status: toText(meeting['status']) ?? null,
  type: typeof meeting['type'] === 'number' ? meeting['type'] : null,
  hosts: (Array.isArray(meeting['hosts']) ? meeting['hosts'] : []).map((host) => toText(toObject(host)['userid']) ?? '').filter(Boolean),
})
