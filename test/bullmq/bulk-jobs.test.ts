// One step of a long operation, against real jobs.

import t from 'tap'
import { advance, createBulkJobs, type ScannedJob } from '../../src/bullmq/bulk-jobs.js'
import { buildTestApp } from '../helpers/build-test-app.js'

t.test('a step', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, queueKeys } = test.services
  const queue = queueKeys['external-api']
  const bulk = createBulkJobs({ redis: redis.request, queues: test.services.queues })
  const step = { leaseKey: 'lease', leaseToken: 'mine', leaseMs: 60_000, operationKey: 'operation', cursor: '{}', scanned: 1 }
  const submit = async (): Promise<string> => (await test.submit({ type: 'echo', data: { label: 'b' } })).json().id
  const exists = (id: string) => redis.request.exists(queue.job(id))

  await t.test('changes nothing without the lease', async (t) => {
    const id = await submit()
    t.same(await bulk.act('external-api', 'prioritized', 'remove', [{ id: id, partition: 0 }], step), { kind: 'lease-lost' })
    await redis.request.set('lease', 'elsewhere')
    t.same(await bulk.act('external-api', 'prioritized', 'remove', [{ id: id, partition: 0 }], step), { kind: 'lease-lost' })
    t.equal(await exists(id), 1)
    t.equal(await redis.request.exists('operation'), 0)
  })

  await t.test('counts a job once, however often it is sent', async (t) => {
    await redis.request.set('lease', 'mine', 'PX', 1000)
    const id = await submit()
    t.same(await bulk.act('external-api', 'prioritized', 'remove', [{ id: id, partition: 0 }], step), { kind: 'done', affected: 1 })
    t.same(await bulk.act('external-api', 'prioritized', 'remove', [{ id: id, partition: 0 }], step), { kind: 'done', affected: 1 })
    t.equal(await exists(id), 0)
    t.ok((await redis.request.pttl('lease')) > 1000, 'the lease is renewed')
  })

  await t.test('leaves a job alone that has moved on, and forgets an entry without a job', async (t) => {
    const moved = await submit()
    t.same(await bulk.act('external-api', 'delayed', 'promote', [{ id: moved, partition: 0 }], step), { kind: 'done', affected: 1 })
    t.same(await bulk.act('external-api', 'failed', 'retry', [{ id: moved, partition: 0 }], step), { kind: 'done', affected: 1 })
    t.same(await bulk.act('external-api', 'completed', 'remove', [{ id: moved, partition: 0 }], step), { kind: 'done', affected: 1 })
    t.equal(await exists(moved), 1)
    await redis.request.zadd(queue.failed, 1, 'ext_3q2AMb1cT7mR0wZk9vYxFg')
    t.same(await bulk.act('external-api', 'failed', 'retry', [{ id: 'ext_3q2AMb1cT7mR0wZk9vYxFg', partition: 0 }], step), {
      kind: 'done',
      affected: 1,
    })
    t.equal(await redis.request.zcard(queue.failed), 0)
  })

  await t.test('stops once the operation is told to', async (t) => {
    const id = await submit()
    await redis.request.hset('operation', 'cancel', '1')
    t.same(await bulk.act('external-api', 'prioritized', 'remove', [{ id: id, partition: 0 }], step), { kind: 'cancel-requested' })
    t.equal(await exists(id), 1)
  })
})

t.test('a walk goes on behind what it left, also among equal scores', async (t) => {
  const jobs = ['1', '2', '2', '2'].map((score, at) => ({ id: `j${at}`, score }) as ScannedJob)
  t.same(advance({ score: '', skip: 0 }, jobs, new Set(['j1'])), { score: '2', skip: 2 })
  t.same(advance({ score: '2', skip: 2 }, jobs.slice(2), new Set(['j3'])), { score: '2', skip: 3 })
  t.same(advance({ score: '2', skip: 3 }, [], new Set()), { score: '2', skip: 3 })
})
