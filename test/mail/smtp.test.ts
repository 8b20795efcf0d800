// Every way a mail server can answer, or fail to, against a real one: what becomes of the message, and what is told of it.

import { type AddressInfo, createServer } from 'node:net'
import t from 'tap'
import { openIntegrations } from '../../src/builtin/integrations.js'
import { type Mail, toMessageId } from '../../src/mail/smtp.js'
import { toSmtpOutcome } from '../../src/mail/smtp-outcome.js'
import { eventually } from '../helpers/eventually.js'
import { mailConfig, openMail } from '../helpers/open-mail.js'
import { type Script, startSmtpReceiver } from '../helpers/smtp-receiver.js'

const never = new AbortController().signal
const secret = 'canary-4711'
const mail: Mail = {
  to: 'reader@example.com',
  subject: 'Hello',
  html: `<p>${secret}</p>`,
  text: secret,
  messageId: '<id@mail.example.com>',
  signal: never,
}

interface Row {
  name: string
  script?: Script
  env?: Record<string, string>
  /** Appended to `smtp://` before the address. */
  login?: string
  query?: string
  expect: { kind: string; code?: string; message?: RegExp }
  /** Messages the server has after it. */
  received?: number
  alarms?: boolean
}

/** Long enough for a busy machine to get as far as the silence. */
const shortSilence = { SMTP_SOCKET_TIMEOUT_MS: '1500' }

const rows: Row[] = [
  { name: 'accepted', expect: { kind: 'accepted' }, received: 1 },
  { name: 'recipient 550', script: { recipient: () => ({ code: 550 }) }, expect: { kind: 'refused', code: 'smtp.recipient_refused' } },
  { name: 'recipient 551', script: { recipient: () => ({ code: 551 }) }, expect: { kind: 'refused', code: 'smtp.recipient_refused' } },
  { name: 'greylisted 451', script: { recipient: () => ({ code: 451 }) }, expect: { kind: 'unavailable', code: 'smtp.deferred' } },
  { name: 'sender 550', script: { sender: () => ({ code: 550 }) }, expect: { kind: 'refused', code: 'smtp.message_refused' } },
  { name: 'sender 421', script: { sender: () => ({ code: 421 }) }, expect: { kind: 'unavailable', code: 'smtp.deferred' } },
  {
    name: 'message 554',
    script: { message: () => ({ code: 554 }) },
    expect: { kind: 'refused', code: 'smtp.message_refused' },
    received: 1,
  },
  { name: 'message 451', script: { message: () => ({ code: 451 }) }, expect: { kind: 'unavailable', code: 'smtp.deferred' }, received: 1 },
  {
    name: 'message larger than announced',
    script: { sizeBytesMax: 100 },
    expect: { kind: 'refused', code: 'smtp.message_refused' },
    received: 1,
  },
  {
    name: '552 with 5.2.2, mailbox full',
    script: { recipient: () => ({ code: 552, text: '5.2.2 over quota' }) },
    expect: { kind: 'unavailable', code: 'smtp.mailbox_full' },
  },
  {
    name: '552 with 4.2.2, mailbox full',
    script: { recipient: () => ({ code: 552, text: '4.2.2 over quota' }) },
    expect: { kind: 'unavailable', code: 'smtp.mailbox_full' },
  },
  {
    name: '452 with 4.2.2, mailbox full',
    script: { recipient: () => ({ code: 452, text: '4.2.2 over quota' }) },
    expect: { kind: 'unavailable', code: 'smtp.mailbox_full' },
  },
  {
    name: '452 with 4.3.1, the server is full',
    script: { recipient: () => ({ code: 452, text: '4.3.1 no space' }) },
    expect: { kind: 'unavailable', code: 'smtp.deferred' },
  },
  {
    name: '552 with 5.3.4, message too big',
    script: { message: () => ({ code: 552, text: '5.3.4 too big' }) },
    expect: { kind: 'refused', code: 'smtp.message_refused' },
    received: 1,
  },
  {
    name: 'bad login 535',
    script: { login: { user: 'gate', pass: 'right' } },
    login: `gate:${secret}@`,
    expect: { kind: 'misconfigured', code: 'smtp.authentication_failed' },
    alarms: true,
  },
  {
    name: 'login 454, for now',
    script: { login: { user: 'gate', pass: 'right', fault: { code: 454 } } },
    login: `gate:${secret}@`,
    expect: { kind: 'unavailable', code: 'smtp.deferred' },
  },
  {
    name: 'good login',
    script: { login: { user: 'gate', pass: secret } },
    login: `gate:${secret}@`,
    expect: { kind: 'accepted' },
    received: 1,
  },
  {
    name: 'login asked for and not given, 530',
    script: { login: { user: 'gate', pass: 'right' } },
    expect: { kind: 'misconfigured', code: 'smtp.authentication_failed' },
    alarms: true,
  },
  {
    name: 'TLS required, not offered',
    env: { SMTP_REQUIRE_TLS: 'true' },
    expect: { kind: 'misconfigured', code: 'smtp.tls_required' },
    alarms: true,
  },
  {
    name: 'TLS required and offered',
    script: { starttls: true },
    env: { SMTP_REQUIRE_TLS: 'true' },
    query: '?tls.rejectUnauthorized=false',
    expect: { kind: 'accepted' },
    received: 1,
  },
  {
    name: 'certificate of nobody we know',
    script: { starttls: true },
    expect: { kind: 'unavailable', code: 'smtp.unreachable', message: /certificate .* not trusted \(ESOCKET, CERT_HAS_EXPIRED\)/ },
  },
  {
    name: 'greeting 554',
    script: { greeting: () => ({ code: 554 }) },
    expect: { kind: 'misconfigured', code: 'smtp.session_refused' },
    alarms: true,
  },
  { name: 'greeting 421', script: { greeting: () => ({ code: 421 }) }, expect: { kind: 'unavailable', code: 'smtp.deferred' } },
  {
    name: 'greeting never comes',
    script: { greeting: () => 'silent' },
    env: { SMTP_CONNECT_TIMEOUT_MS: '300' },
    expect: { kind: 'unavailable', code: 'smtp.unreachable' },
  },
  { name: 'dropped before the message', script: { recipient: () => 'drop' }, expect: { kind: 'unavailable', code: 'smtp.unreachable' } },
  {
    name: 'no answer before the message',
    script: { recipient: () => 'silent' },
    env: shortSilence,
    expect: { kind: 'unavailable', code: 'smtp.unreachable' },
  },
  {
    name: 'no answer after the message',
    script: { message: () => 'silent' },
    env: shortSilence,
    expect: { kind: 'unconfirmed', code: 'smtp.outcome_unknown' },
    received: 1,
  },
  {
    name: 'dropped after the message',
    script: { message: () => 'drop' },
    expect: { kind: 'unconfirmed', code: 'smtp.outcome_unknown' },
    received: 1,
  },
]

for (const { name, script, env, login = '', query = '', expect, received = 0, alarms = false } of rows) {
  t.test(name, async (t) => {
    const receiver = await startSmtpReceiver(script)
    const { smtp, lines, close } = await openMail(`smtp://${login}127.0.0.1:${receiver.port}/${query}`, env)
    t.after(async () => {
      await close()
      await receiver.close()
    })
    const outcome = await smtp.send(mail)
    t.match(outcome, expect)
    t.equal(receiver.received.length, received)
    t.equal(
      lines.some(({ level }) => level === 'error'),
      alarms,
    )
    t.notMatch(JSON.stringify([outcome, lines]), /canary|reader@|over quota|too big/, 'told without address, secret or text of the server')
  })
}

t.test('connection refused', async (t) => {
  const receiver = await startSmtpReceiver()
  await receiver.close()
  const { smtp, close } = await openMail(receiver.url)
  t.after(close)
  t.match(await smtp.send(mail), { kind: 'unavailable', code: 'smtp.unreachable', message: /ESOCKET, ECONNREFUSED/ })
})

t.test('name that does not resolve', async (t) => {
  const { smtp, close } = await openMail('smtp://mail.invalid:2525')
  t.after(close)
  t.match(await smtp.send(mail), { kind: 'unavailable', code: 'smtp.unreachable' })
})

t.test('TLS handshake never ends: the connection times out', async (t) => {
  const silent = createServer()
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve))
  t.after(() => silent.close())
  const { smtp, close } = await openMail(`smtps://127.0.0.1:${(silent.address() as AddressInfo).port}`, { SMTP_CONNECT_TIMEOUT_MS: '200' })
  t.after(close)
  t.match(await smtp.send(mail), { kind: 'unavailable', code: 'smtp.unreachable', message: /CONNECT_TIMEOUT/ })
})

t.test('503 and other 5xx are for good, whatever the code of the library', async (t) => {
  t.match(toSmtpOutcome({ code: 'EENVELOPE', responseCode: 503, command: 'RCPT TO' }, false), { kind: 'refused' })
  t.match(toSmtpOutcome({ code: 'EMESSAGE', responseCode: 421, command: 'DATA' }, true), { kind: 'unavailable' })
})

t.test('what no server causes is thrown, without what it says', async (t) => {
  t.throws(() => toSmtpOutcome({ code: 'EFILEACCESS', response: secret }, false), /^The message could not be built \(EFILEACCESS\)\.$/)
})

t.test('one connection carries many messages, each to one recipient under its own Message-ID', async (t) => {
  const receiver = await startSmtpReceiver()
  const { smtp, close } = await openMail(receiver.url, { SMTP_MAX_CONNECTIONS: '1' })
  t.after(async () => {
    await close()
    await receiver.close()
  })
  for (const to of ['a@example.com', 'b@example.com', 'c@example.com']) {
    t.match(await smtp.send({ ...mail, to, messageId: toMessageId('mail_1', to, smtp.domain) }), { kind: 'accepted', responseCode: 250 })
  }
  t.equal(receiver.connections(), 1)
  t.same(
    receiver.received.map(({ to }) => to),
    [['a@example.com'], ['b@example.com'], ['c@example.com']],
  )
  const [first] = receiver.received
  t.match(first?.mail.messageId, /^<[0-9a-f]{64}@mail\.example\.com>$/)
  t.equal(new Set(receiver.received.map(({ mail }) => mail.messageId)).size, 3)
  t.match(first?.mail.from, { value: [{ name: 'Jobgate', address: 'gate@mail.example.com' }] })
  t.equal(first?.mail.headers.get('auto-submitted'), 'auto-generated')
})

t.test('a connection the server closed while it was idle costs nothing', async (t) => {
  const receiver = await startSmtpReceiver({ recipient: (_address, count) => (count === 2 ? 'drop' : undefined) })
  const { smtp, close } = await openMail(receiver.url, { SMTP_MAX_CONNECTIONS: '1' })
  t.after(async () => {
    await close()
    await receiver.close()
  })
  t.match(await smtp.send(mail), { kind: 'accepted' })
  t.match(await smtp.send(mail), { kind: 'accepted' }, 'sent over another connection, since nothing had been handed over')
  t.equal(receiver.received.length, 2)
})

t.test('line breaks in a subject add no header, a comma adds no recipient', async (t) => {
  const receiver = await startSmtpReceiver()
  const { smtp, close } = await openMail(receiver.url)
  t.after(async () => {
    await close()
    await receiver.close()
  })
  await smtp.send({ ...mail, subject: 'One\r\nBcc: other@example.com' })
  await smtp.send({ ...mail, to: 'a@example.com, b@example.com' }).catch(() => undefined)
  t.same(
    receiver.received.filter(({ to }) => to.length !== 1),
    [],
  )
  t.notOk(receiver.received[0]?.mail.headers.has('bcc'))
})

t.test('files are not read in place of text', async (t) => {
  const receiver = await startSmtpReceiver()
  const { smtp, close } = await openMail(receiver.url)
  t.after(async () => {
    await close()
    await receiver.close()
  })
  await t.rejects(smtp.send({ ...mail, html: { path: '/etc/hostname' } as unknown as string }), /could not be built/)
  t.equal(receiver.received.length, 0)
})

t.test('SMTP_RATE_PER_SECOND holds messages back', async (t) => {
  const receiver = await startSmtpReceiver()
  const { smtp, close } = await openMail(receiver.url, { SMTP_RATE_PER_SECOND: '2' })
  t.after(async () => {
    await close()
    await receiver.close()
  })
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => smtp.send(mail)))
  t.same(new Set(outcomes.map(({ kind }) => kind)), new Set(['accepted']))
  t.ok(receiver.connections() <= 2, 'no more connections than messages a second, or the first second would overshoot')
})

t.test('the signal ends a message that waits for an answer', async (t) => {
  t.test('before it was handed over', async (t) => {
    const receiver = await startSmtpReceiver({ recipient: () => 'silent' })
    const { smtp, close } = await openMail(receiver.url)
    t.after(async () => {
      await close()
      await receiver.close()
    })
    const stop = new AbortController()
    const sending = smtp.send({ ...mail, signal: stop.signal })
    await eventually('the recipient was named', () => receiver.attempts(mail.to) === 1)
    stop.abort()
    t.match(await sending, { kind: 'unavailable', code: 'smtp.interrupted' })
  })

  t.test('after it was handed over', async (t) => {
    const receiver = await startSmtpReceiver({ message: () => 'silent' })
    const { smtp, close } = await openMail(receiver.url)
    t.after(async () => {
      await close()
      await receiver.close()
    })
    const stop = new AbortController()
    const sending = smtp.send({ ...mail, signal: stop.signal })
    await receiver.waitFor(1)
    stop.abort()
    t.match(await sending, { kind: 'unconfirmed', code: 'smtp.outcome_unknown' })
  })

  t.test('that fired already', async (t) => {
    const { smtp, close } = await openMail('smtp://127.0.0.1:9')
    t.after(close)
    t.match(await smtp.send({ ...mail, signal: AbortSignal.abort() }), { kind: 'unavailable', code: 'smtp.interrupted' })
  })
})

t.test('closing finishes what is under way and gives back what waits', async (t) => {
  let answer = () => {}
  const held = new Promise<void>((resolve) => {
    answer = resolve
  })
  const receiver = await startSmtpReceiver({ recipient: () => 'silent' })
  const { smtp, integrations } = await openMail(receiver.url, { SMTP_MAX_CONNECTIONS: '1', ...shortSilence })
  t.after(() => receiver.close())
  const first = smtp.send(mail)
  const second = smtp.send({ ...mail, to: 'late@example.com' })
  await eventually('the first is under way', () => receiver.attempts(mail.to) === 1)
  const closed = integrations.close().then(answer)
  t.match(await second, { kind: 'unavailable', code: 'smtp.unreachable' })
  t.match(await first, { kind: 'unavailable' })
  await Promise.all([closed, held])
  await integrations.close()
  t.match(await smtp.send(mail), { kind: 'unavailable' }, 'nothing is sent afterwards')
})

t.test('settings', async (t) => {
  const log = { warn: () => {}, error: () => {} } as never

  t.test('no SMTP_URL: no integration', async (t) => {
    const integrations = await openIntegrations({ config: mailConfig(), log })
    t.equal(integrations.smtp, undefined)
    await integrations.close()
  })

  t.test('MAIL_FROM that is no sender stops the start', async (t) => {
    await t.rejects(openMail('smtp://127.0.0.1:9', { MAIL_FROM: 'Ada <a@example.com>, b@example.com' }), /MAIL_FROM must be/)
  })

  t.test('a bare MAIL_FROM is a sender, EMAIL_MESSAGE_ID_DOMAIN a domain', async (t) => {
    const { smtp, close } = await openMail('smtp://127.0.0.1:9', { MAIL_FROM: 'a@example.org', EMAIL_MESSAGE_ID_DOMAIN: 'ids.example.org' })
    t.after(close)
    t.same(smtp.sender, { name: '', address: 'a@example.org' })
    t.equal(smtp.domain, 'ids.example.org')
  })

  t.test('a login that may travel in plain text is warned of, and not shown', async (t) => {
    const { lines, close } = await openMail(`smtp://gate:${secret}@mail.example.com:587`)
    t.after(close)
    t.match(lines, [{ level: 'warn', text: /SMTP_REQUIRE_TLS/ }])
    t.notMatch(JSON.stringify(lines), /canary/)
  })
})
