// Waiting for jobs: idle is free, first parked is first served whatever the type, and nobody robs others of a job.

import t, { type Test } from 'tap'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createWorker, leasedType, read, submitLeased } from '../helpers/leased-types.js'
import { percentile } from '../helpers/percentile.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'

const env = { WORKERS_ENABLED: 'false', MAX_WAITERS: '20000' }
const types = ['resize-image', 'make-thumbnail', 'transcode']

const start = async (t: Test, beside?: TestApp) => {
  const test = await buildTestApp(t, beside ? { env, beside } : { env })
  for (const type of types) test.services.jobTypes.put(leasedType(type))
  return test
}

const waitingIn = async ({ services }: TestApp): Promise<number> =>
  sampleValue(parsePrometheusText(await services.metrics.render()), 'jobgate_lease_polls_open') ?? 0
const untilWaiting = (test: TestApp, count: number) => eventually(`${count} wait`, async () => (await waitingIn(test)) === count)

const commands = async ({ services }: TestApp): Promise<number> => {
  const info = await services.redis.request.info('commandstats')
  // What scripts call counts too; what this test itself calls does not, nor the looks for changed job types, which are there without polls.
  const calls = Array.from(info.matchAll(/^cmdstat_([a-z|]+):calls=(\d+)/gm), ([, name, count]) => [name, Number(count)] as const)
  return calls.filter(([name]) => name !== 'info' && name !== 'get').reduce((sum, [, count]) => sum + count, 0)
}

/** Parks a poll; `order` gets its worker's name and its jobs when it is answered. */
const createPark =
  (order: string[]) =>
  (test: TestApp, worker: string, more: object = {}) =>
    createWorker(test, { worker, types })
      .lease({ waitMs: 25_000, ...more })
      .then((items) => {
        order.push(`${worker}: ${items.map(({ job }) => job.data.label).join(', ')}`)
        return items
      })

const elapsed = (ms: number) => {
  const until = Date.now() + ms
  return eventually(`${ms} ms have passed`, () => Date.now() >= until)
}

t.test('idle is free', async (t) => {
  const one = await start(t)
  const two = await start(t, one)
  const parked = 300
  const arrived = new Map<string, number>()
  const waits = [one, two].flatMap((test) =>
    Array.from({ length: parked }, async (_, at) => {
      for (const { job } of await createWorker(test, { worker: `w${at}`, types }).lease({ waitMs: 25_000 })) {
        arrived.set(job.id, performance.now())
      }
    }),
  )
  await untilWaiting(one, parked)
  await untilWaiting(two, parked)

  await t.test('parked polls cost at most one Redis operation a second for each queue and gateway', async (t) => {
    // Until everybody who came was noted.
    await elapsed(3000)
    const [before, since] = [await commands(one), Date.now()]
    await elapsed(5000)
    const perSecond = ((await commands(one)) - before) / ((Date.now() - since) / 1000)
    t.comment(`${perSecond.toFixed(2)} operations a second`)
    t.ok(perSecond <= 2 * types.length, `${perSecond} for 2 gateways and ${types.length} queues`)
  })

  await t.test('a job that arrives reaches one of them at once', async (t) => {
    const took: number[] = []
    // The first answers of an app are checked by validators that are compiled then.
    const warmUp = 10
    for (let at = -warmUp; at < 100; at++) {
      const type = types[(at + warmUp) % types.length] as string
      const began = performance.now()
      const id = await submitLeased(at % 2 === 0 ? one : two, `${at}`, {}, type)
      await eventually('it is leased', () => arrived.has(id))
      if (at >= 0) took.push((arrived.get(id) as number) - began)
    }
    t.equal(arrived.size, warmUp + 100, 'each once')
    const p99 = percentile(took, 0.99)
    t.comment(`p50 ${percentile(took, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, from the submission on`)
  })

  await t.test('an instance that stops ends the waits', async () => {
    await one.app.close()
    await two.app.close()
    await Promise.all(waits)
  })
})

t.test('first parked, first served, across types', async (t) => {
  const test = await start(t)
  const order: string[] = []
  const park = createPark(order)
  const waits: Promise<unknown>[] = []
  for (const [worker, asked] of [
    ['both', ['resize-image', 'transcode']],
    ['resizer', ['resize-image']],
    ['transcoder', ['transcode']],
    ['late', types],
  ] as const) {
    waits.push(park(test, worker, { types: asked }))
    await untilWaiting(test, waits.length)
  }
  for (const [label, type] of [
    ['first', 'transcode'],
    ['second', 'transcode'],
    ['third', 'resize-image'],
    ['fourth', 'make-thumbnail'],
  ] as const) {
    const before = order.length
    await submitLeased(test, label, {}, type)
    await eventually(`${label} is leased`, () => order.length > before)
  }
  t.same(order, ['both: first', 'transcoder: second', 'resizer: third', 'late: fourth'])
  await Promise.all(waits)
})

t.test('a poll takes what is there, up to its maximum, and one type does not starve another', async (t) => {
  const test = await start(t)
  for (let at = 0; at < 12; at++) {
    for (const type of types) await submitLeased(test, type, {}, type)
  }
  const worker = createWorker(test, { types })
  const first = await worker.lease({ max: 5 })
  t.equal(first.length, 5)
  const labels = new Set<string>()
  for (let at = 0; at < 15; at++) for (const { job } of await worker.lease({ max: 1 })) labels.add(job.data.label)
  t.equal(labels.size, 3, [...labels].join())
  const priorities = createWorker(test, { types: ['transcode'] })
  await priorities.lease({ max: 100 })
  await submitLeased(test, 'low', { options: { priority: 'low' } }, 'transcode')
  await submitLeased(test, 'high', { options: { priority: 'high' } }, 'transcode')
  t.same(
    (await priorities.lease({ max: 2 })).map(({ job }) => job.data.label),
    ['high', 'low'],
  )
})

t.test('a short poll answers at once, and is not in the way of those that wait', async (t) => {
  const test = await start(t)
  const order: string[] = []
  const park = createPark(order)
  t.same(await park(test, 'short', { waitMs: 0 }), [])
  const waits = park(test, 'parked')
  await untilWaiting(test, 1)
  t.same(await park(test, 'short', { waitMs: 0 }), [])
  await submitLeased(test, 'one')
  await waits
  t.same(order, ['short: ', 'short: ', 'parked: one'])
})

t.test('delayed jobs come when they are due, whoever waits then', async (t) => {
  const one = await start(t)
  const two = await start(t, one)
  const order: string[] = []
  const park = createPark(order)
  const began = Date.now()
  for (const [label, delayMs] of [
    ['later', 900],
    ['soon', 300],
  ] as const)
    await submitLeased(one, label, { options: { delayMs } })
  // One that leaves in between takes nothing along.
  t.same(await park(two, 'gone', { waitMs: 50 }), [])
  await Promise.all([park(one, 'w1'), park(two, 'w2')])
  t.ok(Date.now() - began >= 900)
  t.ok(Date.now() - began < 5000, 'and not with the next look only')
  t.same(
    order.slice(1).map((line) => line.split(': ')[1]),
    ['soon', 'later'],
  )
})

t.test('a client that leaves robs nobody', async (t) => {
  const test = await start(t)
  await test.app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = test.app.server.address() as { port: number }
  const controller = new AbortController()
  const left = fetch(`http://127.0.0.1:${port}/v1/leases`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ worker: 'left', types: ['resize-image'], waitMs: 25_000 }),
    signal: controller.signal,
  })
  left.catch(() => {})
  await untilWaiting(test, 1)
  controller.abort()
  await untilWaiting(test, 0)
  const id = await submitLeased(test, 'one')
  t.equal((await createWorker(test, { types }).lease())[0]?.job.id, id)
})

t.test('a paused queue hands out nothing until it is resumed', async (t) => {
  const test = await start(t)
  const act = (what: string) => test.request({ method: 'POST', url: `/admin/queues/resize-image/${what}` })
  await act('pause')
  await submitLeased(test, 'held')
  const worker = createWorker(test)
  t.same(await worker.lease({ waitMs: 0 }), [])
  const waits = worker.lease()
  await untilWaiting(test, 1)
  await act('resume')
  t.equal((await waits)[0]?.job.data.label, 'held')
})

t.test('a type that goes ends the waits for it; one that stays goes on', async (t) => {
  const test = await start(t)
  const gone = createWorker(test, { worker: 'gone', types: ['transcode'] }).lease()
  const stays = createWorker(test, { worker: 'stays', types: ['transcode', 'resize-image'] }).lease()
  await untilWaiting(test, 2)
  test.services.jobTypes.remove('transcode')
  t.same(await gone, [])
  await submitLeased(test, 'one')
  t.equal((await stays)[0]?.job.data.label, 'one')
})

t.test('large data: fewer jobs at once, and at least one', async (t) => {
  const test = await buildTestApp(t, { env: { ...env, BODY_LIMIT_BYTES: '2000000' } })
  test.services.jobTypes.put(leasedType())
  const label = 'x'.repeat(900_000)
  for (let at = 0; at < 8; at++) await submitLeased(test, label)
  const worker = createWorker(test)
  t.equal((await worker.lease({ max: 100 })).length, 5)
  t.equal((await worker.lease({ max: 100 })).length, 3)
})

t.test('jobs of the type are never run in process, whatever workers there are', async (t) => {
  const test = await buildTestApp(t)
  test.services.jobTypes.put(leasedType())
  const id = await submitLeased(test, 'mine')
  const echo = (await test.submit({ type: 'echo', data: { label: 'yours' } })).json().id
  t.match(await test.finished(echo), { state: 'completed' })
  t.match(await read(test, id), { state: 'waiting', attempts: { made: 0 } })
  t.equal((await createWorker(test).lease())[0]?.job.id, id)
  t.match((await createWorker(test, { types: ['echo'] }).ask()).json(), { errors: [{ pointer: '#/types/0' }] }, 'nor the other way round')
})
