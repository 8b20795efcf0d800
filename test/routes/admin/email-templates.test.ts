import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { builtinTypes } from '../../../src/builtin/builtin.js'
import { createJobTypes } from '../../../src/types/registry.js'
import { buildTestApp } from '../../helpers/build-test-app.js'

type Test = Parameters<typeof buildTestApp>[0]

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** An app whose operator has these files, and what it says of its templates. */
const open = async (t: Test, files: Record<string, string> = {}) => {
  const dir = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const [name, source] of Object.entries(files)) writeFileSync(join(dir, name), source)
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', EMAIL_TEMPLATE_DIR: dir } })
  const get = (path = '') => test.request({ method: 'GET', url: `/admin/email-templates${path}` })
  const list = async () => {
    const { items } = (await get()).json() as { items: { name: string; version: string }[] }
    return new Map(items.map((item) => [item.name, item]))
  }
  return { dir, get, list }
}

t.test('200: those of Jobgate, with the job type that sends each', async (t) => {
  const { get, list } = await open(t)
  const templates = await list()
  t.same([...templates.keys()], ['meeting-invitation', 'meeting-reminder', 'notification', 'password-reset', 'verification'])
  for (const template of templates.values()) {
    t.match(template, { source: 'built-in', languages: ['en', 'zh'], version: /^[0-9a-f]{16}$/ })
    t.ok(createJobTypes(builtinTypes).find((template as unknown as { jobType: string }).jobType), 'the job type exists')
  }
  t.match(templates.get('verification'), {
    jobType: 'send-verification-email',
    fields: [
      { name: 'name', type: 'string', lengthMax: 100, required: false },
      { name: 'verificationCode', type: 'string', lengthMax: 64, required: true },
      { name: 'verificationUrl', type: 'string', lengthMax: 2048, required: false },
    ],
    parts: Array.from({ length: 6 }, () => ({ file: null, sha256: /^[0-9a-f]{64}$/ })),
  })

  const shown = (await get('/verification')).json()
  t.match(shown, { ...templates.get('verification'), sample: { verificationCode: '123456' } })
  t.same(
    shown.previews.map(({ locale, subject }: { locale: string; subject: string }) => [locale, subject]),
    [
      ['en', 'Your verification code'],
      ['zh', '您的验证码'],
    ],
  )
  for (const { text, html } of shown.previews) for (const body of [text, html]) t.match(body, '123456')
})

t.test("200: an operator's files, by name and hash, and never where they lie", async (t) => {
  const subject = 'Code for {{#if name}}{{name}}{{/if}}'
  const files = {
    'verification.zh.subject.hbs': subject,
    'alarm.en.html.hbs': '{{#> layout}}<b>{{user.name}}</b>{{#if link}}<i>{{link}}</i>{{/if}}{{/layout}}',
    'alarm.en.text.hbs': '{{user.name}} {{#each user.tags}}{{this}}{{else}}{{/each}}',
    'list.en.html.hbs': '{{#with owner}}{{name}}{{/with}}',
    'list.en.text.hbs': '-',
  }
  const { dir, get, list } = await open(t, files)
  const templates = await list()
  t.match(templates.get('verification'), {
    source: 'mixed',
    parts: [
      ...Array.from({ length: 3 }, () => ({ locale: 'en', file: null })),
      { locale: 'zh', part: 'subject', file: 'verification.zh.subject.hbs', sha256: sha256(subject) },
      { file: null },
      { file: null },
    ],
  })
  t.match(templates.get('alarm'), {
    jobType: 'send-notification-email',
    source: 'folder',
    languages: ['en'],
    fields: [
      { name: 'user', type: 'any', lengthMax: null, required: true },
      { name: 'link', required: false },
    ],
    parts: [
      { locale: 'en', part: 'text', file: 'alarm.en.text.hbs', sha256: sha256(files['alarm.en.text.hbs']) },
      { part: 'html', file: 'alarm.en.html.hbs' },
    ],
  })

  const alarm = (await get('/alarm')).json()
  t.match(alarm.sample, { user: { name: '[user.name]', tags: '[user.tags]' }, link: '[link]' })
  t.match(alarm.previews, [{ locale: 'en', subject: 'Subject', html: /<b>\[user.name\]<\/b><i>\[link\]<\/i>/, text: /^\[user.name\]/ }])
  t.match((await get('/list')).json(), { source: 'folder', previews: [] }, 'what nobody can guess is left out')
  for (const path of ['', '/alarm', '/verification', '/list']) t.notOk((await get(path)).body.includes(dir), 'no path')
})

t.test('a version follows the sources, wherever and whenever they are read', async (t) => {
  const versionOf = async (files: Record<string, string>) => (await (await open(t, files)).list()).get('verification')?.version
  const one = { 'verification.en.subject.hbs': 'One' }
  const [own, first, again, other] = [
    await versionOf({}),
    await versionOf(one),
    await versionOf(one),
    await versionOf({ 'verification.en.subject.hbs': 'Two' }),
  ]
  t.equal(first, again)
  t.equal(new Set([own, first, other]).size, 3)
})

t.test('a change in the folder shows after a restart, not before', async (t) => {
  const files = { 'verification.en.subject.hbs': 'One' }
  const { dir, get } = await open(t, files)
  const subjectOf = async (ask: typeof get) => (await ask('/verification')).json().previews[0].subject
  writeFileSync(join(dir, 'verification.en.subject.hbs'), 'Two')
  t.equal(await subjectOf(get), 'One')
  const restarted = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', EMAIL_TEMPLATE_DIR: dir } })
  t.equal(await subjectOf((path) => restarted.request({ method: 'GET', url: `/admin/email-templates${path}` })), 'Two')
})

t.test('404', async (t) => {
  const { get } = await open(t)
  for (const path of ['/nothing', '/constructor', '/verification.en.html.hbs', '/..%2f..%2fetc', `/${'a'.repeat(65)}`]) {
    const answer = await get(path)
    t.equal(answer.statusCode, path.length > 64 ? 400 : 404, path)
  }
})
