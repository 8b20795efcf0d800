// Job type: invites to a meeting, with a calendar entry that a later revision updates.

import { Type } from '@sinclair/typebox'
import { toCalendarInvite } from '../../mail/calendar-invite.js'
import { futureProblems, linkProblems, recipientProblems } from '../../mail/checks.js'
import { deliverMail } from '../../mail/deliver.js'
import { gatherRecipients, requireRecipient, toRecipientJobs } from '../../mail/recipients.js'
import {
  EmailAddress,
  EmailLocale,
  httpsOnly,
  InvitationSent,
  MeetingDurationMs,
  MeetingTime,
  MeetingTitle,
  orFanOut,
  Recipients,
} from '../../mail/schema.js'
import { toLength, toWhen } from '../../mail/templates/words.js'
import { closed, Line, Link, Text } from '../../types/schema-parts.js'
import { TimeZone, timeZoneProblems } from '../../types/time-zone.js'
import { defineBuiltin } from '../define.js'
import { MeetingId } from '../meeting/meeting-id.js'

const durationMsDefault = 3_600_000

const SendMeetingInvitationData = Type.Object(
  {
    to: Recipients,
    meetingId: MeetingId,
    meetingTitle: MeetingTitle,
    meetingTime: MeetingTime,
    durationMs: Type.Optional(MeetingDurationMs),
    meetingUrl: Type.Optional(Link(httpsOnly)),
    organizerName: Line(100, { description: 'Person who invites.' }),
    organizerEmail: Type.Optional({
      ...EmailAddress,
      description: 'Where calendar replies are sent. Defaults to the sender of the message.',
    }),
    agenda: Type.Optional(Text(4000, { description: 'Agenda of the meeting.' })),
    timezone: Type.Optional(TimeZone),
    sequence: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 10_000,
        description: 'Revision of the calendar entry; a higher one replaces it. Defaults to 0.',
      }),
    ),
    locale: Type.Optional(EmailLocale),
  },
  closed,
)

/** Sends one invitation, or one to each of a list of recipients. Not sent once the meeting has begun. */
export const sendMeetingInvitation = defineBuiltin({
  name: 'send-meeting-invitation',
  queue: 'email',
  description: 'Sends a meeting invitation with a calendar entry. The same meetingId with a higher sequence updates the entry.',
  data: SendMeetingInvitationData,
  result: orFanOut(InvitationSent),
  example: {
    to: ['user@example.com', 'guest@example.org'],
    meetingId: 'weekly-2099-12-01',
    meetingTitle: 'Weekly planning',
    meetingTime: '2099-12-01T09:00:00.000Z',
    durationMs: 1_800_000,
    meetingUrl: 'https://meet.example.com/weekly',
    organizerName: 'Ada',
    organizerEmail: 'ada@example.com',
    agenda: 'What comes next',
    timezone: 'Asia/Shanghai',
  },
  defaults: { attempts: 2, backoff: { type: 'fixed', delayMs: 5000 }, priority: 'normal', timeoutMs: 60_000 },
  requires: ['smtp'],
  check: ({ to, meetingTime, meetingUrl, timezone }, { now, config }) => [
    ...recipientProblems(to),
    ...futureProblems('#/data/meetingTime', meetingTime, now),
    ...linkProblems({ '#/data/meetingUrl': meetingUrl }, config.settings.mail.email.linkHosts),
    ...timeZoneProblems('#/data/timezone', timezone),
  ],
  timing: ({ meetingTime }) => ({ expiresAt: Date.parse(meetingTime) }),
  fanOut: toRecipientJobs,
  gather: gatherRecipients,
  async run(data, ctx) {
    const { meetingTitle, meetingUrl, organizerName, organizerEmail, agenda, durationMs = durationMsDefault } = data
    const { templates, defaultLocale, sender, domain } = ctx.integrations.smtp
    const to = requireRecipient(data)
    const locale = data.locale ?? defaultLocale
    const start = Date.parse(data.meetingTime)
    const calendarUid = `${data.meetingId}@${domain}`
    const mail = templates.render('meeting-invitation', locale, {
      meetingTitle,
      when: toWhen(start, data.timezone ?? 'UTC', locale),
      duration: toLength(durationMs, locale),
      organizerName,
      organizerEmail: organizerEmail ?? null,
      meetingUrl: meetingUrl ?? null,
      agenda: agenda ?? null,
    })
    const calendar = toCalendarInvite({
      uid: calendarUid,
      sequence: data.sequence ?? 0,
      createdAt: ctx.createdAt,
      start,
      end: start + durationMs,
      title: meetingTitle,
      description: agenda,
      url: meetingUrl,
      organizer: { name: organizerName, address: organizerEmail ?? sender.address },
      attendee: to,
    })
    const delivery = await deliverMail({ ...mail, to, template: 'meeting-invitation', calendar }, ctx)
    return delivery.kind === 'done' ? { ...delivery, result: { ...delivery.result, calendarUid } } : delivery
  },
})
