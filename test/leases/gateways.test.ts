// Rolling restart: leases survive the instance that handed them out, and workers are seen by all of them.

import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { openServices } from '../../src/gateway.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, expire, type LeaseItem, leasedType, read, submitLeased } from '../helpers/leased-types.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'

const env = { WORKERS_ENABLED: 'false' }
const width = { width: 640 }

const start = async (t: Test, beside?: TestApp): Promise<TestApp> => {
  const test = await buildTestApp(t, beside ? { env, beside } : { env })
  test.services.jobTypes.put(leasedType())
  return test
}

/** A gateway on the Redis of another, which the test closes itself. */
const startBriefly = async (beside: TestApp): Promise<TestApp & { stop(): Promise<void> }> => {
  const config = {
    ...beside.config,
    instanceId: 'brief',
    redis: { ...beside.config.redis, target: { kind: 'url', url: `unix://${beside.services.redis.socketPath}` } as const },
  }
  const opened = await openServices({ config, jobTypes: createJobTypes(beside.probes.types), log: beside.services.log })
  const app = await buildApp(opened)
  await opened.ready()
  opened.jobTypes.put(leasedType())
  const services = { ...opened, queueKeys: beside.services.queueKeys }
  const request: TestApp['request'] = ({ key, headers, ...options }) =>
    app.inject({ ...options, headers: { authorization: `Bearer ${key ?? beside.config.adminApiKey}`, ...headers } })
  const stop = async () => {
    await app.close()
    await opened.close()
  }
  return { ...beside, app, services, config, request, stop }
}

t.test('a rolling restart loses no lease: any instance heartbeats and settles any lease', async (t) => {
  const stays = await start(t)
  const goes = await startBriefly(stays)
  const [there, here] = [createWorker(goes), createWorker(stays)]
  const key = { 'idempotency-key': '"rolled"' }
  const ids = await Promise.all(['a', 'b', 'c', 'd'].map((label) => submitLeased(stays, label)))
  const leases = (await there.lease({ max: 4 }, key)) as [LeaseItem, LeaseItem, LeaseItem, LeaseItem]
  t.equal(leases.length, 4)
  const parked = there.ask({ waitMs: 25_000 })
  await eventually('it waits', async () => goes.services.metrics.render().then((text) => /lease_polls_open 1/.test(text)))
  await goes.stop()
  t.match((await parked).json(), { items: [] }, 'who waits there is told at once')

  t.same(
    (await here.lease({ max: 4 }, key)).map(({ lease }) => lease),
    leases.map(({ lease }) => lease),
    'also the answer that was lost with it',
  )
  const beats = await here.beat(leases.map(({ lease }, at) => ({ lease, progress: at })))
  t.same(
    beats.json().items.map(({ status }: { status: string }) => status),
    ['held', 'held', 'held', 'held'],
  )
  const [completed, failed, released, silent] = leases
  const error = { code: 'broken', message: 'It broke.', retryable: false }
  const answer = await here.settle(
    { lease: completed.lease, outcome: 'completed', result: width },
    { lease: failed.lease, outcome: 'failed', error },
    { lease: released.lease, outcome: 'released' },
  )
  t.match(answer.json().items, [{ outcome: 'completed' }, { outcome: 'failed' }, { outcome: 'released' }])
  await expire(stays, silent.job.id)
  const again = new Set<string>()
  await eventually('both come again', async () => {
    for (const { job } of await here.lease({ max: 2, waitMs: 1000 })) again.add(job.id)
    return again.size === 2
  })
  t.same([...again].sort(), [released.job.id, silent.job.id].sort())
  t.match(await read(stays, completed.job.id), { state: 'completed' })
  t.equal(ids.length, 4)
})

t.test('what one instance was told is remembered by the others', async (t) => {
  const one = await start(t)
  const two = await start(t, one)
  await submitLeased(one, 'a')
  const [{ lease }] = (await createWorker(one).lease()) as [LeaseItem]
  const said = { lease, outcome: 'completed', result: width }
  t.match((await createWorker(one).settle(said)).json().items, [{ status: 200 }])
  t.match((await createWorker(two).settle(said)).json().items, [{ status: 200, outcome: 'completed' }])
  t.match((await createWorker(two).settle({ lease, outcome: 'released' })).json().items, [{ status: 409 }])
})

t.test('workers: who is there, what each holds, and telling one to stop', async (t) => {
  const one = await start(t)
  const two = await start(t, one)
  const get = async (test: TestApp, url: string) => (await test.request({ method: 'GET', url })).json()
  const list = (test: TestApp) => get(test, '/v1/workers')
  const worker = createWorker(one, { worker: 'resizer-1' })
  t.same(await list(one), { items: [], next: null })
  t.match(await get(one, '/v1/job-types/resize-image'), { available: false })

  for (const label of ['a', 'b']) await submitLeased(one, label)
  const [first, second] = (await worker.lease({ max: 2 }, { 'user-agent': 'resizer/1.2' })) as [LeaseItem, LeaseItem]
  const isListed = async (leases: number) => {
    const { items } = await list(two)
    return items[0]?.leases === leases
  }
  await eventually('it is listed by the other instance', () => isListed(2))
  t.match(await list(two), { items: [{ worker: 'resizer-1', types: ['resize-image'], leases: 2, order: 'run', version: 'resizer/1.2' }] })
  t.match(await get(two, '/v1/job-types/resize-image'), { available: true })
  t.match(await get(two, '/admin/queues/resize-image/metrics'), { workers: 1 })
  await submitLeased(one, 'c')
  t.match(await get(two, '/admin/queues/resize-image/health'), { healthy: true })
  t.equal(sampleValue(parsePrometheusText(await two.services.metrics.render()), 'jobgate_remote_workers'), 1)
  await worker.one(first.lease, 'complete', { result: width })
  await eventually('its leases are counted', () => isListed(1))

  await t.test('drained: told with the next heartbeat, given nothing more, and to stop once it holds nothing', async (t) => {
    const drain = (name: string) => two.request({ method: 'POST', url: `/v1/workers/${name}/drain` })
    t.equal((await drain('nobody')).statusCode, 404)
    t.match((await worker.beat([])).json(), { worker: 'run', items: [] })
    const parked = worker.lease({ waitMs: 3000 }).then((items) => items.length)
    t.equal(await parked, 1, 'as long as it is not drained')
    t.same((await drain('resizer-1')).json(), { worker: 'resizer-1', order: 'drain' })
    t.match((await worker.beat([{ lease: second.lease }])).json(), { worker: 'drain', items: [{ status: 'held' }] })
    const waits = worker.lease({ waitMs: 2000 })
    const id = await submitLeased(one, 'd')
    t.equal((await createWorker(two, { worker: 'resizer-2' }).lease())[0]?.job.id, id, 'others get them')
    t.same(await waits, [])
    t.match(await list(one), { items: [{}, { worker: 'resizer-1', order: 'drain' }] })
    await worker.one(second.lease, 'complete', { result: width })
    t.match((await worker.beat([{ lease: second.lease }])).json(), { worker: 'stop', items: [{ status: 'lost' }] })
    t.match((await worker.beat([])).json(), { worker: 'stop' }, 'the same answer again')
    const marks = await one.services.redis.request.keys('*drained-worker*')
    t.ok((await one.services.redis.request.pttl(marks[0] as string)) <= 30_000, 'a program of the same name starts afresh soon')
  })
})
