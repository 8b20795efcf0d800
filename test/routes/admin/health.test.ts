import t from 'tap'
import { buildTestApp, type TestApp } from '../../helpers/build-test-app.js'
import { eventually } from '../../helpers/eventually.js'

const get = async ({ request }: TestApp, path: string) => (await request({ method: 'GET', url: `/admin/queues/${path}` })).json()
const submitOne = async ({ submit }: TestApp, type: string, label: string, options: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, options })).json().id

t.test('200 without workers', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', QUEUE_MAX_WAITING_JOBS: '2' } })
  const nothing = { waiting: 0, active: 0, completed: 0, failed: 0, delayed: 0, paused: 0, oldestWaitingMs: null, workers: 0 }

  await t.test('an empty gateway is healthy', async (t) => {
    const summary = { totalWaiting: 0, totalActive: 0, totalCompleted: 0, totalFailed: 0 }
    const fine = { healthy: true, issues: [] }
    t.same(await get(test, 'health'), { healthy: true, queues: { meeting: fine, email: fine, 'external-api': fine }, summary })
    const all = await get(test, 'metrics')
    t.same(Object.keys(all), ['meeting', 'email', 'external-api'])
    for (const each of Object.values(all)) t.match(each, nothing)
  })

  await t.test('waiting counts every priority; one job without a worker is an issue', async (t) => {
    await submitOne(test, 'echo', 'high', { priority: 'high' })
    await submitOne(test, 'echo', 'low', { priority: 'low' })
    await submitOne(test, 'echo', 'late', { delayMs: 60_000 })
    const metrics = await get(test, 'external-api/metrics')
    t.match(metrics, { waiting: 2, delayed: 1, paused: 0, isPaused: false, overdue: 0 })
    t.ok(metrics.oldestWaitingMs >= 0 && metrics.oldestWaitingMs < 60_000)
    t.same(await get(test, 'external-api/health'), { healthy: false, issues: ['2 jobs are waiting but no worker is running.'] })
  })

  await t.test('more than QUEUE_MAX_WAITING_JOBS', async (t) => {
    await submitOne(test, 'echo', 'normal')
    const health = await get(test, 'health')
    t.equal(health.healthy, false)
    t.match(health.queues['external-api'].issues, [/^3 jobs are waiting, more than QUEUE_MAX_WAITING_JOBS \(2\)\.$/, /no worker/])
    t.same(health.queues.email, { healthy: true, issues: [] })
    t.match(health.summary, { totalWaiting: 3 })
  })

  await t.test('oldestWaitingMs looks into every class and counts from when a job was due', async (t) => {
    const { redis, queueKeys } = test.services
    const keys = queueKeys['external-api']
    const [oldestLow] = await redis.request.zrange(keys.prioritized, '-1', '-1')
    const hourAgo = Date.now() - 3_600_000
    await redis.request.hset(keys.job(oldestLow as string), 'timestamp', String(hourAgo))
    t.ok((await get(test, 'external-api/metrics')).oldestWaitingMs >= 3_600_000)
    await redis.request.hset(keys.job(oldestLow as string), 'jg:retriedOn', String(Date.now()))
    t.ok((await get(test, 'external-api/metrics')).oldestWaitingMs < 3_600_000)
  })

  await t.test('a delayed job that is due and finds no worker is overdue', async (t) => {
    const { redis, queueKeys } = test.services
    const { delayed } = queueKeys['external-api']
    const [id] = await redis.request.zrange(delayed, '0', '0')
    await redis.request.zadd(delayed, (Date.now() - 1000) * 4096, id as string)
    t.match(await get(test, 'external-api/metrics'), { overdue: 1, delayed: 1 })
  })
})

t.test('200 with workers', async (t) => {
  const test = await buildTestApp(t, { env: { QUEUE_MAX_FAILED_JOBS: '0' } })
  await eventually('the worker told of itself', async () => (await get(test, 'email/metrics')).workers === 1)
  await test.finished(await submitOne(test, 'echo', 'fine'))
  await test.finished(await submitOne(test, 'refuse', 'bad'))
  await submitOne(test, 'block', 'running')
  await test.probes.started('running')
  t.match(await get(test, 'external-api/metrics'), { active: 1, completed: 1, failed: 1, completedLastMinute: 1, failedLastMinute: 1 })
  t.match(await get(test, 'external-api/health'), { healthy: false, issues: [/^1 failed jobs .*QUEUE_MAX_FAILED_JOBS \(0\)\.$/] })
  t.match(await get(test, 'health'), { summary: { totalActive: 1, totalCompleted: 1, totalFailed: 1 } })
  test.probes.release('running')
})

t.test('404 for a queue that does not exist', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  for (const path of ['nope/health', 'nope/metrics', '__proto__/metrics', '%20/health']) {
    const answer = await test.request({ method: 'GET', url: `/admin/queues/${path}` })
    t.equal(answer.statusCode, 404, path)
    t.equal(answer.json().type, '/problems/not-found')
  }
})
