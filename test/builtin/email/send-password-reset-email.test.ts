// Password resets: the link, its bounds and a life as long as the link's.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sendPasswordResetEmail } from '../../../src/builtin/email/send-password-reset-email.js'
import { createValidator, startMailWorld, testMailJob } from '../../helpers/mail-jobs.js'
import { mailConfig } from '../../helpers/open-mail.js'

const data = { to: 'reader@example.com', name: 'Ada', resetUrl: 'https://app.example.com/reset?token=canary' }
const isData = createValidator(sendPasswordResetEmail.data)
const now = Date.parse('2026-11-24T10:00:00Z')

testMailJob(t, sendPasswordResetEmail, data, [data.resetUrl])

t.test('bounds', async (t) => {
  t.ok(isData({ ...data, resetToken: 'x', tokenExpiresInMs: 60_000, locale: 'zh' }))
  for (const wrong of [
    { to: 'a@example.com,b@example.com' },
    { tokenExpiresInMs: 59_999 },
    { tokenExpiresInMs: 604_800_001 },
    { resetUrl: 'ftp://x' },
    { locale: 'fr' },
    { other: 1 },
  ]) {
    t.notOk(isData({ ...data, ...wrong }), JSON.stringify(wrong))
  }
})

t.test('link and token are marked sensitive', async (t) => {
  const { resetUrl, resetToken } = sendPasswordResetEmail.data.properties
  t.match([resetUrl, resetToken], [{ 'x-sensitive': true }, { 'x-sensitive': true }])
})

t.test('the host has to be allowed', async (t) => {
  const config = mailConfig({ EMAIL_LINK_HOSTS: 'accounts.example.com' })
  t.match(sendPasswordResetEmail.check?.(data, { now, config }), [{ pointer: '#/data/resetUrl' }])
  t.same(sendPasswordResetEmail.check?.({ ...data, resetUrl: 'https://accounts.example.com/r' }, { now, config }), [])
})

t.test('expires with the link', async (t) => {
  t.same(sendPasswordResetEmail.timing?.(data, now), { expiresAt: now + 1_800_000 })
  t.same(sendPasswordResetEmail.timing?.({ ...data, tokenExpiresInMs: 60_000 }, now), { expiresAt: now + 60_000 })
})

t.test('tells how long the link works; the token only where a template prints it', async (t) => {
  const withToken = { ...data, resetToken: 'TOKEN-4711', tokenExpiresInMs: 5_400_000 }
  const plain = await startMailWorld(t, sendPasswordResetEmail)
  await plain.run(withToken)
  t.match(plain.receiver.received[0]?.mail.text, /expires in 1 hour 30 minutes/)
  t.notMatch(plain.receiver.received[0]?.raw, /TOKEN-4711/)

  const dir = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'password-reset.en.text.hbs'), 'Token: {{resetToken}}')
  const own = await startMailWorld(t, sendPasswordResetEmail, {}, { EMAIL_TEMPLATE_DIR: dir })
  const outcome = await own.run(withToken)
  t.match(own.receiver.received[0]?.mail.text, /Token: TOKEN-4711/)
  t.notMatch(JSON.stringify(outcome), /TOKEN-4711/)
})
