// The routes of leases by status: what is refused, and in which words.

import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, type LeaseItem, leasedType, read, submitLeased } from '../helpers/leased-types.js'

const width = { width: 640 }
const error = { code: 'broken', message: 'It broke.', retryable: false }

const issue = async (test: TestApp, limits: object): Promise<string> =>
  (await test.services.apiKeys.issue({ name: 'k', scopes: ['work', 'jobs:read'], ...limits })).key

const pointersOf = (answer: LightMyRequestResponse): string[] => answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)

t.test('leases', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  for (const type of ['resize-image', 'transcode']) test.services.jobTypes.put(leasedType(type))
  const worker = createWorker(test)
  const leased = async (label: string, type = 'resize-image'): Promise<LeaseItem> => {
    await submitLeased(test, label, {}, type)
    return ((await createWorker(test, { types: [type] }).lease()) as [LeaseItem])[0]
  }

  await t.test('200: defaults', async (t) => {
    const before = Date.now()
    await submitLeased(test, 'defaults')
    const answer = await test.request({ method: 'POST', url: '/v1/leases', payload: { worker: 'w', types: ['resize-image'] } })
    t.equal(answer.statusCode, 200)
    const { items } = answer.json()
    t.equal(items.length, 1)
    const lasts = Date.parse(items[0].expiresAt) - before
    t.ok(lasts >= 29_000 && lasts <= 32_000, `${lasts}`)
    t.same(Object.keys(items[0]).sort(), ['checkpoint', 'expiresAt', 'job', 'lease'])
    t.same((await test.request({ method: 'POST', url: '/v1/leases', payload: { worker: 'w', types: ['resize-image'] } })).json(), {
      items: [],
    })
  })

  await t.test('400: what does not fit', async (t) => {
    const refused: readonly (readonly [object, string])[] = [
      [{ worker: '' }, '#/worker'],
      [{ worker: 'a b' }, '#/worker'],
      [{ worker: 'x'.repeat(129) }, '#/worker'],
      [{ types: [] }, '#/types'],
      [{ types: ['resize-image', 'resize-image'] }, '#/types'],
      [{ types: ['Resize'] }, '#/types/0'],
      [{ types: ['resize-image', 'nothing'] }, '#/types/1'],
      [{ types: ['echo'] }, '#/types/0'],
      [{ max: 0 }, '#/max'],
      [{ max: 101 }, '#/max'],
      [{ waitMs: 30_001 }, '#/waitMs'],
      [{ leaseMs: 4999 }, '#/leaseMs'],
      [{ leaseMs: 3_600_001 }, '#/leaseMs'],
      [{ max: '1' }, '#/max'],
      [{ more: 1 }, '#/more'],
    ]
    for (const [more, pointer] of refused) {
      const answer = await worker.ask(more)
      t.equal(answer.statusCode, 400, JSON.stringify(more).slice(0, 80))
      t.same(pointersOf(answer), [pointer])
    }
    t.equal((await worker.ask({}, { 'idempotency-key': '"' })).statusCode, 400)
    const { lease } = await leased('beats')
    for (const [beat, pointer] of [
      [{ progress: 101 }, '#/leases/0/progress'],
      [{ progress: 'x' }, '#/leases/0/progress'],
      [{ progress: { text: 'x'.repeat(5000) } }, '#/leases/0/progress'],
      [{ checkpoint: 'x'.repeat(40_000) }, '#/leases/0/checkpoint'],
      [{ log: ['x'.repeat(2001)] }, '#/leases/0/log/0'],
      [{ log: Array.from({ length: 101 }, () => '') }, '#/leases/0/log'],
      [{ more: 1 }, '#/leases/0/more'],
    ] as const) {
      const answer = await worker.beat([{ lease, ...beat }])
      t.equal(answer.statusCode, 400, JSON.stringify(beat).slice(0, 80))
      t.same(pointersOf(answer), [pointer])
    }
    t.equal((await worker.beat(Array.from({ length: 1001 }, () => ({ lease })))).statusCode, 400)
    t.same(pointersOf(await worker.one(lease, 'fail', {})), ['#/error'])
    t.same(pointersOf(await worker.one(lease, 'fail', { error: { ...error, code: 'Broken' } })), ['#/error/code'])
    t.same(pointersOf(await worker.one(lease, 'release', { result: 1 })), ['#/result'])
    t.equal((await worker.settle()).statusCode, 400)
  })

  await t.test('207: a settlement that does not fit is refused by itself', async (t) => {
    const [one, two] = [await leased('one'), await leased('two')]
    const answer = await worker.settle(
      { lease: one.lease, outcome: 'completed', result: width },
      { lease: two.lease, outcome: 'exploded' },
      { lease: two.lease, outcome: 'failed', error: { ...error, code: 'NO' } },
      { outcome: 'released' },
      'no settlement' as never,
      { lease: 'x'.repeat(2000), outcome: 'released' },
      { lease: two.lease, outcome: 'completed', result: width, progress: { text: 'x'.repeat(5000) } },
    )
    t.equal(answer.statusCode, 207)
    t.same(
      answer.json().items.map(({ lease, status }: { lease: string | null; status: number }) => [lease, status]),
      [
        [one.lease, 200],
        [two.lease, 400],
        [two.lease, 400],
        [null, 400],
        [null, 400],
        [null, 400],
        [two.lease, 400],
      ],
    )
    t.match(answer.json().items[2].error.errors, [{ pointer: '#/error/code' }])
    t.match(await read(test, two.job.id), { state: 'active' })
  })

  await t.test('404: leases of another tenant, of types without a grant, and what is none', async (t) => {
    const { lease, job } = await leased('mine')
    const strangers = {
      'another tenant': await issue(test, { tenant: 'other', scopes: ['work'] }),
      'another type': await issue(test, { types: ['transcode'] }),
      'another queue': await issue(test, { queues: ['transcode'] }),
    }
    const { redis } = test.services
    const stateOf = async () => Object.entries(await redis.request.hgetall(`{jobgate}:resize-image:${job.id}`)).sort()
    const before = await stateOf()
    for (const [who, key] of Object.entries(strangers)) {
      const other = createWorker(test, { key, worker: 'other' })
      for (const [act, payload] of [
        ['heartbeat', { progress: 1, log: ['x'], checkpoint: 1 }],
        ['complete', { result: width }],
        ['fail', { error }],
        ['release', {}],
      ] as const) {
        const answer = await other.one(lease, act, payload)
        const absent = await other.one(`${lease.slice(0, -1)}!`, act, payload)
        t.same([answer.statusCode, absent.statusCode], [404, 404], `${who} ${act}`)
        t.equal(answer.json().detail, absent.json().detail)
      }
      t.match((await other.beat([{ lease, progress: 1 }])).json().items, [{ lease, status: 'lost', expiresAt: null }])
      t.match((await other.settle({ lease, outcome: 'released' })).json().items, [{ status: 404, error: { type: '/problems/not-found' } }])
    }
    t.same(await stateOf(), before)
    t.equal((await worker.one(lease, 'complete', { result: width })).statusCode, 200)
    for (const key of Object.values(strangers).slice(0, 1)) {
      const other = createWorker(test, { key })
      t.equal((await other.one(lease, 'complete', { result: width })).statusCode, 404, 'also once it is settled')
    }
    t.equal((await worker.one('nonsense', 'complete')).statusCode, 404)
  })

  await t.test('a type without a grant is like one that does not exist', async (t) => {
    const key = await issue(test, { types: ['transcode'] })
    const other = createWorker(test, { key, types: ['resize-image'] })
    const absent = createWorker(test, { key, types: ['no-such-type'] })
    const withoutOccurrence = (answer: LightMyRequestResponse) => ({ ...answer.json(), requestId: '', instance: '' })
    t.same(withoutOccurrence(await other.ask()), withoutOccurrence(await absent.ask()))
    const id = await submitLeased(test, 'granted', {}, 'transcode')
    t.equal((await createWorker(test, { key, types: ['transcode'] }).lease())[0]?.job.id, id)
  })

  await t.test('jobs of every tenant are leased; the lease belongs to the tenant of the key', async (t) => {
    const theirs = await issue(test, { tenant: 'theirs', scopes: ['jobs:submit', 'jobs:read'] })
    const submitted = await test.request({
      method: 'POST',
      url: '/v1/jobs',
      payload: { type: 'resize-image', data: { label: 'theirs' } },
      key: theirs,
    })
    const [item] = (await worker.lease()) as [LeaseItem]
    t.equal(item.job.id, submitted.json().id)
    t.match((await worker.one(item.lease, 'complete', { result: width })).json(), { outcome: 'completed' })
    t.match((await test.request({ method: 'GET', url: `/v1/jobs/${item.job.id}`, key: theirs })).json(), {
      state: 'completed',
      result: width,
    })
  })

  await t.test('workers of another tenant are not shown', async (t) => {
    const other = await issue(test, { tenant: 'other', scopes: ['work'] })
    await createWorker(test, { key: other, worker: 'theirs' }).beat([])
    await test.services.leases.workers.flush()
    const names = async (key: string) =>
      (await test.request({ method: 'GET', url: '/v1/workers', key })).json().items.map((each: { worker: string }) => each.worker)
    t.ok((await names(other)).includes('theirs'))
    t.notOk((await names(other)).includes('w1'))
    t.notOk((await names(await issue(test, {}))).includes('theirs'))
    t.same(await names(await issue(test, { types: ['no-such'] })), [], 'nor those of types without a grant')
  })

  await t.test('503 while Redis is away, and afterwards all is as before', async (t) => {
    const { lease } = await leased('outage')
    const client = test.services.redis.request
    client.disconnect()
    await eventually('Redis is away', () => client.status === 'end')
    const said = { lease, outcome: 'completed', result: width }
    for (const answer of [
      await worker.settle(said),
      await worker.beat([{ lease }]),
      await worker.ask(),
      await worker.one(lease, 'release'),
    ]) {
      t.equal(answer.statusCode, 503)
      t.match(answer.json(), { type: '/problems/redis-unavailable' })
    }
    await client.connect()
    t.match((await worker.settle(said)).json().items, [{ status: 200 }])
    const waits = worker.lease()
    await submitLeased(test, 'afterwards')
    t.equal((await waits)[0]?.job.data.label, 'afterwards')
  })
})
