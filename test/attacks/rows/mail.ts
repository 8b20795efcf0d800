// E-mail: line breaks that would become headers or recipients, markup that would become part of a page, templates within data.

import type { Received } from '../../helpers/smtp-receiver.js'
import { until } from '../../helpers/until.js'
import type { Attack, Row } from '../row.js'
import { submitAndFinish } from '../submit.js'
import { evil, type MailAttempt, mailAttempts, markup } from './mail-attempts.js'

/** All that a message of ours has. */
const headerNames = new Set([
  'from',
  'to',
  'subject',
  'message-id',
  'date',
  'mime-version',
  'content-type',
  'content-transfer-encoding',
  'auto-submitted',
  'x-auto-response-suppress',
  'reply-to',
  'precedence',
])

/** The names of the header lines, as the bytes that came say. */
const namesOf = (raw: string): string[] => {
  const [head = ''] = raw.split(/\r?\n\r?\n/, 1)
  return head.split(/\r?\n/).flatMap((line) => (/^\s/.test(line) ? [] : [line.slice(0, line.indexOf(':')).toLowerCase()]))
}

/** The addresses of a calendar entry; names, which stand in quotes, are none. */
const invitees = (calendar: string): string[] =>
  calendar
    .replace(/\r?\n[ \t]/g, '')
    .split(/\r?\n/)
    .filter((line) => /^(?:ATTENDEE|ORGANIZER)\b/.test(line))
    .map((line) => line.replace(/"[^"]*"/g, '').replace(/^[^:]*:(?:mailto:)?/i, ''))

const judge = ({ check }: Attack, { to, raw, mail }: Received) => {
  const what = `a message about ${JSON.stringify(mail.subject)}`
  check(`${what} went to ${to.join(', ')}`, to.length === 1 && to[0] === 'reader@example.com')
  const strange = namesOf(raw).filter((name) => !headerNames.has(name))
  check(`${what} has the headers ${strange.join(', ')}`, strange.length === 0)
  const html = typeof mail.html === 'string' ? mail.html : ''
  for (const { text, name } of markup) check(`${what} contains ${name}`, !text.test(html))
  check(`${what} invites ${evil}`, !mail.attachments.some(({ content }) => invitees(content.toString()).includes(evil)))
}

const attempt = async (attack: Attack, { name, job, refused }: MailAttempt): Promise<boolean> => {
  const { client, world, check, tried } = attack
  const key = world.keys.red.all
  tried()
  if (refused) {
    const { status } = await client.send({ method: 'POST', path: '/v1/jobs', key, body: job })
    check(`${name}: ${status}`, status === 400)
    return false
  }
  const { state, error } = await submitAndFinish(attack, key, job)
  check(`${name}: ${state} ${error?.code ?? ''}`, state === 'completed')
  return state === 'completed'
}

export const mail: Row = {
  id: 'mail',
  title: 'E-mail: injected headers, recipients, calendar entries, markup and templates',
  quick: true,
  async run(attack) {
    const { received } = attack.world.mail
    const from = received.length
    const sent = await Promise.all(mailAttempts.map((each) => attempt(attack, each)))
    const count = sent.filter(Boolean).length
    await until('all messages have come', () => received.length >= from + count)
    for (const each of received.slice(from)) judge(attack, each)
    return `${count} messages as they should be, ${mailAttempts.length - count} submissions refused`
  },
}
