// What callers send about a meeting: facts and transcript, shared by every job type that works on one.

import { type Static, Type } from '@sinclair/typebox'
import { EmailAddress } from '../mail/schema.js'
import { day } from '../runtime/durations.js'
import { closed, DurationMs, Line, Link, sensitive, Text, Time } from '../types/schema-parts.js'

const attendanceMax = 100
const week = 7 * day

const PersonId = Line(64, { description: "The caller's or the vendor's id of the person." })

/** One stay in the meeting. `leftAt` is missing while the person is still there, or when nobody recorded it. */
export const Attendance = Type.Object(
  {
    joinedAt: Time({ description: 'When the person joined.' }),
    leftAt: Type.Optional(Time({ description: 'When the person left; not before joinedAt. Left out when not recorded.' })),
  },
  { ...closed, description: 'One stay in the meeting.' },
)
export type Attendance = Static<typeof Attendance>

export const Participant = Type.Object(
  {
    id: Type.Optional(PersonId),
    name: Line(100, { description: 'The name to show.' }),
    email: Type.Optional(EmailAddress),
    attendance: Type.Optional(
      Type.Array(Attendance, { maxItems: attendanceMax, description: 'Every stay; overlapping ones are counted once.' }),
    ),
  },
  { ...closed, description: 'One person. Entries with the same id are the same person.' },
)
export type Participant = Static<typeof Participant>

/** Facts of one meeting. Every member may be left out: what is not known is not sent. */
export const MeetingData = Type.Object(
  {
    title: Type.Optional(Line(200, { description: 'Subject of the meeting.' })),
    startTime: Type.Optional(Time({ description: 'When the meeting began.' })),
    endTime: Type.Optional(Time({ description: 'When the meeting ended; not before startTime.' })),
    durationMs: Type.Optional(DurationMs(0, week, 'How long the meeting took. Left out: endTime minus startTime.')),
    organizer: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(PersonId),
          name: Type.Optional(Line(100, { description: 'The name to show.' })),
          email: Type.Optional(EmailAddress),
        },
        { ...closed, description: 'Who called the meeting.' },
      ),
    ),
    participants: Type.Optional(Type.Array(Participant, { maxItems: 1000, description: 'Who took part.' })),
    recordingUrl: Type.Optional(
      Link({ ...sensitive, description: 'Where the recording lies. It may be signed, so it is treated as a secret.' }),
    ),
    agenda: Type.Optional(Text(4000, { description: 'What was to be talked about.' })),
    actionItems: Type.Optional(Type.Array(Text(500), { maxItems: 200, description: 'What was agreed to be done, one entry each.' })),
    custom: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }),
        Type.Union([Type.String({ maxLength: 1000 }), Type.Number(), Type.Boolean(), Type.Null()]),
        { maxProperties: 50, additionalProperties: false, description: 'Up to 50 further values: text, number, boolean or null.' },
      ),
    ),
  },
  { ...closed, description: 'Facts of one meeting; send those that are known.' },
)
export type MeetingData = Static<typeof MeetingData>

export const TranscriptSegment = Type.Object(
  {
    speakerId: Line(64, { description: 'Who speaks; the same id for the same person throughout.' }),
    speakerName: Type.Optional(Line(100, { description: 'The name to show.' })),
    startMs: DurationMs(0, week, 'Start of the segment, from the start of the recording.'),
    endMs: DurationMs(0, week, 'End of the segment; not before startMs.'),
    text: Text(2000, { description: 'What is said.' }),
  },
  { ...closed, description: 'One stretch of speech by one person.' },
)
export type TranscriptSegment = Static<typeof TranscriptSegment>

/** What was said: segments with speakers and times, or plain text without. Exactly one of the two. */
export const Transcript = Type.Object(
  {
    segments: Type.Optional(
      Type.Array(TranscriptSegment, { minItems: 1, maxItems: 5000, description: 'Speech with speakers and times, in order.' }),
    ),
    text: Type.Optional(Text(500_000, { description: 'Plain text, when speakers and times are not known.' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1, description: 'What was said: either segments or text, not both.' },
)
export type Transcript = Static<typeof Transcript>
