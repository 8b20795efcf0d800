// Verification codes: the message, its bounds and its short life.

import t from 'tap'
import { sendVerificationEmail } from '../../../src/builtin/email/send-verification-email.js'
import { createValidator, startMailWorld, testMailJob } from '../../helpers/mail-jobs.js'
import { mailConfig } from '../../helpers/open-mail.js'

const data = {
  to: 'reader@example.com',
  name: 'Ada',
  verificationCode: 'CODE-4711',
  verificationUrl: 'https://app.example.com/verify?token=canary',
}
const isData = createValidator(sendVerificationEmail.data)
const now = Date.parse('2026-11-24T10:00:00Z')
const check = (link: string, hosts = '') =>
  sendVerificationEmail.check?.({ ...data, verificationUrl: link }, { now, config: mailConfig({ EMAIL_LINK_HOSTS: hosts }) })

testMailJob(t, sendVerificationEmail, data, [data.verificationCode, data.verificationUrl])

t.test('refuses a recipient that is not one plain address', async (t) => {
  t.ok(isData(data))
  for (const to of [
    'a@example.com,b@example.com',
    'a@example.com;b@example.com',
    'Ada <a@example.com>',
    'a@example.com\r\nBcc: b@example.com',
    ['a@example.com'],
    'a',
  ]) {
    t.notOk(isData({ ...data, to }), `${to}`)
  }
})

t.test('refuses unknown members, and codes out of bounds', async (t) => {
  t.notOk(isData({ ...data, subject: 'x' }))
  for (const verificationCode of ['123', 'x'.repeat(65), '12 34', '<b>12</b>', 1234])
    t.notOk(isData({ ...data, verificationCode }), `${verificationCode}`)
})

t.test('code and link are marked sensitive', async (t) => {
  const { verificationCode, verificationUrl, to } = sendVerificationEmail.data.properties
  t.match([verificationCode, verificationUrl], [{ 'x-sensitive': true }, { 'x-sensitive': true }])
  t.notMatch(to, { 'x-sensitive': true })
})

t.test('links: https, and hosts of EMAIL_LINK_HOSTS', async (t) => {
  t.same(check(data.verificationUrl), [])
  t.same(check(data.verificationUrl, 'other.example.com, APP.example.com'), [])
  t.same(check(data.verificationUrl, '*.example.com'), [])
  t.same(check('http://localhost:3000/verify'), [], 'http to a loopback host, for development')
  t.same(check('http://127.0.0.1/verify'), [])
  const refused: [link: string, hosts: string][] = [
    [data.verificationUrl, 'example.com'],
    ['https://evilexample.com/', '*.example.com'],
    ['https://example.com.evil.net/', 'example.com'],
    ['https://evil.net\\.example.com/', ''],
    ['http://app.example.com/', ''],
    ['http://localhost.evil.net/', ''],
    ['https://user:pass@app.example.com/', ''],
    ['javascript:alert(1)', ''],
  ]
  for (const [link, hosts] of refused) {
    const problems = check(link, hosts)
    t.match(problems, [{ pointer: '#/data/verificationUrl' }], link)
    t.notOk(JSON.stringify(problems).includes(link))
  }
})

t.test('expires after 10 minutes', async (t) => {
  t.same(sendVerificationEmail.timing?.(data, now), { expiresAt: now + 600_000 })
})

t.test('speaks the language asked for, else the configured one', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendVerificationEmail, {}, { EMAIL_DEFAULT_LOCALE: 'zh' })
  await run(data)
  await run({ ...data, locale: 'en' })
  t.same(
    receiver.received.map(({ mail }) => mail.subject),
    ['您的验证码', 'Your verification code'],
  )
  t.match(receiver.received[0]?.mail.text, /Ada，您好/)
})

t.test('a name cannot bring HTML along', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendVerificationEmail)
  await run({ ...data, name: '<img src=x>' })
  t.notMatch(receiver.received[0]?.mail.html as string, /<img/)
})
