import t from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id
const read = (test: TestApp, path: string) => test.request({ method: 'GET', url: `/v1/jobs/${path}` })

t.test('cancelling', async (t) => {
  const test = await buildTestApp(t)
  const cancel = (id: string) => test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })

  await t.test('LRO-6 not started: 200, and it never runs', async (t) => {
    for (const options of [{ delayMs: 60_000 }, { delayMs: 60_000, priority: 'high' }]) {
      const id = await submitOne(test, 'echo', 'never', { options })
      const answer = await cancel(id)
      t.equal(answer.statusCode, 200)
      t.match(answer.json(), { state: 'cancelled', error: { code: 'cancelled', retryable: false } })
      t.ok(answer.json().finishedAt)
    }
    t.notOk(test.probes.runs.some(({ label }) => label === 'never'))
  })

  await t.test('LRO-6 running: 202, its signal fires, it is not retried', async (t) => {
    const id = await submitOne(test, 'block', 'running')
    await test.probes.started('running')
    const answer = await cancel(id)
    t.equal(answer.statusCode, 202)
    t.match(await test.finished(id), { state: 'cancelled', attempts: { made: 1, max: 3 } })
    t.equal(test.probes.signalOf(id)?.aborted, true)
    t.equal(test.probes.runs.filter(({ label }) => label === 'running').length, 1)
  })

  await t.test('LRO-6 running and deaf: the attempt ends without its handler', async (t) => {
    const id = await submitOne(test, 'stubborn', 'deaf')
    await test.probes.started('deaf')
    await cancel(id)
    t.match(await test.finished(id), { state: 'cancelled' })
    test.probes.release('deaf')
  })

  await t.test('LRO-6 finished: 409', async (t) => {
    const id = await submitOne(test, 'echo', 'done')
    await test.finished(id)
    const answer = await cancel(id)
    t.equal(answer.statusCode, 409)
    t.equal(answer.json().type, '/problems/job-finished')
  })

  await t.test('LRO-6 the log line leads to the submission', async (t) => {
    const id = await submitOne(test, 'echo', 'logged', { options: { delayMs: 60_000 }, correlationId: 'corr-7' })
    await cancel(id)
    for (const message of ['job accepted', 'job cancelled']) {
      const line = test.logs.find((each) => each.includes(id) && each.includes(message)) as string
      t.match(JSON.parse(line), { jobId: id, correlationId: 'corr-7' }, message)
    }
  })
})

t.test('cancelling a submission to many', async (t) => {
  const labels = ['p0', 'p1']
  const states = async (test: TestApp, id: string) =>
    (await read(test, `${id}/children`)).json().items.map(({ state }: { state: string }) => state)

  await t.test('LRO-6 not started: 200, although no worker is there', async (t) => {
    const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
    const { id } = (await test.submit({ type: 'many', data: { labels } })).json()
    const answer = await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    t.equal(answer.statusCode, 200)
    t.match(answer.json(), { state: 'cancelled', error: { code: 'cancelled' } })
    t.same(await states(test, id), ['cancelled', 'cancelled'])
    t.equal((await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })).statusCode, 409)
  })

  await t.test('LRO-6 not started: 200, although workers wait for the last of its children', async (t) => {
    const test = await buildTestApp(t)
    for (let time = 0; time < 5; time++) {
      const { id } = (await test.submit({ type: 'many', data: { labels }, options: { delayMs: 60_000 } })).json()
      t.equal((await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })).statusCode, 200)
    }
  })

  await t.test('LRO-6 a child runs: 202, then all are cancelled', async (t) => {
    const test = await buildTestApp(t, { env: { QUEUE_CONCURRENCY_EXTERNAL_API: '1' } })
    const { id } = (await test.submit({ type: 'many', data: { labels: ['held', ...labels] } })).json()
    await test.probes.started('held')
    const answer = await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    t.equal(answer.statusCode, 202)
    t.match(await test.finished(id), { state: 'cancelled' })
    t.same(await states(test, id), ['cancelled', 'cancelled', 'cancelled'])
  })
})

t.test('retrying and promoting', async (t) => {
  const test = await buildTestApp(t)
  const post = (path: string, headers: Record<string, string> = {}) => test.request({ method: 'POST', url: `/v1/jobs/${path}`, headers })

  await t.test('a failed job runs again with all its attempts', async (t) => {
    const id = await submitOne(test, 'refuse', 'again')
    await test.finished(id)
    const answer = await post(`${id}/retry`)
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers.location, `/v1/jobs/${id}`)
    await eventually('it ran twice', () => test.probes.runs.filter(({ label }) => label === 'again').length === 2)
    t.match(await test.finished(id), { state: 'failed', attempts: { made: 1, max: 3 } })
  })

  await t.test('IDK-16 a retry that is repeated under its key is one retry', async (t) => {
    const id = await submitOne(test, 'refuse', 'once')
    await test.finished(id)
    await post(`${id}/retry`, { 'idempotency-key': 'r1' })
    await eventually('it ran twice', () => test.probes.runs.filter(({ label }) => label === 'once').length === 2)
    await test.finished(id)
    const again = await post(`${id}/retry`, { 'idempotency-key': 'r1' })
    t.equal(again.headers['idempotent-replayed'], 'true')
    t.equal(test.probes.runs.filter(({ label }) => label === 'once').length, 2)
    const other = await submitOne(test, 'refuse', 'other')
    await test.finished(other)
    t.equal((await post(`${other}/retry`, { 'idempotency-key': 'r1' })).statusCode, 422)
  })

  await t.test('IDK-10, IDK-12 a replay is the first answer, whatever became of the job, to those who may see it', async (t) => {
    const id = await submitOne(test, 'flaky', 'replayed', { options: { attempts: 1 } })
    await test.finished(id)
    const key = { 'idempotency-key': 'r2' }
    const first = await post(`${id}/retry`, key)
    t.match(first.json(), {
      id,
      state: 'waiting',
      attempts: { made: 0, max: 1 },
      error: null,
      result: null,
      startedAt: null,
      finishedAt: null,
    })
    t.notOk('idempotent-replayed' in first.headers)
    const isReplay = async (when: string) => {
      const again = await post(`${id}/retry`, key)
      t.equal(again.statusCode, 202, when)
      t.equal(again.headers['idempotent-replayed'], 'true')
      t.equal(again.body, first.body)
      for (const name of ['content-type', 'location', 'retry-after']) t.equal(again.headers[name], first.headers[name], name)
    }
    await test.finished(id)
    await isReplay('finished')
    const { redis, queueKeys } = test.services
    await redis.request.del(queueKeys['external-api'].job(id))
    t.equal((await read(test, id)).statusCode, 404)
    await isReplay('removed')

    const payload = { name: 'k', scopes: ['jobs:manage'], types: ['echo'] }
    const other = (await test.request({ method: 'POST', url: '/admin/api-keys', payload })).json().key
    const isHidden = async () =>
      t.equal((await test.request({ method: 'POST', url: `/v1/jobs/${id}/retry`, headers: key, key: other })).statusCode, 404)
    await isHidden()
    const answer = `{"kind":${JSON.stringify({ type: 'flaky', queue: 'external-api', followUps: [] })},"view":${first.body}}`
    for (const name of await redis.request.keys('*:gate:idem:*')) {
      const claim = await redis.request.get(name).catch(() => null)
      if (claim?.endsWith(answer)) await redis.request.set(name, claim.replace(answer, first.body), 'KEEPTTL')
    }
    t.notOk((await redis.request.mget(await redis.request.keys('*:gate:idem:*'))).some((claim) => claim?.endsWith(answer)))
    await isReplay('stored by an earlier version')
    await isHidden()
    t.equal((await post('ext_3q2AMb1cT7mR0wZk9vYxFg/retry', key)).statusCode, 422)
  })

  await t.test('a retry that is refused does not use up its key', async (t) => {
    const id = await submitOne(test, 'block', 'refused', { options: { attempts: 1 } })
    const key = { 'idempotency-key': 'r3' }
    t.equal((await post(`${id}/retry`, key)).statusCode, 409)
    await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    await test.finished(id)
    t.equal((await post(`${id}/retry`, key)).statusCode, 202)
    test.probes.release('refused')
  })

  await t.test('a cancelled and an expired job can be retried', async (t) => {
    const cancelled = await submitOne(test, 'echo', 'revived', { options: { delayMs: 60_000 } })
    await test.request({ method: 'DELETE', url: `/v1/jobs/${cancelled}` })
    t.equal((await post(`${cancelled}/retry`)).statusCode, 202)
    t.match(await test.finished(cancelled), { state: 'completed' })
  })

  await t.test('409', async (t) => {
    const id = await submitOne(test, 'echo', 'fine')
    await test.finished(id)
    t.equal((await post(`${id}/retry`)).statusCode, 409)
    t.equal((await post(`${id}/promote`)).statusCode, 409)
  })

  await t.test('a delayed job runs now', async (t) => {
    const id = await submitOne(test, 'echo', 'promoted', { options: { delayMs: 60_000 } })
    t.equal((await post(`${id}/promote`)).statusCode, 202)
    t.match(await test.finished(id), { state: 'completed' })
  })
})
