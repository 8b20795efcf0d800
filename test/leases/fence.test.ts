// Promises of leases: no zombie wins, a settlement counts once, and a lost answer to a lease call strands nothing.

import t, { type Test } from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, expire, type LeaseItem, leasedType, read, submitLeased } from '../helpers/leased-types.js'

type Worker = ReturnType<typeof createWorker>

const width = { width: 640 }
const error = { code: 'image.unreadable', message: 'The image cannot be read.', retryable: true }

const start = async (t: Test, env: Record<string, string> = {}) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', ...env } })
  test.services.jobTypes.put(leasedType())
  return { test, worker: createWorker(test), redis: test.services.redis.request }
}

/** Everything that a call with a lease could change. */
const stateOf = async ({ services }: TestApp, id: string) => {
  const { request } = services.redis
  const queue = id.slice(0, id.indexOf('_'))
  // Redis keeps no order.
  const hash = Object.entries(await request.hgetall(`{jobgate}:${queue}:${id}`)).sort()
  const log = await request.lrange(`{jobgate}:${queue}:${id}:logs`, 0, -1)
  const lock = await request.get(`{jobgate}:${queue}:${id}:lock`)
  return JSON.stringify({ hash, log, lock })
}

t.test('no zombie wins: what comes with a lease that is over changes nothing', async (t) => {
  const { test } = await start(t)

  /** Ends a lease in some way; the job may be with somebody else afterwards. */
  const ways: Record<string, (item: LeaseItem, worker: Worker, other: Worker) => Promise<unknown>> = {
    completed: (item, worker) => worker.one(item.lease, 'complete', { result: width }),
    'failed and waiting for its next attempt': (item, worker) => worker.one(item.lease, 'fail', { error, retryAfterMs: 3_600_000 }),
    released: (item, worker) => worker.one(item.lease, 'release'),
    'released and taken over': async (item, worker, other) => {
      await worker.one(item.lease, 'release')
      await other.lease()
    },
    'expired and taken over': async (item, _worker, other) => {
      await expire(test, item.job.id)
      await other.lease()
    },
    removed: async (item, worker) => {
      await worker.one(item.lease, 'complete', { result: width })
      await test.request({ method: 'POST', url: '/admin/queues/clean', payload: { completedMaxAge: 0 } })
    },
  }
  for (const [at, [way, end]] of Object.entries(ways).entries()) {
    await t.test(way, async (t) => {
      const type = `way-${at}`
      test.services.jobTypes.put(leasedType(type))
      const [worker, other] = [createWorker(test, { types: [type] }), createWorker(test, { worker: 'w2', types: [type] })]
      const id = await submitLeased(test, way, {}, type)
      const [item] = (await worker.lease({ leaseMs: 5000 })) as [LeaseItem]
      t.equal(item.job.id, id)
      await end(item, worker, other)
      const before = await stateOf(test, id)
      const notes = { progress: 99, log: ['a zombie speaks'] }
      const beats = await worker.beat([{ lease: item.lease, checkpoint: { at: 1 }, ...notes }])
      t.match(beats.json().items, [{ status: 'lost', expiresAt: null }])
      for (const said of [
        { outcome: 'completed', result: { width: 1 }, ...notes },
        { outcome: 'failed', error: { ...error, code: 'zombie' }, ...notes },
      ]) {
        const [answer] = (await worker.settle({ lease: item.lease, ...said })).json().items
        t.equal(answer.status, 409)
        t.match(answer.error.type, /lease-(lost|settled)$/)
      }
      t.equal((await worker.one(item.lease, 'heartbeat', notes)).statusCode, 409)
      t.equal(await stateOf(test, id), before)
    })
  }
})

t.test('a settlement counts once: the same again is 200, another one is lease-settled', async (t) => {
  const { test, worker, redis } = await start(t)

  const cases = [
    [{ outcome: 'completed', result: width }, 'completed'],
    [{ outcome: 'failed', error: { ...error, retryable: false } }, 'failed'],
    [{ outcome: 'failed', error, retryAfterMs: 3_600_000 }, 'retrying'],
    [{ outcome: 'released' }, 'released'],
  ] as const
  for (const [said, outcome] of cases) {
    await t.test(outcome, async (t) => {
      const id = await submitLeased(test, outcome)
      const [{ lease }] = (await worker.lease()) as [LeaseItem]
      const first = await worker.settle({ lease, ...said })
      t.same(first.json(), { items: [{ lease, status: 200, outcome }] })
      const before = await stateOf(test, id)
      const reordered = 'error' in said ? { ...said, error: Object.fromEntries(Object.entries(said.error).reverse()) } : said
      t.same((await worker.settle({ ...reordered, lease, log: ['once more'] })).json(), first.json(), 'the same settlement')
      const otherwise = outcome === 'completed' ? { outcome: 'released' } : { outcome: 'completed', result: width }
      t.match((await worker.settle({ lease, ...otherwise })).json().items, [{ status: 409, error: { type: '/problems/lease-settled' } }])
      t.equal(await stateOf(test, id), before)
      if (outcome === 'released') await worker.one(((await worker.lease()) as [LeaseItem])[0].lease, 'complete', { result: width })
    })
  }

  await t.test('also of several in one request', async (t) => {
    await submitLeased(test, 'twice')
    const [{ lease }] = (await worker.lease()) as [LeaseItem]
    const same = { lease, outcome: 'completed', result: width }
    const answer = await worker.settle(same, same, { lease, outcome: 'released' })
    t.match(answer.json().items, [{ status: 200 }, { status: 200 }, { status: 409, error: { type: '/problems/lease-settled' } }])
  })

  await t.test('remembered for a day after the job is gone, and as long as the job', async (t) => {
    const id = await submitLeased(test, 'gone')
    const [{ lease }] = (await worker.lease()) as [LeaseItem]
    const said = { lease, outcome: 'completed', result: width }
    await worker.settle(said)
    const [, remembered] = (await redis.scan(0, 'MATCH', '*settled-lease*', 'COUNT', 1000)) as [string, string[]]
    for (const key of remembered) t.ok((await redis.pttl(key)) > 86_000_000)
    await redis.del(...remembered)
    t.match((await worker.settle(said)).json().items, [{ status: 200 }], 'by the job alone')

    await submitLeased(test, 'gone too')
    const [next] = (await worker.lease()) as [LeaseItem]
    await worker.settle({ ...said, lease: next.lease })
    await test.request({ method: 'POST', url: '/admin/queues/clean', payload: { completedMaxAge: 0 } })
    t.equal((await read(test, id)).status, 404)
    t.equal((await read(test, next.job.id)).status, 404)
    t.match((await worker.settle({ ...said, lease: next.lease })).json().items, [{ status: 200 }], 'without the job')
    t.match((await worker.settle({ lease: next.lease, outcome: 'released' })).json().items, [{ status: 409 }])
  })
})

t.test('a lost answer to a lease call strands nothing', async (t) => {
  const { test, worker, redis } = await start(t)
  const key = { 'idempotency-key': '"poll-1"' }

  await t.test('the same key returns the same leases', async (t) => {
    for (const label of ['a', 'b', 'c']) await submitLeased(test, label)
    const first = await worker.ask({ max: 2 }, key)
    t.equal(first.json().items.length, 2)
    const again = await worker.ask({ max: 2, waitMs: 1000 }, key)
    t.equal(again.headers['idempotent-replayed'], 'true')
    const leasesOf = (answer: typeof first) => answer.json().items.map(({ lease, job }: LeaseItem) => [lease, job.id, job.data])
    t.same(leasesOf(again), leasesOf(first))
    t.equal((await worker.ask({ max: 3 }, key)).statusCode, 422, 'for the same request only')
    await worker.one(first.json().items[0].lease, 'complete', { result: width })
    t.same(leasesOf(await worker.ask({ max: 2 }, key)), leasesOf(first).slice(1), 'what is over is left out')
    t.equal((await worker.lease({ max: 9 })).length, 1, 'and the third job was not touched')
  })

  await t.test('a repeat while the first still waits is served with it', async (t) => {
    const late = { 'idempotency-key': '"poll-2"' }
    const both = Promise.all([worker.lease({ max: 1 }, late), worker.lease({ max: 1 }, late)])
    await eventually('both wait', async () => /lease_polls_open 2/.test(await test.services.metrics.render()))
    const id = await submitLeased(test, 'only one')
    await submitLeased(test, 'beside')
    const [[one], [two]] = (await both) as [[LeaseItem], [LeaseItem]]
    t.equal(one.job.id, id)
    t.equal(two.lease, one.lease)
    t.equal((await worker.lease())[0]?.job.data.label, 'beside')
  })

  await t.test('nothing was handed out: the key is still to be used', async (t) => {
    const idle = { 'idempotency-key': '"poll-3"' }
    t.same((await worker.ask({}, idle)).json(), { items: [] })
    const id = await submitLeased(test, 'later')
    t.equal((await worker.lease({}, idle))[0]?.job.id, id)
  })

  await t.test('remembered as long as the lease', async (t) => {
    const brief = { 'idempotency-key': '"poll-4"' }
    await submitLeased(test, 'brief')
    await worker.lease({ leaseMs: 5000 }, brief)
    const [, claims] = (await redis.scan(0, 'MATCH', '*lease-claim*', 'COUNT', 1000)) as [string, string[]]
    const ttls = await Promise.all(claims.map((claim) => redis.pttl(claim)))
    t.ok(ttls.some((ttl) => ttl > 0 && ttl <= 5000))
    t.ok(ttls.every((ttl) => ttl <= 30_000))
  })

  await t.test('without a key they come back when they expire', async (t) => {
    const id = await submitLeased(test, 'stranded')
    t.equal((await worker.lease())[0]?.job.id, id)
    await expire(test, id)
    t.equal((await worker.lease())[0]?.job.id, id)
  })
})
