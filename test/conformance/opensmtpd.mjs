// Runs every e-mail job type of the built product against a real mail server, Debian's OpenSMTPD, and reads what it delivered.
//
//   npm run test:conformance -- opensmtpd     on Debian, as root, with openssl; see smtpd.mjs for why that is safe

import assert from 'node:assert/strict'
import { randomBytes, randomUUID } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { simpleParser } from 'mailparser'
import { startGateway } from '../../scripts/demo/gateway.mjs'
import { eventually } from '../helpers/eventually.ts'
import { startSmtpd } from './smtpd.mjs'

const deliveryDeadlineMs = 20_000
const minuteMs = 60_000
const adminKey = randomBytes(18).toString('hex')
/** Every character that an address has to encode. */
const login = { user: 'jobgate', pass: `p@ss:w/rd %?#${randomBytes(8).toString('hex')}` }
const addressOf = (name) => `${name}@example.com`
const nobody = addressOf('nobody')
const recipients = ['verification', 'reset', 'notification', 'one', 'two', 'reminder', 'smtps', 'plain', 'known'].map(addressOf)

const closers = []
const scope = { after: (close) => closers.push(close) }
let passed = 0
const step = async (name, run) => {
  await run()
  passed += 1
  console.log(`ok ${passed} - ${name}`)
}

/** A gateway with workers, for as long as `use` takes. */
const withGateway = async (env, use) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'jg-'))
  const gateway = await startGateway({
    dataDir,
    env: { ADMIN_API_KEY: adminKey, MAIL_FROM: 'Jobgate Größe <gate@example.com>', ...env },
    signal: new AbortController().signal,
  })
  /** Submits one job and gives it once it has finished. */
  const run = async (type, data, options) => {
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', 'idempotency-key': `"${randomUUID()}"` }
    const answer = await gateway.request('/v1/jobs', { method: 'POST', headers, body: JSON.stringify({ type, data, options }) })
    assert.equal(answer.status, 202, answer.text)
    return gateway.finished(answer.json().id)
  }
  try {
    await use(run, gateway)
  } finally {
    await gateway.stop()
    rmSync(dataDir, { recursive: true, force: true })
    for (const text of [...gateway.logs, ...gateway.answers]) assert.ok(!text.includes(login.pass), 'the password is told')
  }
}

const start = async () => {
  const work = mkdtempSync(join(tmpdir(), 'jg-smtpd-'))
  scope.after(() => rmSync(work, { recursive: true, force: true }))
  const root = join(work, 'root')
  // Unlike its parent, it has to be open to the users that the server runs as.
  mkdirSync(root, { mode: 0o755 })
  return startSmtpd(root, { login, recipients, scope })
}

const check = async (smtpd) => {
  /** The one message of the address: as it lies there, and read. */
  const read = async (address) => {
    await eventually(`a message to ${address}`, () => smtpd.delivered(address).length > 0, deliveryDeadlineMs)
    const messages = smtpd.delivered(address)
    assert.equal(messages.length, 1, `${messages.length} messages to ${address}`)
    return { raw: messages[0].toString('latin1'), mail: await simpleParser(messages[0], { skipTextToHtml: true }) }
  }

  /** What is the same for all: `words` stand in text and HTML. */
  const checkMessage = async (job, address, subject, words) => {
    assert.equal(job.state, 'completed', JSON.stringify(job.error))
    const { raw, mail } = await read(address)
    const head = raw.slice(0, raw.indexOf('\n\n'))
    assert.equal(mail.messageId, job.result.messageId)
    assert.equal(mail.subject, subject)
    assert.deepEqual(mail.from.value, [{ name: 'Jobgate Größe', address: 'gate@example.com' }])
    assert.deepEqual(mail.to.value, [{ name: '', address }])
    assert.equal(mail.headers.get('return-path').value[0].address, 'gate@example.com')
    assert.equal(mail.headers.get('auto-submitted'), 'auto-generated')
    assert.equal(mail.headers.get('mime-version'), '1.0')
    assert.ok(Math.abs(mail.date.getTime() - Date.now()) < 5 * minuteMs)
    assert.match(head, /^Received: /m)
    for (const name of ['Message-ID', 'Date', 'From', 'To', 'Subject']) {
      assert.equal(head.match(new RegExp(`^${name}:`, 'gim'))?.length, 1, `${name} is there once`)
    }
    // biome-ignore lint/suspicious/noControlCharactersInRegex: what a message without SMTPUTF8 and BINARYMIME may hold.
    assert.match(raw, /^[\x09\x0a\x0d\x20-\x7e]*$/, 'seven bits, no control characters')
    assert.ok(
      raw.split('\n').every((line) => line.replace(/\r$/, '').length <= 998),
      'no line is longer than SMTP allows',
    )
    assert.match(head, /^Content-Type: multipart\/(alternative|mixed);/m)
    for (const word of words) {
      assert.ok(mail.text.includes(word), `"${word}" in the text`)
      assert.ok(mail.html.includes(word), `"${word}" in the HTML`)
    }
    return { raw, mail }
  }

  const starttls = {
    SMTP_URL: `smtp://${login.user}:${encodeURIComponent(login.pass)}@127.0.0.1:${smtpd.ports.starttls}`,
    SMTP_REQUIRE_TLS: 'true',
    NODE_EXTRA_CA_CERTS: smtpd.certificate,
  }
  const notification = { subject: 'x', templateData: { body: 'y' } }

  await withGateway(starttls, async (run, gateway) => {
    await step('send-verification-email over STARTTLS with a login', async () => {
      const job = await run('send-verification-email', {
        to: addressOf('verification'),
        name: '李雷',
        verificationCode: '4711-AB',
        locale: 'zh',
      })
      await checkMessage(job, addressOf('verification'), '您的验证码', ['李雷，您好', '4711-AB'])
      assert.match(smtpd.log(), /smtp tls ciphers=TLSv1\.[23]/)
      assert.match(smtpd.log(), /authentication user=jobgate result=ok/)
    })

    await step('send-password-reset-email with a long link, whole', async () => {
      const resetUrl = `https://app.example.com/reset?token=${'a1=B2'.repeat(300)}`
      const job = await run('send-password-reset-email', { to: addressOf('reset'), resetUrl })
      const { mail } = await checkMessage(job, addressOf('reset'), 'Reset your password', ['30 minutes'])
      assert.ok(mail.text.includes(resetUrl))
    })

    await step('send-notification-email: subject and body as they were given, dots, blanks and long lines too', async () => {
      const subject = `Größe ✓ 会议记录 ${'很长的标题'.repeat(20)}`
      const body = ['.leading dot', '..', '.', 'From the start', `${'会议'.repeat(1500)} = end`].join('\n')
      const job = await run('send-notification-email', { to: addressOf('notification'), subject, templateData: { body } })
      const { mail } = await checkMessage(job, addressOf('notification'), subject, ['.leading dot', 'From the start'])
      assert.ok(mail.text.includes(body))
    })

    await step('send-meeting-invitation: one message each, with a calendar entry', async () => {
      const meetingTime = new Date(Math.ceil(Date.now() / minuteMs) * minuteMs + 24 * 60 * minuteMs)
      const to = ['one', 'two', 'nobody'].map(addressOf)
      const job = await run('send-meeting-invitation', {
        to,
        meetingId: 'weekly-42',
        meetingTitle: 'Größe; 会议, "Plan"',
        meetingTime: meetingTime.toISOString(),
        durationMs: 30 * minuteMs,
        meetingUrl: 'https://meet.example.com/weekly',
        organizerName: 'Ada Größe',
        organizerEmail: 'ada@example.com',
        agenda: 'First\nSecond; third',
        sequence: 2,
      })
      assert.deepEqual(job.result, { total: 3, sent: 2, failed: [{ to: nobody, code: 'smtp.recipient_refused' }] })
      const { items } = (await gateway.request(`/v1/jobs/${job.id}/children`, { headers: { authorization: `Bearer ${adminKey}` } })).json()
      for (const address of to.slice(0, 2)) {
        const child = items.find(({ data }) => data.to === address)
        const { mail, raw } = await checkMessage(child, address, 'Invitation: Größe; 会议, "Plan"', ['Ada Größe', 'Second; third'])
        const calendars = mail.attachments.filter(({ contentType }) => ['text/calendar', 'application/ics'].includes(contentType))
        assert.deepEqual(calendars.map(({ contentType }) => contentType).sort(), ['application/ics', 'text/calendar'])
        assert.match(raw, /^Content-Type: text\/calendar; charset=utf-8; method=REQUEST$/im)
        for (const { content } of calendars) {
          // The box keeps lines the way files do; SMTP carried them with CRLF.
          const text = content.toString('utf8').replaceAll('\r\n', '\n')
          assert.ok(text.endsWith('\nEND:VCALENDAR\n'))
          assert.ok(
            text.split('\n').every((line) => Buffer.byteLength(line) <= 75),
            'lines are folded',
          )
          const unfolded = text.replaceAll('\n ', '')
          const stamp = meetingTime.toISOString().replace(/[-:]|\.\d{3}/g, '')
          for (const line of [
            'METHOD:REQUEST',
            `UID:${child.result.calendarUid}`,
            'SEQUENCE:2',
            `DTSTART:${stamp}`,
            'SUMMARY:Größe\\; 会议\\, "Plan"',
            'ORGANIZER;CN="Ada Größe":mailto:ada@example.com',
          ]) {
            assert.ok(unfolded.includes(`\n${line}\n`), line)
          }
          assert.match(unfolded, new RegExp(`\nATTENDEE;.*:mailto:${address}\n`))
        }
      }
    })

    await step('send-meeting-reminder, due at once', async () => {
      const meetingTime = new Date(Date.now() + 10 * minuteMs).toISOString()
      const job = await run('send-meeting-reminder', {
        to: addressOf('reminder'),
        meetingTitle: '周会',
        meetingTime,
        remindBeforeMs: 15 * minuteMs,
      })
      await checkMessage(job, addressOf('reminder'), 'Reminder: 周会', ['周会', 'UTC'])
    })

    await step('a refused recipient ends the job at once', async () => {
      const job = await run('send-notification-email', { to: nobody, ...notification })
      assert.deepEqual([job.state, job.error.code, job.error.retryable, job.attempts.made], ['failed', 'smtp.recipient_refused', false, 1])
      assert.match(job.error.message, /550/)
    })
  })

  await step('smtps:// works too', () =>
    withGateway({ ...starttls, SMTP_URL: starttls.SMTP_URL.replace('smtp:', 'smtps:').replace(/\d+$/, smtpd.ports.smtps) }, async (run) => {
      const job = await run('send-notification-email', { to: addressOf('smtps'), ...notification })
      await checkMessage(job, addressOf('smtps'), 'x', ['y'])
    }),
  )

  await step('so does a server that asks for nothing', () =>
    withGateway({ SMTP_URL: `smtp://127.0.0.1:${smtpd.ports.plain}` }, async (run) => {
      const job = await run('send-notification-email', { to: addressOf('plain'), ...notification })
      await checkMessage(job, addressOf('plain'), 'x', ['y'])
    }),
  )

  const refused = async (name, env, code, message, retryable) =>
    step(name, () =>
      withGateway({ ...starttls, ...env }, async (run, gateway) => {
        const job = await run('send-notification-email', { to: addressOf('known'), ...notification }, { attempts: retryable ? 1 : 3 })
        assert.deepEqual([job.state, job.error.code, job.error.retryable], ['failed', code, retryable], JSON.stringify(job.error))
        assert.match(job.error.message, message)
        assert.equal(job.attempts.made, 1)
        assert.equal(
          gateway.logs.some((line) => line.includes('"level":"error"') && line.includes(code)),
          !retryable,
          'operators are alarmed',
        )
      }),
    )
  const wrong = starttls.SMTP_URL.replace(/:[^:@]+@/, ':wrong@')
  await refused('a wrong password ends the job at once', { SMTP_URL: wrong }, 'smtp.authentication_failed', /535/, false)
  const without = starttls.SMTP_URL.replace(/\/\/.*@/, '//')
  await refused('so does a missing login', { SMTP_URL: without }, 'smtp.authentication_failed', /530/, false)
  await refused(
    'a certificate of nobody we know is not talked to',
    { NODE_EXTRA_CA_CERTS: '' },
    'smtp.unreachable',
    /not trusted.*SELF_SIGNED/,
    true,
  )
  await refused(
    'TLS that is required and not offered ends the job at once',
    { SMTP_URL: `smtp://127.0.0.1:${smtpd.ports.plain}` },
    'smtp.tls_required',
    /ETLS/,
    false,
  )
  assert.deepEqual(smtpd.delivered(addressOf('known')), [])
  console.log(`1..${passed}`)
}

if (process.getuid() !== 0) {
  console.error('OpenSMTPD is started by root alone: it changes its root directory and its user.')
  process.exit(1)
}
try {
  const smtpd = await start()
  console.log(`# OpenSMTPD ${smtpd.version}`)
  await check(smtpd)
} finally {
  for (const close of closers.reverse()) await close()
}
