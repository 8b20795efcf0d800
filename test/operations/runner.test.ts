// Operations across instances: whoever is left goes on, and nothing is done or counted twice.

import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { begin, ended } from '../helpers/operations.js'

const batch = (count: number, type: string, options: object = {}) => ({
  items: Array.from({ length: count }, (_, at) => ({ type, data: { label: `b${at}` }, options })),
})

t.test('another instance takes over where one was closed', async (t) => {
  const first = await buildTestApp(t)
  await first.request({ method: 'POST', url: '/v1/jobs/batch', payload: batch(40, 'refuse') })
  await eventually('all have failed', async () => {
    const { failed } = (await first.request({ method: 'GET', url: '/admin/queues/external-api/metrics' })).json()
    return failed === 40
  })
  await begin(first, 'external-api/pause')
  const second = await buildTestApp(t, { beside: first, env: { WORKERS_ENABLED: 'false' } })

  const { id } = (await begin(second, 'external-api/dead-letters/redrive', { filter: {}, ratePerSecond: 5 })).json()
  await eventually('the first step is done', async () => ((await second.services.operations.read(id))?.affected ?? 0) > 0)
  await second.services.operations.close()
  const left = await first.services.operations.read(id)
  // A slow machine may be some steps further by now.
  t.match(left, { state: 'running', scanned: left?.affected })
  t.ok((left?.affected ?? 0) % 5 === 0 && (left?.affected ?? 0) < 40, `${left?.affected} jobs`)
  await first.services.operations.resumeOpen()
  t.match(await ended(first, id), { state: 'completed', affected: 40, scanned: 40, total: 40 })
  t.match((await first.request({ method: 'GET', url: '/admin/queues/external-api/metrics' })).json(), { paused: 40, failed: 0 })
})

t.test('an instance that lost its lease does nothing more', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, keys, operations } = test.services
  await test.request({ method: 'POST', url: '/v1/jobs/batch', payload: batch(5, 'echo', { delayMs: 60_000 }) })
  for (const { id } of (await test.request({ method: 'GET', url: '/v1/jobs' })).json().items) {
    await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    const key = test.services.queueKeys['external-api'].job(id)
    await redis.request.hset(key, 'failedReason', JSON.stringify({ code: 'invalid_data', message: 'Bad.', retryable: false }))
  }
  const { id } = (await begin(test, 'external-api/dead-letters/redrive', { filter: {}, ratePerSecond: 1 })).json()
  await eventually('the first step is done', async () => ((await operations.read(id))?.affected ?? 0) > 0)
  await redis.request.set(keys.operationLease(id), 'elsewhere')
  const before = (await operations.read(id))?.affected
  await operations.close()
  t.match(await operations.read(id), { state: 'running', affected: before })
  t.equal(await redis.request.get(keys.operationLease(id)), 'elsewhere', 'the lease of the other is left alone')
})

t.test('a record that is gone frees its slot', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, keys, operations } = test.services
  await redis.request.hset(keys.operationsOpen, 'email:drain', 'op_00000000000000000000000000000000')
  await operations.resumeOpen()
  await eventually('the slot is free', async () => (await redis.request.hlen(keys.operationsOpen)) === 0)
  t.equal((await begin(test, 'email/drain')).statusCode, 202)
})

t.test('an operation that cannot be run is given up, and its queue resumed', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, keys, queueKeys, operations } = test.services
  const id = 'op_00000000000000000000000000000000'
  await redis.request.hset(keys.operation(id), {
    ...{ kind: 'obliterate', queue: 'email', by: 'admin', request: '{}', total: 0, state: 'running', createdAt: Date.now() },
  })
  // A set of the wrong kind: every step fails for a reason that waiting does not mend.
  await redis.request.set(queueKeys.email.completed, 'not a set')
  await redis.request.hset(keys.operationsOpen, 'email:obliterate', id)
  await eventually('it is given up', async () => {
    await operations.resumeOpen()
    return (await operations.read(id))?.state === 'failed'
  })
  t.match(await operations.read(id), { faults: 3, affected: 0 })
  t.equal(await redis.request.hexists(queueKeys.email.meta, 'paused'), 0)
  t.equal(await redis.request.hlen(keys.operationsOpen), 0)
})

t.test('what was sent back since an operation was asked for is not sent back by it', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, queueKeys } = test.services
  const keys = queueKeys['external-api']
  await test.request({ method: 'POST', url: '/v1/jobs/batch', payload: batch(2, 'echo', { delayMs: 60_000 }) })
  const [again, other] = (await test.request({ method: 'GET', url: '/v1/jobs' })).json().items.map(({ id }: { id: string }) => id)
  for (const id of [again, other]) {
    await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
    await redis.request.hset(keys.job(id), 'failedReason', JSON.stringify({ code: 'invalid_data', message: 'Bad.', retryable: false }))
  }
  // Its worker's clock is behind: it says that the job failed before the operation began.
  await redis.request.hset(keys.job(again), 'jg:retriedOn', Date.now() + 60_000)
  const { id } = (await begin(test, 'external-api/dead-letters/redrive', { filter: {} })).json()
  t.match(await ended(test, id), { state: 'completed', scanned: 2, affected: 1 })
  t.equal(await redis.request.hget(keys.job(again), 'jg:sentBack'), null)
  t.equal(await redis.request.hget(keys.job(other), 'jg:sentBack'), '1')
})
