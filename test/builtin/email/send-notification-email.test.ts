// Notifications: templates and their data, lists of recipients, and what is refused at submission.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { sendNotificationEmail } from '../../../src/builtin/email/send-notification-email.js'
import { createValidator, startMailWorld, testMailJob } from '../../helpers/mail-jobs.js'
import { mailConfig } from '../../helpers/open-mail.js'

const data = {
  to: 'reader@example.com',
  subject: 'News',
  templateData: { title: 'Title', body: 'canary <b>bold</b>', actionUrl: 'https://app.example.com/x' },
}
const isData = createValidator(sendNotificationEmail.data)
const now = Date.parse('2026-11-24T10:00:00Z')
const check = (change: object, env: Record<string, string> = {}) =>
  sendNotificationEmail.check?.({ ...data, ...change }, { now, config: mailConfig(env) })

testMailJob(t, sendNotificationEmail, data, ['canary'])

t.test('bounds', async (t) => {
  t.ok(isData({ ...data, to: ['a@example.com', 'b@example.com'], template: 'notification', locale: 'zh' }))
  const wrong = [
    { to: 'a@example.com,b@example.com' },
    { to: ['a@example.com,b@example.com'] },
    { to: [] },
    { to: Array.from({ length: 1001 }, (_, index) => `a${index}@example.com`) },
    { subject: '' },
    { subject: 'a\nb' },
    { template: '../x' },
    { templateData: { 'a.b': 1 } },
    { templateData: [] },
  ]
  for (const change of wrong) t.notOk(isData({ ...data, ...change }), JSON.stringify(change).slice(0, 60))
})

t.test('what is refused at submission', async (t) => {
  t.same(check({}), [])
  t.match(check({ to: ['a@example.com', 'b@example.com', 'A@Example.com'] }), [{ pointer: '#/data/to/2', detail: /repeats/ }])
  t.match(check({ template: 'nothing' }), [{ pointer: '#/data/template' }])
  t.match(check({ template: 'verification' }), [{ pointer: '#/data/template' }])
  t.match(check({ templateData: {} }), [{ pointer: '#/data/templateData/body', detail: 'is missing' }])
  t.match(check({ templateData: { body: 'x', extra: 1 } }), [{ pointer: '#/data/templateData/extra' }])
  t.match(check({ templateData: { body: 'x'.repeat(40_000) } }), [{ pointer: '#/data/templateData', detail: /32768 bytes/ }])
  t.match(check({ templateData: { a: { b: { c: { d: { e: {} } } } } } }), [{ pointer: '#/data/templateData', detail: /5 levels/ }])
  t.match(check({}, { EMAIL_LINK_HOSTS: 'other.example.com' }), [{ pointer: '#/data/templateData/actionUrl' }])
  t.match(check({ templateData: { body: 'x', actionUrl: 'http://app.example.com/' } }), [{ pointer: '#/data/templateData/actionUrl' }])
})

t.test("an operator's template is known to gateway and worker, and its links are checked as well", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'welcome.en.html.hbs'), '{{#> layout}}{{#each links}}<a href="{{this}}">x</a>{{/each}}{{/layout}}')
  writeFileSync(join(dir, 'welcome.en.text.hbs'), '{{#each links}}{{this}}\n{{/each}}')
  const env = { EMAIL_TEMPLATE_DIR: dir, EMAIL_LINK_HOSTS: 'app.example.com' }
  const welcome = { ...data, template: 'welcome', templateData: { links: ['https://app.example.com/a'] } }
  t.same(check(welcome, env), [])
  for (const link of ['https://evil.example.net/', ' javascript:alert(1)', 'data:text/html,x']) {
    t.match(
      check({ ...welcome, templateData: { links: ['https://app.example.com/a', link] } }, env),
      [{ pointer: '#/data/templateData/links/1' }],
      link,
    )
  }

  const { receiver, run } = await startMailWorld(t, sendNotificationEmail, {}, env)
  t.match(await run(welcome), { kind: 'done', result: { template: 'welcome' } })
  t.match(receiver.received[0]?.mail, { subject: 'News', html: /href="https:\/\/app\.example\.com\/a"/ })
})

t.test('a worker with other templates fails for good, with nothing sent', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendNotificationEmail)
  t.match(await run({ ...data, template: 'welcome' }), { kind: 'fail', code: 'smtp.template_missing' })
  const misfit = await run({ ...data, templateData: { canary: 1 } })
  t.match(misfit, { kind: 'fail', code: 'invalid_data' })
  t.notMatch(JSON.stringify(misfit), /canary/)
  t.equal(receiver.connections(), 0)
})

t.test('HTML in the data stays text', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendNotificationEmail)
  await run(data)
  t.match(receiver.received[0]?.mail.html, /canary &lt;b&gt;bold/)
  t.match(receiver.received[0]?.mail.text, /canary <b>bold/)
})

t.test('a list becomes one job per recipient, gathered afterwards', async (t) => {
  const to = ['a@example.com', 'b@example.com', 'c@example.com']
  t.equal(sendNotificationEmail.fanOut?.(data), null)
  t.same(
    sendNotificationEmail.fanOut?.({ ...data, to }),
    to.map((each) => ({ ...data, to: each })),
  )
  t.same(sendNotificationEmail.fanOut?.({ ...data, to: ['a@example.com'] })?.length, 1)
  const gathered = sendNotificationEmail.gather?.({ ...data, to }, [
    { kind: 'completed', result: {} },
    { kind: 'failed', code: 'smtp.recipient_refused' },
    { kind: 'completed', result: {} },
  ])
  t.same(gathered, { total: 3, sent: 2, failed: [{ to: 'b@example.com', code: 'smtp.recipient_refused' }] })
  t.ok(createValidator(sendNotificationEmail.result)(gathered))
})

t.test('an attempt never sends to a list', async (t) => {
  const { receiver, run } = await startMailWorld(t, sendNotificationEmail)
  await t.rejects(run({ ...data, to: ['a@example.com', 'b@example.com'] }), /exactly one recipient/)
  t.equal(receiver.connections(), 0)
})
