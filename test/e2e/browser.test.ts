// People in a real browser: they look at the home page, try the API from /docs, and sign in to the dashboard.

import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { openBrowser, skipWithoutBrowser as skip } from '../helpers/browser.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const open = async (t: Parameters<typeof buildTestApp>[0], env: Record<string, string> = {}) => {
  const test = await buildTestApp(t, { types: builtinTypes, env: { WORKERS_ENABLED: 'false', ...env } })
  const url = await test.app.listen({ host: '127.0.0.1', port: 0 })
  return { ...test, url, ...(await openBrowser(t, url)) }
}

t.test('/docs in a browser', { skip }, async (t) => {
  const { url, page, look, resize, fits, complaints, elsewhere } = await open(t)
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
    await resize(390)
    await look('answer-390')
    await page.goto(`${url}/docs`)
    await submit.waitFor()
    await look('docs-390')
    t.ok(await fits(), 'no scrolling sideways')
    await page.emulateMedia({ colorScheme: 'dark' })
    await page.reload()
    await submit.waitFor()
    await look('docs-dark-390')
  })

  t.same(complaints, [], 'nothing is complained of')
  t.same(elsewhere, [], 'nothing is loaded from elsewhere')
})

t.test('the home page in a browser', { skip }, async (t) => {
  const { url, page, look, resize, fits, complaints, elsewhere } = await open(t)
  for (const colorScheme of ['light', 'dark'] as const) {
    await page.emulateMedia({ colorScheme })
    for (const width of [1280, 390] as const) {
      await resize(width)
      await page.goto(url)
      t.equal(await page.getByRole('heading', { level: 1 }).textContent(), 'Jobgate')
      t.equal(await page.locator('html').getAttribute('lang'), 'en')
      t.ok(await page.getByText('Ready for requests').isVisible())
      t.ok(await fits(), `no scrolling sideways at ${width}`)
      await look(`home-${colorScheme}-${width}`)
    }
  }
  for (const link of await page.locator('main a').all()) {
    const address = await link.getAttribute('href')
    const answer = await page.request.get(`${url}${address}`, { headers: { authorization: `Bearer ${adminKey}` } })
    t.equal(answer.status(), 200, `${address} is there`)
  }
  await page.keyboard.press('Tab')
  t.equal(await page.evaluate('document.activeElement.getAttribute("href")'), '/docs', 'the keyboard reaches the links')
  t.same(complaints, [], 'nothing is complained of')
  t.same(elsewhere, [], 'nothing is loaded from elsewhere')
})

t.test('the dashboard in a browser', { skip }, async (t) => {
  const { url, page, look, resize, fits, complaints, elsewhere, submit, request, browser } = await open(t, { BOARD_READ_ONLY: 'false' })
  const data = { to: 'you@example.com', verificationCode: '735209' }
  const { id } = (await submit({ type: 'send-verification-email', data })).json()
  const late = (await submit({ type: 'send-verification-email', data, options: { delayMs: 3_600_000 } })).json().id
  const jobPage = `${url}/admin/board/queue/email/${id}`

  await t.test('without a session there is a page that asks for a key', async (t) => {
    for (const width of [390, 1280] as const) {
      await resize(width)
      t.equal((await page.goto(jobPage))?.status(), 401)
      t.ok(await fits())
      await look(`board-login-${width}`)
    }
    // Chromium notes the status of every page that is not 2xx.
    t.ok(complaints.splice(0).every((text) => text.includes('401')))
    await page.getByLabel('API key').fill('not-a-key')
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('alert').waitFor()
    await look('board-login-refused-1280')
    t.match(await page.getByRole('alert').textContent(), /unknown/)
    t.ok(complaints.splice(0).every((text) => text.includes('401')))
  })

  await t.test('a key leads to the page that was wanted; secrets are masked there', async (t) => {
    await page.getByLabel('API key').fill(adminKey)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.waitForURL(jobPage)
    await page.getByText('you@example.com').first().waitFor()
    await look('board-job-1280')
    t.notMatch(await page.content(), /735209/)
    const [cookie] = await browser.cookies(jobPage)
    t.match(cookie, { name: 'jobgate_board', path: '/admin/board', httpOnly: true, sameSite: 'Strict', secure: false })
    t.notOk(cookie?.value.includes(adminKey))
  })

  await t.test('all queues, one queue, narrow and wide', async (t) => {
    for (const width of [390, 1280] as const) {
      await resize(width)
      await page.goto(`${url}/admin/board`)
      await page.locator('main').getByText('external-api').waitFor()
      await look(`board-${width}`)
      t.ok(await fits(), `no scrolling sideways at ${width}`)
      await page.goto(`${url}/admin/board/queue/email`)
      await page.getByText('send-verification-email').first().waitFor()
      await look(`board-queue-${width}`)
      t.ok(await fits(), `no scrolling sideways at ${width}`)
    }
  })

  await t.test('an act that is not its business is refused in words', async (t) => {
    await page.goto(`${url}/admin/board/queue/email?status=delayed`)
    await page.getByText('Clean all').click()
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.getByText('The dashboard does not support this').first().waitFor()
    await look('board-refused-1280')
    t.ok(complaints.splice(0).every((text) => /403|preload/.test(text)))
  })

  await t.test('an act is carried out and noted', async (t) => {
    await page.goto(`${url}/admin/board/queue/email?status=delayed`)
    await page.getByText('Promote all').click()
    await page.getByRole('button', { name: 'Confirm' }).waitFor()
    await look('board-promote-1280')
    await page.getByRole('button', { name: 'Confirm' }).click()
    await eventually('promoted', async () => (await request({ method: 'GET', url: `/v1/jobs/${late}` })).json().state === 'waiting')
    const { items } = (await request({ method: 'GET', url: '/admin/audit' })).json()
    t.match(items.at(-1), { act: 'operation.requested', by: 'admin', queue: 'email', details: { kind: 'promote-delayed' } })
  })

  await t.test('its menus and settings open', async () => {
    for (const [at, seen] of [
      [-4, /Memory usage/i],
      [-2, /Polling interval/],
      [-1, /Sign out/],
    ] as const) {
      await page.goto(`${url}/admin/board`)
      await page.locator('main').getByText('external-api').waitFor()
      await page.locator('header button').nth(at).click()
      await page.getByText(seen).first().waitFor()
      await look(`board-menu${at}-1280`)
    }
  })

  await t.test('signing out ends the session', async (t) => {
    const [cookie] = await browser.cookies(jobPage)
    await page.goto(`${url}/admin/board/logout`)
    await look('board-logout-1280')
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.getByLabel('API key').waitFor()
    t.same(await browser.cookies(jobPage), [])
    const again = await page.request.get(`${url}/admin/board`, { headers: { cookie: `jobgate_board=${cookie?.value}` } })
    t.equal(again.status(), 401, 'the cookie that was kept is void')
  })

  // bull-board announces scripts that it then uses late.
  t.same(
    complaints.filter((text) => !/401|preloaded using link preload/.test(text)),
    [],
    'nothing is complained of',
  )
  t.same(elsewhere, [], 'nothing is loaded from elsewhere')
})
