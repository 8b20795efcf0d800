// How callers name a meeting.

import { Matching } from '../../types/schema-parts.js'

/** The caller's own id of a meeting. */
export const MeetingId = Matching(
  '^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$',
  'must consist of letters, digits, "_", "." and "-", and start with a letter or digit',
  { maxLength: 128, description: "The caller's ID of the meeting." },
)
