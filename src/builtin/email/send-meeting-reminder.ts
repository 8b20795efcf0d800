// Job type: reminds of a meeting, a given time before it.

import { Type } from '@sinclair/typebox'
import { futureProblems, linkProblems, recipientProblems } from '../../mail/checks.js'
import { deliverMail } from '../../mail/deliver.js'
import { gatherRecipients, requireRecipient, toRecipientJobs } from '../../mail/recipients.js'
import { EmailLocale, EmailSent, httpsOnly, MeetingTime, MeetingTitle, orFanOut, Recipients } from '../../mail/schema.js'
import { toWhen } from '../../mail/templates/words.js'
import { day } from '../../runtime/durations.js'
import { closed, DurationMs, Link } from '../../types/schema-parts.js'
import { TimeZone, timeZoneProblems } from '../../types/time-zone.js'
import { defineBuiltin } from '../define.js'
import { MeetingId } from '../meeting/meeting-id.js'

const SendMeetingReminderData = Type.Object(
  {
    to: Recipients,
    meetingId: Type.Optional(MeetingId),
    meetingTitle: MeetingTitle,
    meetingTime: MeetingTime,
    meetingUrl: Type.Optional(Link(httpsOnly)),
    remindBeforeMs: DurationMs(0, 7 * day, 'How long before the meeting to send it, unless delayMs or runAt is set.'),
    timezone: Type.Optional(TimeZone),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

/** As far ahead as a schedule can start. */
const dueAheadMsMax = 5 * 366 * day

/** Sends one reminder, or one to each of a list of recipients. Not sent once the meeting has begun. */
export const sendMeetingReminder = defineBuiltin({
  name: 'send-meeting-reminder',
  queue: 'email',
  description: 'Sends a reminder remindBeforeMs before a meeting starts, or at once if that time has passed.',
  data: SendMeetingReminderData,
  result: orFanOut(EmailSent),
  example: {
    to: 'user@example.com',
    meetingId: 'weekly-2030-09-02',
    meetingTitle: 'Weekly planning',
    meetingTime: '2030-09-02T09:00:00.000Z',
    meetingUrl: 'https://meet.example.com/weekly',
    remindBeforeMs: 900_000,
    timezone: 'Asia/Shanghai',
  },
  defaults: { attempts: 2, backoff: { type: 'fixed', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: ['smtp'],
  check: ({ to, meetingTime, meetingUrl, remindBeforeMs, timezone }, { now, config }) => [
    ...recipientProblems(to),
    ...futureProblems('#/data/meetingTime', meetingTime, now),
    ...(Date.parse(meetingTime) - remindBeforeMs > now + dueAheadMsMax
      ? [{ pointer: '#/data/meetingTime', detail: 'puts the reminder more than 5 years in the future' }]
      : []),
    ...linkProblems({ '#/data/meetingUrl': meetingUrl }, config.settings.mail.email.linkHosts),
    ...timeZoneProblems('#/data/timezone', timezone),
  ],
  timing({ meetingTime, remindBeforeMs }, now) {
    const start = Date.parse(meetingTime)
    return { runAt: Math.max(now, start - remindBeforeMs), expiresAt: start }
  },
  fanOut: toRecipientJobs,
  gather: gatherRecipients,
  async run(data, ctx) {
    const { templates, defaultLocale } = ctx.integrations.smtp
    const locale = data.locale ?? defaultLocale
    const mail = templates.render('meeting-reminder', locale, {
      meetingTitle: data.meetingTitle,
      when: toWhen(Date.parse(data.meetingTime), data.timezone ?? 'UTC', locale),
      meetingUrl: data.meetingUrl ?? null,
    })
    return deliverMail({ ...mail, to: requireRecipient(data), template: 'meeting-reminder' }, ctx)
  },
})
