// The mailbox of the quick start takes what Jobgate sends and shows it without letting it steer the terminal.

import t from 'tap'
import { startMailbox, toLines } from '../../scripts/mailbox.mjs'
import { openMail } from '../helpers/open-mail.js'

t.test('takes a mail and tells what it says', async (t) => {
  const mails: Parameters<typeof toLines>[0][] = []
  const mailbox = await startMailbox({ onMail: (mail) => void mails.push(mail) })
  const { smtp, close } = await openMail(mailbox.url)
  t.after(async () => {
    await close()
    await mailbox.close()
  })
  const outcome = await smtp.send({
    to: 'reader@example.com',
    subject: 'Hello',
    html: '<p>Hi</p>',
    text: 'Hi \u001b[2J there',
    messageId: '<id@example.com>',
    calendar: 'BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n',
    signal: new AbortController().signal,
  })
  t.match(outcome, { kind: 'accepted' })
  t.match(mails, [{ from: 'gate@mail.example.com', to: ['reader@example.com'], subject: 'Hello', messageId: '<id@example.com>' }])
  t.match(mails[0]?.html, /<p>Hi<\/p>/)
  const shown = toLines(mails[0] as (typeof mails)[0])
  t.match(shown, /To: {6}reader@example\.com\nSubject: Hello\n[\s\S]*invite\.ics/)
  t.ok(shown.includes('Hi [2J there'), 'control characters are gone')
})

t.test('a message above the limit is refused', async (t) => {
  const mails: unknown[] = []
  const mailbox = await startMailbox({ onMail: (mail) => void mails.push(mail) })
  const { smtp, close } = await openMail(mailbox.url)
  t.after(async () => {
    await close()
    await mailbox.close()
  })
  const text = `${'x'.repeat(70)}\n`.repeat(160_000)
  const mail = {
    to: 'reader@example.com',
    subject: 'Big',
    html: '',
    text,
    messageId: '<id@example.com>',
    signal: new AbortController().signal,
  }
  t.match(await smtp.send(mail), { kind: 'refused', code: 'smtp.message_refused' })
  t.same(mails, [])
})
