// What callers send about a meeting: facts and transcript, shared by every job type that works on one.

import { type Static, Type } from '@sinclair/typebox'
import { EmailAddress } from '../mail/schema.js'
import { day } from '../runtime/durations.js'
import { closed, DurationMs, Line, Link, sensitive, Text, Time } from '../types/schema-parts.js'

const attendanceMax = 100
const week = 7 * day

const PersonId = Line(64, { description: "The person's ID, from the caller or the vendor." })

/** One stay in the meeting. `leftAt` is missing while the person is still there, or when nobody recorded it. */
export const Attendance = Type.Object(
  {
    joinedAt: Time({ description: 'When the person joined.' }),
    leftAt: Type.Optional(Time({ description: 'When the person left; not before joinedAt. Omit if unknown.' })),
  },
  { ...closed, description: 'One period in the meeting.' },
)
export type Attendance = Static<typeof Attendance>

export const Participant = Type.Object(
  {
    id: Type.Optional(PersonId),
    name: Line(100, { description: 'Display name.' }),
    email: Type.Optional(EmailAddress),
    attendance: Type.Optional(
      Type.Array(Attendance, { maxItems: attendanceMax, description: 'Every period in the meeting; overlapping ones count once.' }),
    ),
  },
  { ...closed, description: 'One person. Entries with the same id are the same person.' },
)
export type Participant = Static<typeof Participant>

/** Facts of one meeting. Every member is optional: unknown ones are not sent. */
export const MeetingData = Type.Object(
  {
    title: Type.Optional(Line(200, { description: 'Subject of the meeting.' })),
    startTime: Type.Optional(Time({ description: 'When the meeting started.' })),
    endTime: Type.Optional(Time({ description: 'When the meeting ended; not before startTime.' })),
    durationMs: Type.Optional(DurationMs(0, week, 'Duration of the meeting. Defaults to endTime minus startTime.')),
    organizer: Type.Optional(
      Type.Object(
        {
          id: Type.Optional(PersonId),
          name: Type.Optional(Line(100, { description: 'Display name.' })),
          email: Type.Optional(EmailAddress),
        },
        { ...closed, description: 'Organizer of the meeting.' },
      ),
    ),
    participants: Type.Optional(Type.Array(Participant, { maxItems: 1000, description: 'Participants.' })),
    recordingUrl: Type.Optional(
      Link({ ...sensitive, description: 'URL of the recording. It may be signed, so it is treated as a secret.' }),
    ),
    agenda: Type.Optional(Text(4000, { description: 'Agenda of the meeting.' })),
    actionItems: Type.Optional(Type.Array(Text(500), { maxItems: 200, description: 'Agreed action items, one entry each.' })),
    custom: Type.Optional(
      Type.Record(
        Type.String({ pattern: '^[A-Za-z0-9_.-]{1,64}$' }),
        Type.Union([Type.String({ maxLength: 1000 }), Type.Number(), Type.Boolean(), Type.Null()]),
        { maxProperties: 50, additionalProperties: false, description: 'Up to 50 additional values: string, number, boolean or null.' },
      ),
    ),
  },
  { ...closed, description: 'Facts about one meeting. Send those you know.' },
)
export type MeetingData = Static<typeof MeetingData>

export const TranscriptSegment = Type.Object(
  {
    speakerId: Line(64, { description: 'ID of the speaker, the same throughout.' }),
    speakerName: Type.Optional(Line(100, { description: 'Display name.' })),
    startMs: DurationMs(0, week, 'Start of the segment, relative to the start of the recording.'),
    endMs: DurationMs(0, week, 'End of the segment; not before startMs.'),
    text: Text(2000, { description: 'What the speaker said.' }),
  },
  { ...closed, description: 'One continuous passage by one speaker.' },
)
export type TranscriptSegment = Static<typeof TranscriptSegment>

/** What was said: segments with speakers and times, or plain text without. Exactly one of the two. */
export const Transcript = Type.Object(
  {
    segments: Type.Optional(
      Type.Array(TranscriptSegment, { minItems: 1, maxItems: 5000, description: 'Segments with speakers and times, in order.' }),
    ),
    text: Type.Optional(Text(500_000, { description: 'Plain text, if speakers and times are unknown.' })),
  },
  { ...closed, minProperties: 1, maxProperties: 1, description: 'What was said: either segments or text, but not both.' },
)
export type Transcript = Static<typeof Transcript>
