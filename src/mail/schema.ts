// Shapes that the e-mail job types share: addresses, recipients, meeting times, and what a sent message leaves behind.

import { type Static, type StringOptions, type TSchema, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import { closed, DurationMs, Line, Matching, StringEnum, Time } from '../types/schema-parts.js'

/** One addr-spec. Comma, semicolon, line breaks and display names are refused: a comma in a recipient string adds a recipient. */
export const EmailAddress = Matching(
  "^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$",
  'must be one e-mail address without a display name',
  { minLength: 3, maxLength: 254, description: 'One e-mail address without a display name.' },
)

export const recipientsMax = 1000

/** One address, or a list that becomes one job per address. */
export const Recipients = Type.Union([EmailAddress, Type.Array(EmailAddress, { minItems: 1, maxItems: recipientsMax })], {
  description: `One address, or a list of 1 to ${recipientsMax} distinct addresses, each of which gets its own job.`,
})
export type Recipients = Static<typeof Recipients>

export const locales = ['en', 'zh'] as const
export type Locale = (typeof locales)[number]

export const EmailLocale = StringEnum(locales, { description: 'Language of the message. Defaults to the configured language.' })

export const RecipientName = Line(100, { description: 'Name to use in the greeting.' })

export const MeetingTitle = Line(200, { description: 'Title of the meeting.' })

export const MeetingTime = Time({ description: 'Start of the meeting; must be in the future.' })

export const MeetingDurationMs = DurationMs(60_000, 7 * day, 'Duration of the meeting. Defaults to one hour.')

/** A link that anyone who reads it could use: masked everywhere. */
export const httpsOnly = { description: 'https only; EMAIL_LINK_HOSTS must allow the host.' } satisfies StringOptions

const sent = {
  messageId: Type.String({ description: 'Message-ID header, the same for every attempt.' }),
  accepted: Type.Literal(true, { description: 'The mail server accepted the message.' }),
  responseCode: Type.Integer({ description: 'SMTP reply code.' }),
  template: Type.String({ description: 'Template of the message.' }),
  sentAt: Time({ description: 'When the mail server accepted the message.' }),
  alreadySent: Type.Boolean({ description: 'An earlier attempt had already sent it, so nothing was sent again.' }),
}

/** What a sent message leaves behind: no address, no subject, no content. */
export const EmailSent = Type.Object(sent, closed)
export type EmailSent = Static<typeof EmailSent>

export const InvitationSent = Type.Object({ ...sent, calendarUid: Type.String({ description: 'UID of the calendar entry.' }) }, closed)
export type InvitationSent = Static<typeof InvitationSent>

/** Result of a job that stood for a list of recipients. */
export const EmailFanOut = Type.Object(
  {
    total: Type.Integer({ minimum: 1, description: 'Recipients.' }),
    sent: Type.Integer({ minimum: 0, description: 'Recipients whose mail server accepted the message.' }),
    failed: Type.Array(Type.Object({ to: EmailAddress, code: Type.String({ description: 'Reason, as in `error.code`.' }) }, closed), {
      maxItems: recipientsMax,
      description: 'Recipients that did not get a message.',
    }),
  },
  closed,
)
export type EmailFanOut = Static<typeof EmailFanOut>

/** The result of one message, or of a list of recipients. */
export const orFanOut = <T extends TSchema>(one: T) => Type.Union([one, EmailFanOut])
