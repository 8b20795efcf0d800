// Reminders: when they are due, and what they say.

import t from 'tap'
import { sendMeetingReminder } from '../../../src/builtin/email/send-meeting-reminder.js'
import { createValidator, startMailWorld, testMailJob } from '../../helpers/mail-jobs.js'
import { mailConfig } from '../../helpers/open-mail.js'

const data = {
  to: 'reader@example.com',
  meetingTitle: 'canary planning',
  meetingTime: '2026-12-01T09:00:00Z',
  meetingUrl: 'https://meet.example.com/weekly',
  remindBeforeMs: 900_000,
  timezone: 'America/New_York',
}
const start = Date.parse(data.meetingTime)
const now = Date.parse('2026-11-24T10:00:00Z')
const isData = createValidator(sendMeetingReminder.data)
const check = (change: object, env: Record<string, string> = {}) =>
  sendMeetingReminder.check?.({ ...data, ...change }, { now, config: mailConfig(env) })

testMailJob(t, sendMeetingReminder, data, ['canary'])

t.test('bounds', async (t) => {
  t.ok(isData({ ...data, meetingId: 'weekly-7', to: ['a@example.com', 'b@example.com'] }))
  const wrong = [
    { to: 'a@example.com,b@example.com' },
    { remindBeforeMs: -1 },
    { remindBeforeMs: 604_800_001 },
    { remindBeforeMs: 1.5 },
    { cron: '* * * * *' },
  ]
  for (const change of wrong) t.notOk(isData({ ...data, ...change }), JSON.stringify(change))
})

t.test('what is refused at submission', async (t) => {
  t.same(check({}), [])
  t.match(check({ meetingTime: '2020-01-01T00:00:00Z' }), [{ pointer: '#/data/meetingTime', detail: 'must be in the future' }])
  t.match(check({ meetingTime: '2099-01-01T00:00:00Z' }), [{ pointer: '#/data/meetingTime', detail: /5 years/ }])
  t.match(check({ timezone: 'Mars/Olympus' }), [{ pointer: '#/data/timezone' }])
  t.match(check({}, { EMAIL_LINK_HOSTS: 'example.org' }), [{ pointer: '#/data/meetingUrl' }])
  t.match(check({ to: ['a@example.com', 'a@EXAMPLE.com'] }), [{ pointer: '#/data/to/1' }])
})

t.test('is due remindBeforeMs before the meeting, or at once, and expires when it starts', async (t) => {
  t.same(sendMeetingReminder.timing?.(data, now), { runAt: start - 900_000, expiresAt: start })
  t.same(sendMeetingReminder.timing?.(data, start - 60_000), { runAt: start - 60_000, expiresAt: start })
  t.same(sendMeetingReminder.timing?.({ ...data, remindBeforeMs: 0 }, now), { runAt: start, expiresAt: start })
})

t.test('tells title, time and link', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendMeetingReminder)
  await run(data)
  await run({ ...data, locale: 'zh' })
  const [en, zh] = receiver.received
  t.equal(en?.mail.subject, 'Reminder: canary planning')
  t.match(en?.mail.text, /1 December 2026.*04:00.*GMT-5 \(America\/New_York\)/)
  t.match(en?.mail.html, /href="https:\/\/meet\.example\.com\/weekly"/)
  t.match(zh?.mail.subject, /^会议提醒：/)
  t.equal(en?.mail.attachments.length, 0)
})

t.test('a list becomes one job per recipient, gathered afterwards', async (t) => {
  const to = ['a@example.com', 'b@example.com']
  t.equal(sendMeetingReminder.fanOut?.(data), null)
  t.same(
    sendMeetingReminder.fanOut?.({ ...data, to })?.map((each) => each.to),
    to,
  )
  t.same(
    sendMeetingReminder.gather?.({ ...data, to }, [
      { kind: 'completed', result: {} },
      { kind: 'completed', result: {} },
    ]),
    {
      total: 2,
      sent: 2,
      failed: [],
    },
  )
})
