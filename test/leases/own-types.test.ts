// Leases of job types that are registered, changed and deleted while they are held, at instances that have not heard of that yet.

import t, { type Test } from 'tap'
import { buildApp } from '../../src/app.js'
import { openServices } from '../../src/gateway.js'
import { toJobType } from '../../src/types/contracts/own-type.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, type LeaseItem, leasedType, read, submitLeased } from '../helpers/leased-types.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'

const label = { type: 'string', maxLength: 200 }
const definition = (properties: object = {}, required: readonly string[] = []) => ({
  description: 'Leased.',
  data: { type: 'object', properties: { label, ...properties }, required: ['label', ...required], additionalProperties: false },
  result: { type: 'object', properties: { width: { type: 'integer', minimum: 1 } }, required: ['width'], additionalProperties: false },
  example: { label: 'a', ...(required.length > 0 ? { width: 1 } : {}) },
  runs: { by: 'pull' },
})

const put = async ({ request }: TestApp, name: string, body: object = definition()): Promise<void> => {
  const answer = await request({ method: 'PUT', url: `/v1/job-types/${name}`, payload: body })
  if (answer.statusCode > 201) throw new Error(answer.body)
}
const openApp = (t: Test, beside?: TestApp) => buildTestApp(t, { env: { WORKERS_ENABLED: 'false' }, ...(beside ? { beside } : {}) })
const untilWaiting = ({ services }: TestApp, count: number) =>
  eventually(`${count} wait`, async () => {
    return (sampleValue(parsePrometheusText(await services.metrics.render()), 'jobgate_lease_polls_open') ?? 0) === count
  })

t.test('an instance that has not heard of a type leases its jobs, and knows the leases that another one handed out', async (t) => {
  const test = await openApp(t)
  const other = await openApp(t, test)
  const hold = async (name: string): Promise<string> => {
    await put(test, name)
    await submitLeased(test, 'a', {}, name)
    const [{ lease }] = (await createWorker(test, { types: [name] }).lease()) as [LeaseItem]
    return lease
  }
  const there = createWorker(other, { types: ['type-0'] })
  await put(test, 'type-0')
  await submitLeased(test, 'a', {}, 'type-0')
  t.equal((await there.ask()).json().items?.length, 1, 'leased')
  const beat = await there.beat([{ lease: await hold('type-1') }])
  t.match(beat.json(), { items: [{ status: 'held' }] }, 'a worker that is told that its lease is lost throws its work away')
  const settled = await there.settle({ lease: await hold('type-2'), outcome: 'completed', result: { width: 1 } })
  t.match(settled.json(), { items: [{ status: 200 }] })
  t.equal((await there.one(await hold('type-3'), 'heartbeat')).statusCode, 200)
  t.equal((await there.one(await hold('type-4'), 'complete', { result: { width: 0 } })).statusCode, 422, 'by its contract')
})

t.test('as long as an instance has never read the types, no lease is over and no job is missing', async (t) => {
  const test = await openApp(t)
  await put(test, 'resize-image')
  const id = await submitLeased(test, 'a')
  const [{ lease }] = (await createWorker(test).lease()) as [LeaseItem]
  // Started while Redis is away.
  const target = { kind: 'url', url: 'unix:///nowhere/redis.sock' } as const
  const config = { ...test.config, instanceId: 'early', redis: { ...test.config.redis, target } }
  const services = await openServices({ config, jobTypes: createJobTypes(test.probes.types), log: test.services.log })
  const app = await buildApp(services)
  t.after(async () => {
    await app.close()
    await services.close()
  })
  const request: TestApp['request'] = ({ key, headers, ...options }) =>
    app.inject({ ...options, headers: { authorization: `Bearer ${key ?? test.config.adminApiKey}`, ...headers } })
  const early = createWorker({ ...test, app, request })
  const answers = {
    ask: await early.ask(),
    beat: await early.beat([{ lease }]),
    settle: await early.settle({ lease, outcome: 'completed', result: { width: 1 } }),
    one: await early.one(lease, 'complete', { result: { width: 1 } }),
    job: await request({ method: 'GET', url: `/v1/jobs/${id}` }),
  }
  for (const [what, answer] of Object.entries(answers)) t.match(answer.json(), { status: 503 }, what)
})

t.test('the same leases again have the same data: defaults of a later version are filled in', async (t) => {
  const test = await openApp(t)
  await put(test, 'resize-image')
  await submitLeased(test, 'a')
  await put(test, 'resize-image', definition({ width: { type: 'integer', minimum: 1, maximum: 9, default: 3 } }, ['width']))
  const worker = createWorker(test)
  const key = { 'idempotency-key': '"again"' }
  const [first] = (await worker.lease({}, key)) as [LeaseItem]
  const [again] = (await worker.lease({}, key)) as [LeaseItem]
  t.equal(again.lease, first.lease)
  t.same(first.job.data, { label: 'a', width: 3 })
  t.same(again.job.data, first.job.data)
})

t.test('a type with leases is not deleted', async (t) => {
  const test = await openApp(t)
  await put(test, 'resize-image')
  await submitLeased(test, 'a')
  const worker = createWorker(test)
  const [{ lease }] = (await worker.lease()) as [LeaseItem]
  const remove = () => test.request({ method: 'DELETE', url: '/v1/job-types/resize-image' })
  t.match((await remove()).json(), { status: 409, jobs: 1 })
  t.equal((await worker.one(lease, 'complete', { result: { width: 1 } })).statusCode, 200)
  t.equal((await remove()).statusCode, 204)
  t.match((await worker.one(lease, 'complete', { result: { width: 1 } })).json(), { status: 409, type: '/problems/lease-lost' })
})

t.test(
  'a type that others run from now on: who waits for it alone is told, and who waits for another one too takes none of its jobs',
  async (t) => {
    const test = await openApp(t)
    const { jobTypes } = test.services
    for (const name of ['resize-image', 'transcode']) await put(test, name)
    const alone = createWorker(test, { worker: 'alone' }).lease({ waitMs: 25_000 })
    const both = createWorker(test, { worker: 'both', types: ['resize-image', 'transcode'] }).lease({ waitMs: 25_000 })
    await untilWaiting(test, 2)
    jobTypes.put(toJobType('resize-image', { ...definition(), runs: { by: 'module' } }, []))
    t.same(await alone, [])
    const left = await submitLeased(test, 'a')
    await submitLeased(test, 'b', {}, 'transcode')
    t.match(await both, [{ job: { type: 'transcode' } }])
    t.match(await read(test, left), { state: 'waiting', startedAt: null }, 'left to those who run it')
  },
)

t.test('a queue that is back is looked into for those who still wait', async (t) => {
  const test = await openApp(t)
  const { jobTypes } = test.services
  for (const name of ['resize-image', 'transcode']) jobTypes.put(leasedType(name))
  const both = createWorker(test, { types: ['resize-image', 'transcode'] }).lease({ waitMs: 25_000 })
  await untilWaiting(test, 1)
  jobTypes.remove('resize-image')
  jobTypes.put(leasedType())
  await submitLeased(test, 'a')
  t.match(await both, [{ job: { type: 'resize-image' } }])
})
