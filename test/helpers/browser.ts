// Chromium for tests of pages: it notes what the page complains of and what it asks of other hosts.

import { existsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const executablePath = '/usr/bin/chromium'

/** Says why tests in a browser are left out; false when they are not. */
export const skipWithoutBrowser = !existsSync(executablePath) && `${executablePath} is not there: apt-get install chromium`

/** Where to keep pictures of the pages, for people who want to look at them. */
const pictures = process.env['PICTURES_DIR']
const deadlineMs = 60_000
const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/**
 * Opens an empty page. `url` is the only host that it should talk to.
 * `complaints` are errors and warnings of the console, violations of the content security policy among them;
 * `elsewhere` are addresses of other hosts. Closed when the test ends.
 */
export const openBrowser = async (t: { after(handler: () => unknown): void }, url: string) => {
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
  return {
    browser,
    page,
    complaints,
    elsewhere,
    look: async (name: string) => {
      if (pictures) await page.screenshot({ path: join(pictures, `${name}.png`) })
    },
    resize: (width: 1280 | 390) => page.setViewportSize({ width, height: width === 390 ? 844 : 900 }),
    /** Whether the page is no wider than the window. */
    fits: () => page.evaluate('document.documentElement.scrollWidth <= window.innerWidth') as Promise<boolean>,
  }
}
