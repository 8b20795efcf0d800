// Invitations: the message, and the calendar entry read back as a calendar would.

import t from 'tap'
import { sendMeetingInvitation } from '../../../src/builtin/email/send-meeting-invitation.js'
import { toCalendarInvite } from '../../../src/mail/calendar-invite.js'
import { createValidator, startMailWorld, testMailJob } from '../../helpers/mail-jobs.js'
import { mailConfig } from '../../helpers/open-mail.js'

const data = {
  to: 'reader+1@example.com',
  meetingId: 'weekly-7',
  meetingTitle: 'Planning; part 1, "big" \\ 规划',
  meetingTime: '2026-12-01T17:00:00+08:00',
  durationMs: 5_400_000,
  meetingUrl: 'https://meet.example.com/weekly',
  organizerName: 'Ada "Countess" 洛芙莱斯',
  organizerEmail: 'ada@example.com',
  agenda: `canary ${'长'.repeat(60)}\nBEGIN:VEVENT`,
  timezone: 'Asia/Shanghai',
}
const isData = createValidator(sendMeetingInvitation.data)
const now = Date.parse('2026-11-24T10:00:00Z')
const check = (change: object, env: Record<string, string> = {}) =>
  sendMeetingInvitation.check?.({ ...data, ...change }, { now, config: mailConfig(env) })

/** Unfolds an iCalendar object into its properties, as RFC 5545 section 3.1 says. */
const readCalendar = (text: string) => {
  const lines = text.replace(/\r\n[ \t]/g, '').split('\r\n')
  return new Map(
    lines
      .filter((line) => line !== '')
      .map((line) => {
        const [, name = '', rest = ''] = /^([A-Z-]+)([:;][\s\S]*)$/.exec(line) ?? []
        return [name, rest] as const
      }),
  )
}

testMailJob(t, sendMeetingInvitation, data, ['canary'])

t.test('bounds', async (t) => {
  t.ok(isData({ ...data, to: ['a@example.com'], sequence: 10_000 }))
  const wrong = [
    { to: 'a@example.com,b@example.com' },
    { meetingId: 'a b' },
    { meetingTitle: 'a\nb' },
    { durationMs: 59_999 },
    { durationMs: 604_800_001 },
    { organizerEmail: 'Ada <a@example.com>' },
    { organizerName: undefined },
    { agenda: 'x'.repeat(4001) },
    { timezone: '+08:00' },
    { sequence: 10_001 },
    { sequence: -1 },
  ]
  for (const change of wrong)
    t.notOk(
      isData(JSON.parse(JSON.stringify({ ...data, ...change, ...('organizerName' in change ? { organizerName: undefined } : {}) }))),
      JSON.stringify(change).slice(0, 60),
    )
})

t.test('what is refused at submission', async (t) => {
  t.same(check({}), [])
  t.match(check({ meetingTime: '2026-11-24T10:00:00Z' }), [{ pointer: '#/data/meetingTime', detail: 'must be in the future' }])
  t.match(check({ meetingTime: '2026-12-31T23:59:60Z' }), [{ pointer: '#/data/meetingTime', detail: 'is not a valid time' }])
  t.match(check({ timezone: 'Mars/Olympus' }), [{ pointer: '#/data/timezone' }])
  t.match(check({ meetingUrl: 'http://meet.example.com/' }), [{ pointer: '#/data/meetingUrl' }])
  t.match(check({}, { EMAIL_LINK_HOSTS: 'example.org' }), [{ pointer: '#/data/meetingUrl' }])
  t.match(check({ to: ['a@example.com', 'A@example.com'] }), [{ pointer: '#/data/to/1' }])
})

t.test('expires when the meeting starts', async (t) => {
  t.same(sendMeetingInvitation.timing?.(data, now), { expiresAt: Date.parse(data.meetingTime) })
})

t.test('the message tells the time in the zone asked for', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendMeetingInvitation)
  await run(data)
  await run({ ...data, locale: 'zh', timezone: undefined })
  const [en, zh] = receiver.received
  t.match(en?.mail.text, /1 December 2026.*17:00.*GMT\+8 \(Asia\/Shanghai\)/)
  t.match(en?.mail.text, /Length: 1 hour 30 minutes/)
  t.match(zh?.mail.text, /2026年12月1日.*09:00 UTC/)
  t.match(zh?.mail.subject, /^会议邀请：/)
})

t.test('the calendar part asks for an answer', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendMeetingInvitation)
  const outcome = await run({ ...data, sequence: 3 })
  t.match(outcome, { result: { calendarUid: 'weekly-7@mail.example.com' } })
  const [received] = receiver.received
  t.match(received?.raw, /Content-Type: text\/calendar; charset=utf-8; method=REQUEST/)
  const [attached] = received?.mail.attachments.filter(({ filename }) => filename === 'invite.ics') ?? []
  const text = attached?.content.toString() ?? ''
  t.ok(
    text.split('\r\n').every((line) => Buffer.byteLength(line) <= 75),
    'lines are folded at 75 octets',
  )
  t.notMatch(text.replace(/\r\n/g, ''), /[\r\n]/, 'CRLF only')
  t.notMatch(text, /\uFFFD/, 'no character is torn apart')
  const calendar = readCalendar(text)
  t.match(Object.fromEntries(calendar), {
    METHOD: ':REQUEST',
    VERSION: ':2.0',
    UID: ':weekly-7@mail.example.com',
    SEQUENCE: ':3',
    DTSTAMP: ':20261124T100000Z',
    DTSTART: ':20261201T090000Z',
    DTEND: ':20261201T103000Z',
    SUMMARY: ':Planning\\; part 1\\, "big" \\\\ 规划',
    DESCRIPTION: `:canary ${'长'.repeat(60)}\\nBEGIN:VEVENT\\n\\nhttps://meet.example.com/weekly`,
    URL: ':https://meet.example.com/weekly',
    ORGANIZER: `;CN="Ada 'Countess' 洛芙莱斯":mailto:ada@example.com`,
    ATTENDEE: ';CUTYPE=INDIVIDUAL;ROLE=REQ-PARTICIPANT;PARTSTAT=NEEDS-ACTION;RSVP=TRUE:mailto:reader+1@example.com',
  })
  t.equal(text.match(/^BEGIN:VEVENT/gm)?.length, 1, 'the agenda adds no event')
})

t.test('every attempt sends the same calendar entry', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendMeetingInvitation, { message: (count) => (count === 1 ? 'drop' : undefined) })
  await run(data)
  await run(data)
  const [first, second] = receiver.received.map(({ mail }) => mail.attachments[0]?.content.toString())
  t.ok(first)
  t.equal(first, second)
})

t.test('without an organizer address, answers go to the sender', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendMeetingInvitation)
  const { organizerEmail: _none, ...rest } = data
  await run(rest)
  t.match(
    receiver.received[0]?.mail.attachments[0]?.content.toString().replace(/\r\n /g, ''),
    /ORGANIZER;CN=".*":mailto:gate@mail\.example\.com/,
  )
})

t.test('a mark of mailto addresses is encoded', async (t) => {
  const text = toCalendarInvite({
    uid: 'u',
    sequence: 0,
    createdAt: now,
    start: now,
    end: now,
    title: 'a\rb\tc',
    organizer: { name: 'A\nB', address: 'a%b&c@example.com' },
    attendee: "o'x?y#z@example.com",
  }).replace(/\r\n /g, '')
  t.match(text, /ORGANIZER;CN="A B":mailto:a%25b%26c@example\.com/)
  t.match(text, /mailto:o'x%3Fy%23z@example\.com/)
  t.match(text, /SUMMARY:a\\nb c\r\n/)
})

t.test('a list becomes one job per recipient, gathered afterwards', async (t) => {
  const to = ['a@example.com', 'b@example.com']
  t.same(
    sendMeetingInvitation.fanOut?.({ ...data, to })?.map((each) => each.to),
    to,
  )
  const gathered = sendMeetingInvitation.gather?.({ ...data, to }, [
    { kind: 'failed', code: 'expired' },
    { kind: 'completed', result: {} },
  ])
  t.same(gathered, { total: 2, sent: 1, failed: [{ to: 'a@example.com', code: 'expired' }] })
  t.ok(createValidator(sendMeetingInvitation.result)(gathered))
})
