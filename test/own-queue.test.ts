// A job type that is registered while gateway and worker run, in a queue of its own: every way in, every view, and gone again.

import t, { type Test } from 'tap'
import { mintJobId } from '../src/bullmq/job-id.js'
import type { RunnableJobType } from '../src/types/definition.js'
import { adminKey, buildTestApp, type TestApp } from './helpers/build-test-app.js'
import { eventually } from './helpers/eventually.js'
import { carryOut } from './helpers/operations.js'
import { startOwnRedis } from './helpers/own-redis.js'
import { parsePrometheusText, sampleValue } from './helpers/prometheus-text.js'
import { parseSse } from './helpers/read-sse.js'
import { createDataDir } from './helpers/start-probe-process.js'

const queue = 'resize-image'
const own = { type: queue, queue }

/** What the label begins with says which probe it behaves like; `echo` else. */
const ownType = ({ probes }: TestApp): RunnableJobType => {
  const byName = new Map(probes.types.map((type) => [type.name, type]))
  const echo = byName.get('echo') as RunnableJobType
  const probeOf = (label: string) => byName.get(label.split(' ')[0] as string) ?? echo
  return { ...echo, name: queue, queue, run: (data, ctx) => probeOf(data.label).run(data, ctx) }
}

const get = async ({ request }: TestApp, url: string) => (await request({ method: 'GET', url })).json()
const statusOf = async ({ request }: TestApp, url: string) => (await request({ method: 'GET', url })).statusCode
const post = ({ request }: TestApp, url: string, payload?: object) => request({ method: 'POST', url, ...(payload ? { payload } : {}) })
const submit = async (test: TestApp, label: string, more: object = {}): Promise<string> => {
  const answer = await test.submit({ type: queue, data: { label }, ...more })
  if (answer.statusCode !== 202) throw new Error(`${answer.statusCode}: ${answer.body}`)
  return answer.json().id
}
const run = async (test: TestApp, label: string, more: object = {}) => test.finished(await submit(test, label, more))
const names = (items: { queue: string }[]) => items.map((each) => each.queue)
const metricsOf = async ({ services }: TestApp) => parsePrometheusText(await services.metrics.render())
const boardQueues = async ({ app }: TestApp): Promise<string[]> => {
  const answer = await app.inject({ url: '/admin/board/api/queues', headers: { authorization: `Bearer ${adminKey}` } })
  return answer.json().queues.map(({ name }: { name: string }) => name)
}

/** The stream of a running job to its end; `release` is called once that is followed. */
const followed = async ({ app }: TestApp, id: string, release: () => void) => {
  const answer = await app.inject({
    url: `/v1/jobs/${id}/events`,
    headers: { authorization: `Bearer ${adminKey}` },
    payloadAsStream: true,
  })
  let text = ''
  for await (const chunk of answer.stream()) {
    text += String(chunk)
    if (text.includes('event: active')) release()
  }
  return parseSse(text).map(({ event }) => event)
}

const waysIn = async (t: Test, test: TestApp) => {
  await t.test('single, with a key, and waited for', async (t) => {
    const body = { type: queue, data: { label: 'one' } }
    const first = await test.submit(body, { 'idempotency-key': '"own-1"' })
    t.equal(first.statusCode, 202)
    t.match(first.json(), { ...own, state: 'waiting' })
    t.match(first.json().id, /^resize-image_[A-Za-z0-9_-]{22}$/)
    const job = await test.finished(first.json().id)
    t.match(job, { ...own, state: 'completed', result: { label: 'one' } })
    const again = await test.submit(body, { 'idempotency-key': '"own-1"' })
    t.same([again.json().id, again.headers['idempotent-replayed']], [first.json().id, 'true'])
    const waited = await test.submit({ type: queue, data: { label: 'two' } }, { prefer: 'wait=20' })
    t.same([waited.statusCode, waited.json().state], [200, 'completed'])
  })

  await t.test('later', async (t) => {
    t.match(await run(test, 'soon', { options: { delayMs: 100 } }), { state: 'completed' })
  })

  await t.test('in a batch, beside others', async (t) => {
    const items = [
      { type: queue, data: { label: 'b1' } },
      { type: 'echo', data: { label: 'b2' } },
      { type: queue, data: {} },
    ]
    const answer = (await post(test, '/v1/jobs/batch', { items })).json()
    t.match(answer.items, [{ status: 202, id: /^resize-image_/ }, { status: 202, id: /^ext_/ }, { status: 400 }])
    for (const { id } of answer.items.slice(0, 2)) t.match(await test.finished(id), { state: 'completed' })
  })

  await t.test('as a follow-up, and with one', async (t) => {
    for (const [type, next] of [
      [queue, 'echo'],
      ['echo', queue],
    ]) {
      const { id } = (await test.submit({ type, data: { label: 'first' }, followUps: [{ type: next, data: { label: 'next' } }] })).json()
      const first = await test.finished(id)
      const [followUp] = first.followUps as [string]
      t.match(await test.finished(followUp), { type: next, state: 'completed' })
    }
  })

  await t.test('on a schedule', async (t) => {
    const payload = { type: queue, data: { label: 'recurs' }, everyMs: 3_600_000, limit: 1 }
    const put = await test.request({ method: 'PUT', url: '/v1/schedules/own', payload })
    t.match(put.json(), own)
    await eventually('it ran', async () => (await get(test, '/v1/schedules/own')).runs === 1)
    const { jobId } = (await get(test, '/v1/schedules/own')).lastRun
    t.match(await test.finished(jobId), { ...own, scheduleId: 'own', state: 'completed' })
    t.match(await test.finished((await post(test, '/v1/schedules/own/trigger')).json().id), { state: 'completed' })
    await test.request({ method: 'DELETE', url: '/v1/schedules/own' })
  })
}

const views = async (t: Test, test: TestApp) => {
  await t.test('lists, logs, and a stream beside that of another queue', async (t) => {
    const other = (await test.submit({ type: 'block', data: { label: 'other' } })).json().id
    await test.probes.started('other')
    const otherEvents = followed(test, other, () => {})
    const id = await submit(test, 'block streamed')
    await test.probes.started('block streamed')
    t.same(await followed(test, id, () => test.probes.release('block streamed')), ['active', 'completed'])
    test.probes.release('other')
    t.same((await otherEvents).at(-1), 'completed')
    for (const filter of [`queue=${queue}`, `type=${queue}`]) {
      const { items } = await get(test, `/v1/jobs?${filter}&limit=200`)
      t.ok(items.length > 5 && items.every((job: typeof own) => job.queue === queue), filter)
    }
    const progress = await run(test, 'progress')
    t.match(progress, { progress: { step: 'last' } })
    t.same((await get(test, `/v1/jobs/${progress.id}/logs`)).items, ['half way'])
    t.match(await get(test, `/admin/queues/${queue}/jobs/${progress.id}`), { job: own, tenant: 'default' })
  })

  await t.test('keys that are limited to it', async (t) => {
    const issue = async (grant: object): Promise<string> =>
      (await post(test, '/admin/api-keys', { name: 'k', scopes: ['jobs:submit', 'jobs:read'], ...grant })).json().key
    const id = await submit(test, 'seen')
    const [within, without] = [await issue({ queues: [queue] }), await issue({ queues: ['email'] })]
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${id}`, key: within })).statusCode, 200)
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${id}`, key: without })).statusCode, 404)
  })

  await t.test('operators: list, health, metrics, dashboard', async (t) => {
    await eventually('its worker told of itself', async () => (await get(test, `/admin/queues/${queue}/metrics`)).workers === 1)
    const { items } = await get(test, '/admin/queues')
    t.match(items.at(-1), { queue, types: [queue], runBy: 'workers', workers: 1, isPaused: false })
    t.same(names(items), ['meeting', 'email', 'external-api', queue])
    t.match(await get(test, '/v1/job-types/resize-image'), { ...own, available: true })
    const health = await get(test, '/admin/queues/health')
    t.same(health.queues[queue], { healthy: true, issues: [] })
    const all = await get(test, '/admin/queues/metrics?minutes=2')
    t.ok(all[queue].completedTotal > 5)
    t.equal(all[queue].history.completed.length, 2)
    const metrics = await metricsOf(test)
    t.equal(sampleValue(metrics, 'jobgate_queue_jobs', { queue, state: 'completed' }), all[queue].completed)
    t.ok((sampleValue(metrics, 'jobgate_job_wait_seconds', { queue }, '_count') ?? 0) > 5)
    t.ok((sampleValue(metrics, 'jobgate_attempts_total', { type: queue, outcome: 'completed' }) ?? 0) > 5)
    t.ok((sampleValue(metrics, 'jobgate_jobs_submitted_total', { type: queue, outcome: 'created' }) ?? 0) > 5)
    t.equal(sampleValue(metrics, 'jobgate_workers'), 1)
    t.ok((await boardQueues(test)).includes(queue))
  })
}

const acts = async (t: Test, test: TestApp) => {
  const del = (id: string) => test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })

  await t.test('cancel, retry, promote', async (t) => {
    const late = await submit(test, 'late', { options: { delayMs: 3_600_000 } })
    t.equal((await post(test, `/v1/jobs/${late}/promote`)).statusCode, 202)
    t.match(await test.finished(late), { state: 'completed' })
    const waiting = await submit(test, 'never', { options: { delayMs: 3_600_000 } })
    t.match((await del(waiting)).json(), { ...own, state: 'cancelled' })
    const running = await submit(test, 'block cancelled')
    await test.probes.started('block cancelled')
    t.equal((await del(running)).statusCode, 202)
    t.match(await test.finished(running), { state: 'cancelled' })
    const failed = await run(test, 'refuse retried')
    t.match(failed, { state: 'failed', error: { code: 'invalid_data' } })
    t.equal((await post(test, `/v1/jobs/${failed.id}/retry`)).statusCode, 202)
    t.match(await test.finished(failed.id as string), { state: 'failed' })
  })

  await t.test('dead letters, operations, cleaning', async (t) => {
    const { items } = await get(test, `/admin/queues/${queue}/dead-letters`)
    t.match(items, [{ type: queue, error: { code: 'invalid_data' } }])
    t.match(await carryOut(test, `${queue}/dead-letters/redrive`, { filter: {} }), { queue, state: 'completed', affected: 1 })
    await test.finished(items[0].id)
    t.match(await carryOut(test, `${queue}/dead-letters/purge`, { ids: [items[0].id] }), { affected: 1 })
    await submit(test, 'late', { options: { delayMs: 3_600_000 } })
    t.match(await carryOut(test, `${queue}/drain`), { affected: 1 })
    const removed = (await post(test, '/admin/queues/clean', { completedMaxAge: 0, failedMaxAge: 0 })).json()
    t.ok(removed[queue].completed > 5)
    t.equal(removed[queue].failed, 2)
    t.same(removed.email, { completed: 0, failed: 0 })
    t.match(await get(test, `/admin/queues/${queue}/metrics`), { completed: 0, failed: 0 })
  })

  await t.test('pause and resume, alone and with all', async (t) => {
    for (const [path, isAlone] of [
      [`${queue}/`, true],
      ['', false],
    ] as const) {
      const paused = (await post(test, `/admin/queues/${path}pause`)).json()
      t.match(isAlone ? paused : paused[queue], { paused: true })
      const id = await submit(test, 'held')
      t.match(await get(test, `/admin/queues/${queue}/metrics`), { waiting: 0, paused: 1, isPaused: true })
      t.equal((await get(test, '/admin/queues/email/metrics')).isPaused, !isAlone)
      await post(test, `/admin/queues/${path}resume`)
      t.match(await test.finished(id), { state: 'completed' })
    }
  })
}

const absent = async (t: Test, test: TestApp) => {
  const made = mintJobId(queue)
  for (const url of [
    `/admin/queues/${queue}/health`,
    `/admin/queues/${queue}/metrics`,
    `/admin/queues/${queue}/dead-letters`,
    `/v1/jobs/${made}`,
  ])
    t.equal(await statusOf(test, url), 404, url)
  for (const path of ['pause', 'drain', 'obliterate']) t.equal((await post(test, `/admin/queues/${queue}/${path}`)).statusCode, 404, path)
  t.equal((await test.submit({ type: queue, data: { label: 'x' } })).statusCode, 400)
  t.same(names((await get(test, '/admin/queues')).items), ['meeting', 'email', 'external-api'])
  for (const path of ['health', 'metrics']) t.notOk(JSON.stringify(await get(test, `/admin/queues/${path}`)).includes(queue), path)
  t.notOk((await test.services.metrics.render()).includes(queue))
  t.notOk((await boardQueues(test)).includes(queue))
  t.same((await get(test, `/v1/jobs?queue=${queue}`)).items, [])
}

t.test('a queue comes with its job type and goes with it', async (t) => {
  const test = await buildTestApp(t)
  const { jobTypes, redis } = test.services
  await t.test('before', (t) => absent(t, test))
  const before = (await redis.request.client('LIST')) as string

  jobTypes.put(ownType(test))
  const settings = () => redis.request.hget(`{jobgate}:${queue}:meta`, 'opts.maxLenEvents')
  await eventually('its settings are written', async () => (await settings()) === '50000')
  await t.test('ways in', (t) => waysIn(t, test))
  await t.test('views', (t) => views(t, test))
  await t.test('acts', (t) => acts(t, test))

  const kept = await submit(test, 'kept')
  await test.finished(kept)
  const beside = (await test.submit({ type: 'echo', data: { label: 'beside' } })).json().id
  jobTypes.remove(queue)
  await t.test('after', (t) => absent(t, test))

  await t.test('other queues are as they were, and nothing of it is left open', async (t) => {
    t.match(await test.finished(beside), { state: 'completed' })
    t.equal(await statusOf(test, `/v1/jobs/${kept}`), 404)
    const connections = async () => ((await redis.request.client('LIST')) as string).split('\n').length
    // One reads the events that were followed, one watches queues that are idle.
    await eventually('its worker has closed', async () => (await connections()) <= before.split('\n').length + 2)
    await eventually('its worker has taken leave', async () => {
      const [worker] = await test.services.workerInstances()
      return !worker?.queues.includes(queue)
    })
  })

  await t.test('registered again, it finds its jobs where they were', async (t) => {
    jobTypes.put(ownType(test))
    t.match(await get(test, `/v1/jobs/${kept}`), { ...own, state: 'completed', data: { label: 'kept' } })
    t.match(await run(test, 'again'), { state: 'completed' })
    t.ok(
      (await get(test, '/v1/jobs?limit=200')).items.some(({ id }: { id: string }) => id === kept),
      'also in lists',
    )
  })
})

t.test('a queue goes while a job of it runs, is followed and waited for: the job ends, and nobody is left hanging', async (t) => {
  const test = await buildTestApp(t)
  const { jobTypes, workerInstances } = test.services
  jobTypes.put(ownType(test))
  const id = await submit(test, 'block going')
  await test.probes.started('block going')
  let gone = () => {}
  const isFollowed = new Promise<void>((resolve) => {
    gone = resolve
  })
  const events = followed(test, id, gone)
  const waited = statusOf(test, `/v1/jobs/${id}?waitMs=20000`)
  await isFollowed
  jobTypes.remove(queue)
  await eventually('its worker has taken leave', async () => !(await workerInstances())[0]?.queues.includes(queue))
  test.probes.release('block going')
  t.equal(await waited, 404)
  t.equal((await events)[0], 'active')
  jobTypes.put(ownType(test))
  t.match(await test.finished(id), { state: 'completed', attempts: { made: 1 } })
  t.match(await run(test, 'next'), { state: 'completed' })
})

t.test('a queue that comes, goes or is idle while Redis is away works once it is back', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const test = await buildTestApp(t, { env: { REDIS_URL: redis.url }, isHasty: true })
  const { jobTypes, redis: connections } = test.services
  const put = (name: string) => jobTypes.put({ ...ownType(test), name, queue: name })
  const runs = async (type: string) => {
    const { id } = (await test.submit({ type, data: { label: type } })).json()
    t.match(await test.finished(id), { queue: type, state: 'completed' })
  }
  for (const name of ['goes', 'idle']) put(name)
  await runs('goes')

  const away = new Promise<void>((resolve) => connections.request.once('close', resolve))
  await redis.kill()
  await away
  put('comes')
  jobTypes.remove('goes')
  await redis.restart()
  await eventually('it is back', async () => statusOf(test, '/readyz').then((status) => status === 200))
  put('goes')
  for (const name of ['comes', 'goes', 'idle']) await runs(name)
})
