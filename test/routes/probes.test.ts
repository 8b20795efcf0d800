import t, { type Test } from 'tap'
import gracefulClose from '../../src/plugins/graceful-close.js'
import requestLog from '../../src/plugins/request-log.js'
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
  await app.register(probes, { redis, isStopping: app.isStopping, isOverloaded: () => state.isOverloaded })
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
