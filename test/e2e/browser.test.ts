// A person opens /docs, enters a key and sends a job from the page, in a real browser.

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import t from 'tap'
import { jobTypes } from '../../src/catalog.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'

const executablePath = '/usr/bin/chromium'
const skip = !existsSync(executablePath) && `${executablePath} is not there: apt-get install chromium`
/** Where to keep pictures of the pages, for people who want to look at them. */
const pictures = process.env['PICTURES_DIR']
const deadlineMs = 20_000
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

t.test('/docs in a browser', { skip }, async (t) => {
  const { app } = await buildTestApp(t, { types: jobTypes, env: { WORKERS_ENABLED: 'false' } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const profile = await mkdtemp(join(tmpdir(), 'jgb-'))
  const browser = await chromium.launchPersistentContext(profile, {
    executablePath,
    args,
    headless: true,
    viewport: { width: 1280, height: 900 },
  })
  t.after(async () => {
    await browser.close()
    await rm(profile, { recursive: true, force: true, maxRetries: 20 })
  })
  browser.setDefaultTimeout(deadlineMs)
  const page = browser.pages()[0] ?? (await browser.newPage())
  const complaints: string[] = []
  const elsewhere: string[] = []
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text())
  })
  page.on('pageerror', (error) => complaints.push(error.message))
  page.on('request', (request) => {
    const wanted = request.url()
    if (!wanted.startsWith(`${url}/`) && !/^(?:data|blob):/.test(wanted)) elsewhere.push(wanted)
  })
  const look = async (name: string) => {
    if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) })
  }

  await page.goto(`${url}/docs`)
  const submit = page.locator('#operations-jobs-submitJob')
  await submit.waitFor()
  await look('docs-1280')

  await t.test('the key is entered', async (t) => {
    await page.getByRole('button', { name: 'Authorize' }).first().click()
    const dialog = page.locator('.modal-ux')
    await dialog.locator('input').fill(adminKey)
    await look('authorize-1280')
    await dialog.getByRole('button', { name: 'Apply credentials' }).click()
    await dialog.getByRole('button', { name: 'Remove authorization' }).waitFor()
    await dialog.getByRole('button', { name: 'Close' }).first().click()
    t.equal(await dialog.count(), 0)
  })

  await t.test('an example is sent and accepted', async (t) => {
    await submit.locator('.opblock-summary-control').click()
    // The form is open already; this is the other face of "Try it out".
    await submit.getByRole('button', { name: 'Cancel' }).waitFor()
    await submit.locator('.opblock-section-request-body select.examples-select-element').selectOption('send-notification-email')
    t.match(JSON.parse(await submit.locator('.body-param textarea').inputValue()), { type: 'send-notification-email', data: Object })
    await submit.getByRole('button', { name: 'Execute' }).click()
    const live = submit.locator('.live-responses-table tbody .response').first()
    await live.waitFor()
    t.match(await live.locator('.response-col_status').textContent(), /^202/)
    t.match(await live.textContent(), /send-notification-email/)
    await live.scrollIntoViewIfNeeded()
    await look('answer-1280')
  })

  await t.test('it fits a telephone', async (t) => {
    await page.setViewportSize({ width: 390, height: 844 })
    await look('answer-390')
    await page.goto(`${url}/docs`)
    await submit.waitFor()
    await look('docs-390')
    t.ok(((await page.evaluate('document.documentElement.scrollWidth')) as number) <= 390, 'no scrolling sideways')
  })

  t.same(complaints, [], 'nothing is complained of')
  t.same(elsewhere, [], 'nothing is loaded from elsewhere')
})
