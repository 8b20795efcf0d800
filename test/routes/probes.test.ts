import t, { type Test } from 'tap'
import gracefulClose from '../../src/http/graceful-close.js'
import { createReadiness } from '../../src/http/readiness.js'
import requestLog from '../../src/http/request-log.js'
import home from '../../src/routes/home.js'
import probes from '../../src/routes/probes.js'
import { smallApp } from '../helpers/small-app.js'

const probeApp = async (t: Test, ping: () => Promise<unknown>) => {
  const { app, lines } = await smallApp(t)
  await app.register(requestLog, { trustTrace: true })
  await app.register(gracefulClose)
  const state = { pings: 0, isOverloaded: false }
  const redis = {
    ping: () => {
      state.pings++
      return ping()
    },
  }
  const readiness = createReadiness({ redis, isStopping: app.isStopping, isOverloaded: () => state.isOverloaded })
  await app.register(probes, { readiness })
  await app.register(home, { readiness })
  return { app, lines, state }
}

t.test('HLT-1 /livez answers without Redis', async (t) => {
  const { app, state } = await probeApp(t, () => Promise.reject(new Error('down')))
  const answer = await app.inject('/livez')
  t.equal(answer.statusCode, 200)
  t.same(answer.json(), { status: 'ok' })
  t.equal(answer.headers['cache-control'], 'no-store')
  t.equal(state.pings, 0)
})

t.test('HLT-1 /readyz is 200 while Redis answers, asked once a second however many ask', async (t) => {
  const { app, state, lines } = await probeApp(t, async () => 'PONG')
  const answers = await Promise.all(Array.from({ length: 20 }, () => app.inject('/readyz')))
  for (const answer of answers) t.equal(answer.statusCode, 200)
  t.same(answers[0]?.json(), { status: 'ok', checks: { redis: { status: 'ok' } } })
  t.equal(answers[0]?.headers['cache-control'], 'no-store')
  t.equal(state.pings, 1)
  t.ok(
    lines.every(({ level }) => level === 'debug'),
    'logged at debug at most',
  )
})

t.test('HLT-1 /readyz is a 503 problem with checks when Redis fails or hangs', async (t) => {
  for (const ping of [() => Promise.reject(new Error('canary')), () => new Promise(() => {})]) {
    const { app } = await probeApp(t, ping)
    const answer = await app.inject('/readyz')
    t.equal(answer.statusCode, 503)
    t.equal(answer.headers['content-type'], 'application/problem+json')
    t.equal(answer.headers['retry-after'], '1')
    t.equal(answer.headers['cache-control'], 'no-store')
    t.match(answer.json(), { type: '/problems/redis-unavailable', checks: { redis: { status: 'failed' } } })
    t.notMatch(answer.body, /canary/)
  }
})

t.test('HLT-1 /readyz is 503 while overloaded', async (t) => {
  const { app, state } = await probeApp(t, async () => 'PONG')
  state.isOverloaded = true
  t.match((await app.inject('/readyz')).json(), { status: 503, type: '/problems/overloaded', checks: { redis: { status: 'ok' } } })
})

t.test('HLT-2 /readyz turns 503 first, /livez stays', async (t) => {
  const { app } = await probeApp(t, async () => 'PONG')
  t.equal((await app.inject('/readyz')).statusCode, 200)
  app.startStopping()
  t.match((await app.inject('/readyz')).json(), { status: 503, type: '/problems/shutting-down', checks: { redis: { status: 'ok' } } })
  t.equal((await app.inject('/livez')).statusCode, 200)
})

t.test('GET / tells programs what this is, and asks Redis no more than /readyz', async (t) => {
  const { app, state } = await probeApp(t, async () => 'PONG')
  const [answer] = await Promise.all([app.inject('/'), app.inject('/readyz')])
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, { 'content-type': /^application\/json/, 'cache-control': 'no-store', vary: /Accept/ })
  t.match(answer.json(), { name: 'Jobgate', version: /^\d+\.\d+\.\d+/, status: 'ok', links: { docs: '/docs', ready: '/readyz' } })
  t.equal(state.pings, 1)
})

t.test('GET / gives browsers a page without script and without anything from elsewhere', async (t) => {
  const { app } = await probeApp(t, async () => 'PONG')
  const answer = await app.inject({ url: '/', headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } })
  t.equal(answer.statusCode, 200)
  t.match(answer.headers, {
    'content-type': 'text/html; charset=utf-8',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'same-origin',
    'cache-control': 'no-store',
  })
  t.match(
    String(answer.headers['content-security-policy']),
    /^default-src 'none'; style-src 'sha256-[^']+'; img-src data:; .*frame-ancestors 'none'$/,
  )
  t.notMatch(answer.body, /<script|https?:\/\/(?!www\.w3\.org\/2000\/svg)/)
  t.match(answer.body, /Ready for requests/)
})

t.test('GET / says that it is not ready', async (t) => {
  const { app } = await probeApp(t, () => Promise.reject(new Error('canary')))
  const page = await app.inject({ url: '/', headers: { accept: 'text/html' } })
  t.equal(page.statusCode, 200)
  t.match(page.body, /class="state bad">Not ready: Redis did not respond/)
  const document = await app.inject('/')
  t.equal(document.json().status, 'unavailable')
  for (const { body } of [page, document]) t.notMatch(body, /canary/)
})
