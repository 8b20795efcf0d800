// Templates in both languages: what they print, what they escape, and what of an operator's folder is refused.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { locales } from '../../src/mail/schema.js'
import { openMailTemplates } from '../../src/mail/templates/templates.js'
import { type BuiltInName, type BuiltInTemplate, builtInTemplates } from '../../src/mail/templates/texts.js'
import { toLength, toWhen } from '../../src/mail/templates/words.js'

const templates = openMailTemplates(undefined)
const names = Object.keys(builtInTemplates) as BuiltInName[]

const folder = (t: Test, files: Record<string, string>): string => {
  const dir = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(dir, { recursive: true }))
  for (const [name, source] of Object.entries(files)) writeFileSync(join(dir, name), source)
  return dir
}

const faultOf = (dir: string): string => {
  try {
    openMailTemplates(dir)
    return ''
  } catch (error) {
    return (error as Error).message
  }
}

for (const name of names) {
  for (const locale of locales) {
    t.test(`${name} in ${locale}`, async (t) => {
      const { data, sample } = builtInTemplates[name] as BuiltInTemplate

      t.test('prints all it is given', async (t) => {
        const { subject, html, text } = templates.render(name, locale, sample, 'Submitted subject')
        t.ok(subject.length > 0)
        t.match(html, new RegExp(`<html lang="${locale}">`))
        for (const [member, value] of Object.entries(sample)) {
          // Only templates of an operator print the bare token; the link of a reset already holds it.
          if (member === 'resetToken') continue
          for (const line of `${value}`.split('\n').filter((line) => line !== '')) {
            t.ok(text.includes(line), `${member} in the text`)
            t.ok(html.includes(line), `${member} in the HTML`)
          }
        }
        t.notMatch(text, /<|&\w+;/, 'plain text')
      })

      t.test('does without what may be left out', async (t) => {
        const scant = Object.fromEntries(Object.entries(sample).filter(([member]) => data.required?.includes(member)))
        const { subject, html, text } = templates.render(name, locale, scant, 'Submitted subject')
        t.notMatch(`${subject}${html}${text}`, /null|undefined|\[object/)
      })

      t.test('escapes all of it in HTML, nothing in the text', async (t) => {
        const evil = `<b a="1">'&\``
        const hostile = Object.fromEntries(Object.keys(sample).map((member) => [member, `${member} ${evil}`]))
        const { html, text } = templates.render(name, locale, hostile, 'S')
        t.notMatch(html, /<b a=/)
        t.match(html, /&lt;b a&#x3D;&quot;1&quot;&gt;&#x27;&amp;&#x60;/)
        t.ok(text.includes(evil))
      })
    })
  }
}

t.test('a subject stays on one line and is cut at 200 characters', async (t) => {
  const { subject } = templates.render('notification', 'en', { body: 'x' }, `a\r\nBcc: b${'c'.repeat(300)}`)
  t.match(subject, /^a Bcc: bc+$/)
  t.equal(subject.length, 200)
})

t.test('an unknown template is a mistake', async (t) => {
  t.throws(() => templates.render('nothing', 'en', {}), /unknown/)
  t.match(templates.notificationProblems('nothing', {}), [{ pointer: '#/data/template' }])
})

t.test('notifications cannot borrow the templates of other job types', async (t) => {
  t.same(
    names.filter((name) => templates.isForNotifications(name)),
    ['notification'],
  )
  t.match(templates.notificationProblems('verification', { verificationCode: '1234' }), [{ pointer: '#/data/template' }])
})

t.test('the built-in notification says what it wants', async (t) => {
  t.same(templates.notificationProblems('notification', { body: 'x' }), [])
  t.same(templates.notificationProblems('notification', {}), [{ pointer: '#/data/templateData/body', detail: 'is missing' }])
  t.match(templates.notificationProblems('notification', { body: 'x', extra: 1 }), [{ pointer: '#/data/templateData/extra' }])
  const [problem] = templates.notificationProblems('notification', { body: 'x', actionUrl: 'javascript:alert(1)' })
  t.match(problem, { pointer: '#/data/templateData/actionUrl' })
  t.notMatch(problem?.detail, /alert/, 'without repeating the value')
})

t.test('times and lengths', async (t) => {
  const at = Date.parse('2026-12-01T09:00:00.000Z')
  t.match(toWhen(at, 'UTC', 'en'), /1 December 2026.*09:00 UTC$/)
  t.match(toWhen(at, 'Asia/Shanghai', 'en'), /1 December 2026.*17:00.*GMT\+8 \(Asia\/Shanghai\)$/)
  t.match(toWhen(at, 'America/New_York', 'en'), /04:00.*GMT-5/)
  t.match(toWhen(at, 'Asia/Shanghai', 'zh'), /2026年12月1日.*17:00.*（Asia\/Shanghai）$/)
  t.equal(toLength(60_000, 'en'), '1 minute')
  t.equal(toLength(5_400_000, 'en'), '1 hour 30 minutes')
  t.equal(toLength(2 * 86_400_000 + 60_000, 'en'), '2 days 1 minute')
  t.equal(toLength(119_000, 'en'), '1 minute', 'rounded down')
  t.equal(toLength(5_400_000, 'zh'), '1 小时 30 分钟')
})

t.test('EMAIL_TEMPLATE_DIR', async (t) => {
  t.test('replaces parts of a built-in template, in one language', async (t) => {
    const own = openMailTemplates(
      folder(t, {
        'verification.en.subject.hbs': 'Code for {{name}}',
        'verification.en.html.hbs': '{{#> layout}}<b>{{verificationCode}}</b>{{/layout}}',
        'README.md': 'left alone',
      }),
    )
    const data = { name: 'A & B', verificationCode: '4711' }
    const en = own.render('verification', 'en', data)
    t.equal(en.subject, 'Code for A & B')
    t.match(en.html, /<title>Code for A &amp; B<\/title>[\s\S]*<b>4711<\/b>/)
    t.equal(en.text, templates.render('verification', 'en', data).text)
    t.same(own.render('verification', 'zh', data), templates.render('verification', 'zh', data))
  })

  t.test('joins a template for notifications, checked by what it prints', async (t) => {
    const own = openMailTemplates(
      folder(t, {
        'welcome.en.html.hbs':
          '{{#> layout}}{{> title text=headline}}{{#if nick}}{{nick}}{{/if}}{{#each steps}}<li>{{this.name}} {{../headline}} {{@index}}</li>{{/each}}{{/layout}}',
        'welcome.en.text.hbs': '{{headline}} {{user.name}}{{#unless quiet}}!{{/unless}} {{subject}}',
      }),
    )
    t.ok(own.isForNotifications('welcome'))
    const data = { headline: 'Hi', user: { name: 'Ada' }, steps: [{ name: '<one>' }] }
    t.same(own.notificationProblems('welcome', data), [])
    const { subject, html, text } = own.render('welcome', 'zh', data, 'Sent subject')
    t.equal(subject, 'Sent subject')
    t.match(html, /<li>&lt;one&gt; Hi 0<\/li>/)
    t.equal(text, 'Hi Ada! Sent subject')
    t.same(own.notificationProblems('welcome', {}), [
      { pointer: '#/data/templateData/headline', detail: 'is missing' },
      { pointer: '#/data/templateData/user', detail: 'is missing' },
    ])
    t.match(own.notificationProblems('welcome', { ...data, other: 1 }), [{ pointer: '#/data/templateData/other' }])
    t.same(own.notificationProblems('welcome', { ...data, user: 'Ada' }), [
      { pointer: '#/data/templateData', detail: 'does not match the template' },
    ])
  })

  const html = '<p>x</p>'
  const broken: [name: string, files: Record<string, string>, line: RegExp][] = [
    ['does not parse', { 'verification.en.html.hbs': '{{#if name}}' }, /^EMAIL_TEMPLATE_DIR: verification\.en\.html\.hbs: .*line 1/],
    ['prints what it is not given', { 'verification.zh.text.hbs': '{{nickname}}' }, /verification\.zh\.text\.hbs: "nickname" not defined/],
    ['does not escape', { 'verification.en.html.hbs': '{{{name}}}' }, /verification\.en\.html\.hbs: .*escaped/],
    [
      'does not escape, in a partial',
      { 'verification.en.html.hbs': '{{#> layout}}{{&name}}{{/layout}}' },
      /verification\.en\.html\.hbs: .*escaped/,
    ],
    ['calls a helper that is not there', { 'verification.en.text.hbs': '{{shout name}}' }, /verification\.en\.text\.hbs: .*shout/],
    ['logs', { 'verification.en.text.hbs': '{{log name}}' }, /verification\.en\.text\.hbs: .*log/],
    ['looks names up', { 'verification.en.text.hbs': '{{lookup . "name"}}' }, /verification\.en\.text\.hbs: .*lookup/],
    [
      'uses a partial that is not there',
      { 'verification.en.html.hbs': '{{> header}}' },
      /verification\.en\.html\.hbs: unknown partial header/,
    ],
    [
      'uses a partial in text',
      { 'verification.en.text.hbs': '{{> title text=name}}' },
      /verification\.en\.text\.hbs: unknown partial title/,
    ],
    [
      'uses a block that is not there',
      { 'verification.en.text.hbs': '{{#name}}x{{/name}}' },
      /verification\.en\.text\.hbs: unknown helper {{#name}}/,
    ],
    ['declares a partial', { 'verification.en.html.hbs': '{{#*inline "x"}}y{{/inline}}' }, /verification\.en\.html\.hbs: inline partials/],
    ['is misnamed', { 'verification.html.hbs': html }, /verification\.html\.hbs must be named/],
    ['is of an unknown language', { 'verification.fr.html.hbs': html }, /verification\.fr\.html\.hbs must be named/],
    ['has no text', { 'welcome.en.html.hbs': html }, /welcome\.en\.text\.hbs is missing/],
    ['has no HTML', { 'welcome.zh.text.hbs': 'x' }, /welcome\.zh\.html\.hbs is missing/],
  ]
  for (const [name, files, line] of broken) {
    t.test(`a template that ${name} stops the start`, async (t) => {
      const fault = faultOf(folder(t, files))
      t.match(fault, line)
      t.notMatch(fault, /\n/, 'in one line')
    })
  }

  t.test('a folder that is not there stops the start', async (t) => {
    t.equal(faultOf(join(tmpdir(), 'jg-no-such-folder')), 'EMAIL_TEMPLATE_DIR: cannot be read (ENOENT)')
  })
})
