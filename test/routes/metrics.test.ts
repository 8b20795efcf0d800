// GET /metrics: what is counted, under which labels, and what happens when Redis is away.

import t from 'tap'
import { createAttemptMetrics } from '../../src/attempts/metrics.js'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { builtinErrors } from '../../src/builtin/job-errors.js'
import { loadConfig } from '../../src/config/config.js'
import { createLogger } from '../../src/telemetry/logger.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { createJobTypes } from '../../src/types/registry.js'
import { openWorkers } from '../../src/worker.js'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'
import { createDataDir } from '../helpers/start-probe-process.js'

const read = async ({ services }: Pick<TestApp, 'services'>) => parsePrometheusText(await services.metrics.render())
const jobs = 'jobgate_jobs_submitted_total'
const http = 'jobgate_http_request_duration_seconds'
const attempts = 'jobgate_attempts_total'

t.test('submissions by type and outcome', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const test = await buildTestApp(t, { env: { REDIS_URL: redis.url, WORKERS_ENABLED: 'false', QUEUE_MAX_DEPTH: '2' } })
  const echo = (label: string, key: string) => test.submit({ type: 'echo', data: { label } }, { 'idempotency-key': `"${key}"` })
  const countOf = async (outcome: string) => sampleValue(await read(test), jobs, { type: 'echo', outcome })

  t.equal(await countOf('created'), 0, 'there from the start, so that a rate sees the first one')
  t.equal((await echo('a', 'k1')).statusCode, 202)
  t.equal((await echo('a', 'k1')).statusCode, 202)
  t.equal((await echo('b', 'k1')).statusCode, 422)
  await echo('c', 'k2')
  t.equal((await echo('d', 'k3')).statusCode, 503, 'the queue is full')
  redis.hang()
  t.equal((await echo('e', 'k4')).statusCode, 503, 'Redis does not answer')
  redis.wake()
  for (const [outcome, count] of Object.entries({ created: 2, replayed: 1, conflict: 1, refused: 1, unknown: 1 })) {
    t.equal(await countOf(outcome), count, outcome)
  }
  t.equal(sampleValue(await read(test), jobs, { type: 'flaky', outcome: 'created' }), 0)
  t.ok((sampleValue(await read(test), 'jobgate_store_duration_seconds', {}, '_count') ?? 0) >= 4)
})

t.test('requests by method, route pattern and class of status', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const countOf = async (labels: Record<string, string>) => sampleValue(await read(test), http, labels, '_count')
  const { id } = (await test.submit({ type: 'echo', data: { label: 'a' } })).json()
  await test.request({ method: 'GET', url: `/v1/jobs/${id}?waitMs=0` })
  await test.request({ method: 'GET', url: '/v1/jobs/canary' })
  await test.request({ method: 'HEAD', url: '/livez' })
  t.equal(await countOf({ method: 'POST', route: '/v1/jobs', status: '2xx' }), 1)
  t.equal(await countOf({ method: 'GET', route: '/v1/jobs/:id', status: '2xx' }), 1)
  t.equal(await countOf({ method: 'GET', route: '/v1/jobs/:id', status: '4xx' }), 1)
  t.equal(await countOf({ method: 'HEAD', route: '/livez', status: '2xx' }), 1, 'HEAD counts for itself')
  t.equal(await countOf({ method: 'GET', route: '/livez' }), undefined)

  const seriesCount = async () => (await read(test)).get(http)?.samples.filter(({ name }) => name.endsWith('_count')).length
  await test.request({ method: 'GET', url: '/first-canary' })
  const before = await seriesCount()
  for (let n = 0; n < 50; n++) await test.request({ method: 'GET', url: `/canary-${n}?q=canary`, headers: { 'x-canary': 'canary' } })
  t.equal(await seriesCount(), before, 'unknown addresses share one series')
  t.equal(await countOf({ method: 'GET', route: 'unknown', status: '4xx' }), 51)
  for (const method of ['PROPFIND', 'REPORT', 'TRACE']) await test.app.inject({ method: method as 'GET', url: '/canary' })
  t.equal(await countOf({ method: 'other', route: 'unknown' }), 3, 'and unknown methods one label')
  t.notMatch(await test.services.metrics.render(), /canary/)
})

t.test('time that a client asked to be held is counted as open, not as slow', async (t) => {
  const test = await buildTestApp(t)
  const origin = await test.app.listen({ host: '127.0.0.1', port: 0 })
  const submitBlock = async (label: string) => (await test.submit({ type: 'block', data: { label } })).json().id
  /** Follows a job until it is released; gives the seconds it took, and how many of them it was certainly held open. */
  const follow = async (label: string, path: string, gauge: string) => {
    const start = performance.now()
    const answer = fetch(`${origin}${path}`, { headers: { authorization: `Bearer ${adminKey}` } })
    await eventually(`${label} is seen`, async () => sampleValue(await read(test), gauge) === 1)
    const open = performance.now()
    await test.probes.started(label)
    // Holds it for a while that has an end.
    for (let n = 0; n < 50; n++) await read(test)
    const held = performance.now() - open
    test.probes.release(label)
    await (await answer).text()
    return { total: (performance.now() - start) / 1000, held: held / 1000 }
  }

  const id = await submitBlock('held')
  const poll = await follow('held', `/v1/jobs/${id}?waitMs=20000`, 'jobgate_long_polls_open')
  const polled = { route: '/v1/jobs/:id' }
  await eventually('the poll is counted', async () => sampleValue(await read(test), http, polled, '_count') === 1)
  t.ok((sampleValue(await read(test), http, polled, '_sum') as number) <= poll.total - poll.held)
  t.equal(sampleValue(await read(test), 'jobgate_long_polls_open'), 0)

  const route = '/v1/jobs/:id/events'
  const next = await submitBlock('followed')
  const stream = await follow('followed', `/v1/jobs/${next}/events`, 'jobgate_event_streams_open')
  await eventually('the stream is counted', async () => sampleValue(await read(test), http, { route }, '_count') === 1)
  t.ok((sampleValue(await read(test), http, { route }, '_sum') as number) <= stream.total - stream.held)
  t.equal(sampleValue(await read(test), 'jobgate_event_streams_open'), 0)
})

t.test('attempts by type, outcome and code', async (t) => {
  const test = await buildTestApp(t)
  const run = async (type: string, more: object = {}) => {
    const { id } = (await test.submit({ type, data: { label: type }, ...more })).json()
    await test.finished(id)
  }
  await run('flaky')
  await run('refuse')
  await run('throw', { options: { attempts: 1 } })
  await run('later')
  const metrics = await read(test)
  const countOf = (type: string, outcome: string, code: string) => sampleValue(metrics, attempts, { type, outcome, code })
  t.equal(countOf('flaky', 'retrying', 'handler_error'), 1)
  t.equal(countOf('flaky', 'completed', 'none'), 1)
  t.equal(countOf('refuse', 'failed', 'invalid_data'), 1)
  t.equal(countOf('throw', 'failed', 'handler_error'), 1)
  t.equal(countOf('later', 'deferred', 'handler_error'), 1)
  t.equal(sampleValue(metrics, 'jobgate_attempt_duration_seconds', { type: 'flaky', outcome: 'completed' }, '_count'), 1)
  t.equal(
    sampleValue(metrics, 'jobgate_job_wait_seconds', { queue: 'external-api' }, '_count'),
    4,
    'one for each job, not for each attempt',
  )

  const queue = { queue: 'external-api' }
  t.equal(sampleValue(metrics, 'jobgate_queue_jobs', { ...queue, state: 'completed' }), 2)
  t.equal(sampleValue(metrics, 'jobgate_queue_jobs_finished_total', { ...queue, state: 'completed' }), 2)
  t.equal(sampleValue(metrics, 'jobgate_queue_jobs_finished_total', { ...queue, state: 'failed' }), 2)
  t.equal(sampleValue(metrics, 'jobgate_redis_up'), 1)
  t.match(sampleValue(metrics, 'jobgate_build_info', { node: process.version }), 1)
  t.ok((sampleValue(metrics, 'process_resident_memory_bytes') as number) > 0)
  t.ok(metrics.has('nodejs_eventloop_lag_p99_seconds'))
})

t.test('what is stored cannot widen the labels of attempts', async (t) => {
  const metrics = createMetrics()
  const { ended } = createAttemptMetrics(metrics, { jobErrors: builtinErrors, jobTypes: createJobTypes(builtinTypes) })
  for (let n = 0; n < 20; n++) ended(`canary-${n}`, 'failed', `canary.${n}`, 5)
  ended('__proto__', 'failed', 'constructor', 5)
  ended('send-sms', 'failed', 'sms.number_refused', 5)
  const samples = parsePrometheusText(await metrics.render()).get(attempts)?.samples
  t.same(
    samples?.filter(({ value }) => value > 0).map(({ labels, value }) => ({ ...labels, value })),
    [
      { type: 'other', outcome: 'failed', code: 'other', value: 21 },
      { type: 'send-sms', outcome: 'failed', code: 'sms.number_refused', value: 1 },
    ],
  )
})

t.test('a Redis that is away or hangs does not fail the scrape', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const test = await buildTestApp(t, { env: { REDIS_URL: redis.url, WORKERS_ENABLED: 'false' } })
  const gauges = ['jobgate_queue_jobs', 'jobgate_queue_oldest_waiting_seconds', 'jobgate_queue_jobs_finished_total', 'jobgate_workers']
  const seen = async () => {
    const metrics = await read(test)
    return { up: sampleValue(metrics, 'jobgate_redis_up'), samples: gauges.map((name) => metrics.get(name)?.samples.length) }
  }
  const whole = { up: 1, samples: [21, 3, 6, 1] }
  const absent = { up: 0, samples: [0, 0, 0, 0] }
  t.same(await seen(), whole)
  redis.hang()
  t.same(await seen(), absent, 'hung')
  redis.wake()
  await eventually('it is back', async () => (await seen()).up === 1)
  await redis.kill()
  t.same(await seen(), absent, 'gone')
  t.equal((await test.request({ method: 'GET', url: '/metrics', key: null })).statusCode, 200)
  await redis.restart()
  await eventually('it is back', async () => (await seen()).up === 1)
  t.same(await seen(), whole)
})

t.test('METRICS_TOKEN protects it; without one it is public', async (t) => {
  const open = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const answer = await open.request({ method: 'GET', url: '/metrics', key: null })
  t.match(answer.headers, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8', 'cache-control': 'no-store' })
  t.equal(answer.body, (await open.request({ method: 'GET', url: '/metrics', key: null })).body, 'made once a second, however many ask')

  const METRICS_TOKEN = 'token-of-the-metrics'
  const closed = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', METRICS_TOKEN } })
  for (const key of [null, adminKey, `${METRICS_TOKEN}x`]) {
    const refused = await closed.request({ method: 'GET', url: '/metrics', key })
    t.equal(refused.statusCode, 401)
    t.match(refused.json(), { type: '/problems/unauthorized', detail: /METRICS_TOKEN/ })
    t.match(refused.headers['www-authenticate'], /^Bearer /)
  }
  t.equal((await closed.request({ method: 'GET', url: '/metrics', key: METRICS_TOKEN })).statusCode, 200)
  t.notOk(closed.logs.some((line) => line.includes(METRICS_TOKEN)))
  t.throws(() => loadConfig({ METRICS_TOKEN: 'short' }, '/'), /METRICS_TOKEN/)
})

t.test('a worker without HTTP serves its own at WORKER_METRICS_PORT', async (t) => {
  const gateway = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const METRICS_TOKEN = 'token-of-the-metrics'
  const { dataDir } = await createDataDir(t)
  const REDIS_URL = `unix://${gateway.services.redis.socketPath}`
  const config = loadBuiltinConfig({ REDIS_URL, WORKER_METRICS_PORT: '0', METRICS_TOKEN, SHUTDOWN_GRACE_MS: '0' }, dataDir)
  const workers = await openWorkers({ config, jobTypes: createJobTypes(gateway.probes.types), log: createLogger({ level: 'silent' }) })
  t.after(() => workers.close())
  await workers.ready
  const url = workers.metricsUrl as string
  await gateway.finished((await gateway.submit({ type: 'echo', data: { label: 'a' } })).json().id)

  const headers = { authorization: `Bearer ${METRICS_TOKEN}` }
  const answer = await fetch(url, { headers })
  t.equal(answer.status, 200)
  const metrics = parsePrometheusText(await answer.text())
  t.equal(sampleValue(metrics, attempts, { type: 'echo', outcome: 'completed', code: 'none' }), 1)
  t.equal(sampleValue(metrics, 'jobgate_redis_up'), 1)
  t.equal(sampleValue(await read(gateway), attempts), undefined, 'each process counts its own')
  t.equal((await fetch(url)).status, 401)
  const alive = await fetch(url.replace('/metrics', '/livez'))
  t.equal(alive.status, 200, 'a probe has no token')
  t.same(await alive.json(), { status: 'ok' })
  t.equal((await fetch(url.replace('/metrics', '/'), { headers })).status, 404)
  t.equal((await fetch(url, { method: 'POST', headers })).status, 405)
  await workers.close()
  await t.rejects(fetch(url, { headers }))
})
