// What every response has in common, whatever part of the gateway writes it.

import type { InjectOptions } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { openMetricsListener } from '../../src/operations/metrics-listener.js'
import { adminKey, buildTestApp, freshRateWindowMs, type TestApp } from '../helpers/build-test-app.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen } from '../helpers/small-app.js'

type Call = InjectOptions & { url: string; method: NonNullable<InjectOptions['method']> }

/** Pages and documents, which the API description leaves out. */
const hidden = [
  '/',
  '/docs',
  '/docs/',
  '/docs/json',
  '/docs/yaml',
  '/docs/static/index.html',
  '/docs/static/index.css',
  '/docs/static/swagger-ui.css',
  '/docs/static/swagger-ui-bundle.js',
  '/docs/static/swagger-initializer.js',
  '/docs/static/theme/color-scheme.js',
  '/docs/static/nothing.js',
  '/openapi.json',
  '/openapi.yaml',
  '/problems',
  '/problems/queue-full',
  '/problems/nothing',
  '/metrics',
  '/admin/board',
  '/admin/board/',
  '/admin/board/queue/email',
  '/admin/board/api/queues',
  '/admin/board/static/js/nothing.js',
  '/admin/board/logout',
  '/nothing',
]
const probes = ['/livez', '/readyz']
const html = { accept: 'text/html' }

/** Every operation of the API description, with some id. */
const toOperations = ({ app }: TestApp): Call[] => {
  const { paths } = app.swagger() as { paths: Record<string, Record<string, unknown>> }
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({
      method: method.toUpperCase() as Call['method'],
      url: path.replace('{queue}', 'email').replace(/\{[^}]+\}/g, 'mail_3q2AMb1cT7mR0wZk9vYxFg'),
    })),
  )
}

const toPages = (urls: readonly string[]): Call[] =>
  urls.flatMap((url) => [
    { method: 'GET', url },
    { method: 'GET', url, headers: html },
    { method: 'HEAD', url },
    { method: 'PATCH', url },
  ])

const forms: Call[] = ['login', 'logout'].flatMap((name): Call[] => [
  { method: 'POST', url: `/admin/board/${name}` },
  { method: 'POST', url: `/admin/board/${name}`, headers: { 'sec-fetch-site': 'same-origin' } },
  { method: 'POST', url: `/admin/board/${name}`, headers: { 'content-type': 'text/csv' }, payload: 'x' },
])

const bodies: Call[] = ['/v1/jobs', '/v1/jobs/batch', '/v1/inbound/lark'].flatMap((url): Call[] => [
  { method: 'POST', url, headers: { 'content-type': 'text/csv' }, payload: 'x' },
  { method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: '{' },
  { method: 'POST', url, headers: { 'content-type': 'application/json' }, payload: ' '.repeat(2_000_000) },
])

t.test('nosniff', async (t) => {
  const test = await buildTestApp(t)
  const { app } = test
  const sniffed: string[] = []
  const check = (what: string, headers: Record<string, unknown>) => {
    if (headers['x-content-type-options'] !== 'nosniff') sniffed.push(what)
  }
  const authorization = `Bearer ${adminKey}`
  const calls = [...toOperations(test), ...toPages([...hidden, ...probes]), ...forms, ...bodies]
  for (const call of calls) {
    for (const key of [{}, { authorization }]) {
      // The event stream of a job that is not there is none.
      const answer = await app.inject({ ...call, headers: { ...call.headers, ...key } })
      check(`${call.method} ${call.url} ${answer.statusCode}`, answer.headers)
    }
  }

  const submitted = await test.submit({ type: 'echo', data: { label: 'a' } })
  check('202', submitted.headers)
  const { id } = submitted.json()
  await test.finished(id)
  const { headers } = await test.request({ method: 'GET', url: `/v1/jobs/${id}` })
  check('200', headers)
  const cached = await test.request({ method: 'GET', url: `/v1/jobs/${id}`, headers: { 'if-none-match': headers['etag'] as string } })
  t.equal(cached.statusCode, 304)
  check('304', cached.headers)
  const events = await app.inject({ url: `/v1/jobs/${id}/events`, headers: { authorization } })
  t.match(events.headers['content-type'], /event-stream/)
  check('event stream', events.headers)
  const { statusCode, headers: ofBatch } = await app.inject({
    method: 'POST',
    url: '/v1/jobs/batch',
    headers: { authorization, 'content-type': 'application/x-ndjson' },
    payload: '{}\n',
  })
  t.equal(statusCode, 207)
  check('NDJSON', ofBatch)
  const key = { 'content-type': 'application/x-www-form-urlencoded', 'sec-fetch-site': 'same-origin' }
  const login = await app.inject({ method: 'POST', url: '/admin/board/login', headers: key, payload: `key=${adminKey}` })
  t.equal(login.statusCode, 303)
  check('redirect', login.headers)
  const cookie = String(login.headers['set-cookie']).split(';')[0] as string
  const page = await app.inject({ url: '/admin/board', headers: { ...html, cookie } })
  t.equal(page.statusCode, 200)
  const assets = [...page.body.matchAll(/(?:src|href)="?([^" >]*static\/[^" >]+)/g)].map(([, asset]) => asset as string)
  t.ok(assets.length > 0)
  for (const asset of assets) {
    const answer = await app.inject({ url: new URL(asset, 'http://a/admin/board/').pathname, headers: { cookie } })
    t.equal(answer.statusCode, 200, asset)
    check(asset, answer.headers)
  }

  const { port } = await listen(app as never)
  for (const text of [
    'NONSENSE\r\n\r\n',
    `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`,
    'GET / HTTP/1.1\r\n\r\n',
    'GET /%zz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    `GET /v1/jobs/${'x'.repeat(2000)} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
    'GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n',
    'OPTIONS * HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
  ]) {
    const { socket, answer } = rawConnection(port)
    socket.write(text)
    const got = readAnswer(await answer)
    t.ok(got.status, text.slice(0, 30))
    check(text.slice(0, 30), got.headers)
  }

  const { metrics } = test.services
  const listener = await openMetricsListener({ host: '127.0.0.1', port: 0, token: 'a'.repeat(16), metrics, log: pino({ enabled: false }) })
  t.after(() => listener.close())
  for (const path of ['/metrics', '/livez', '/nothing']) {
    for (const authorization of ['', `Bearer ${'a'.repeat(16)}`]) {
      const answer = await fetch(new URL(path, listener.url), { headers: { authorization } })
      await answer.text()
      check(`worker ${path} ${answer.status}`, Object.fromEntries(answer.headers))
    }
  }
  const post = await fetch(listener.url, { method: 'POST' })
  check('worker 405', Object.fromEntries(post.headers))
  t.same(sniffed, [])
})

t.test('RL-5 without a key, every response says what is left for the address; probes are not counted', async (t) => {
  const env = { RATE_LIMIT_MAX: '100000', RATE_LIMIT_WINDOW_MS: freshRateWindowMs() }
  const test = await buildTestApp(t, { env })
  let left = 100_000
  const uncounted: string[] = []
  for (const call of [...toOperations(test), ...toPages(hidden), ...forms, ...bodies]) {
    const { headers, statusCode } = await test.app.inject(call)
    const rest = Number(/;r=(\d+);/.exec(String(headers['ratelimit']))?.[1])
    if (rest !== left - 1) uncounted.push(`${call.method} ${call.url} ${statusCode}: ${left - rest}`)
    left = rest
  }
  t.same(uncounted, [])
  for (const url of probes) t.equal((await test.app.inject(url)).headers['ratelimit'], undefined, url)
})

t.test('RL-5 an address beyond its limit gets no page, but probes', async (t) => {
  const test = await buildTestApp(t, { env: { RATE_LIMIT_MAX: '2', RATE_LIMIT_WINDOW_MS: freshRateWindowMs() } })
  const { app } = test
  for (const url of ['/', '/docs/static/swagger-ui-bundle.js']) t.equal((await app.inject(url)).statusCode, 200)
  for (const url of ['/', '/docs/static/swagger-ui-bundle.js', '/problems', '/openapi.json', '/metrics', '/admin/board']) {
    const answer = await app.inject({ url, headers: html })
    t.equal(answer.statusCode, 429, url)
    t.match(answer.headers, { 'retry-after': /^\d+$/, 'content-type': 'application/problem+json' })
  }
  for (const url of probes) t.equal((await app.inject(url)).statusCode, 200, url)
})
