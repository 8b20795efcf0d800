// A snapshot shows what is in Redis now, whatever was seen before.

import pino from 'pino'
import t, { type Test } from 'tap'
import { mintJobId } from '../../src/bullmq/job-id.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { openQueues } from '../../src/bullmq/queues.js'
import { createJobReader } from '../../src/bullmq/read-jobs.js'
import { createSnapshotReader } from '../../src/jobs/snapshot.js'
import { createJobViews } from '../../src/jobs/view.js'
import { createJobTypes } from '../../src/types/registry.js'
import { startRedis } from '../helpers/start-redis.js'

const openSnapshots = async (t: Test) => {
  const { redis } = await startRedis(t)
  const client = redis.connect('worker')
  const queues = openQueues({ redis: client, prefix: '{jobgate}', log: pino({ level: 'silent' }), jobTypes: createJobTypes() })
  t.after(() => queues.close())
  const queue = queues.partitionsOf('email')[0] as QueueKeys
  const envelope = JSON.stringify({ data: {}, tenant: 'one', correlationId: 'c1', timeoutMs: 1 })
  const store = (id: string, members: Record<string, string> = {}) =>
    client.hset(queue.job(id), { name: 'probe', data: envelope, opts: '{"attempts":2}', timestamp: '1', ...members })
  const readSnapshot = createSnapshotReader({ readJob: createJobReader(client), views: createJobViews(new Map()), queues })
  return { client, queue, store, readSnapshot }
}

t.test('what has not changed is made once, for its JSON and its ETag too', async (t) => {
  const { store, readSnapshot } = await openSnapshots(t)
  const id = mintJobId('email')
  await store(id)
  const first = await readSnapshot(id)
  t.match(first, { tenant: 'one', view: { id, state: 'waiting', progress: null } })
  t.equal(await readSnapshot(id), first)
  t.equal(first?.document(), first?.document())
  t.same(JSON.parse(first?.document().body as string), first?.view)
})

t.test('every change is seen by the next snapshot, and so is the end of a job', async (t) => {
  const { client, queue, store, readSnapshot } = await openSnapshots(t)
  const id = mintJobId('email')
  await store(id)
  const etags = new Set([(await readSnapshot(id))?.document().etag])
  const seen = async () => {
    const found = await readSnapshot(id)
    etags.add(found?.document().etag)
    return found?.view
  }
  await client.hset(queue.job(id), 'progress', '50')
  t.match(await seen(), { progress: 50 })
  await client.lpush(queue.active, id)
  t.match(await seen(), { state: 'active' })
  await client.hset(queue.job(id), { finishedOn: '5', returnvalue: '{"n":1}' })
  await client.zadd(queue.completed, 5, id)
  t.match(await seen(), { state: 'completed', result: { n: 1 } })
  t.equal(etags.size, 4)
  await client.del(queue.job(id))
  t.equal(await readSnapshot(id), null)
  await store(id)
  t.match(await seen(), { state: 'active', result: null })
})

t.test('two jobs that hold the same are two', async (t) => {
  const { store, readSnapshot } = await openSnapshots(t)
  const [id, other] = [mintJobId('email'), mintJobId('email')]
  await store(id)
  await store(other)
  t.equal((await readSnapshot(id))?.view.id, id)
  t.equal((await readSnapshot(other))?.view.id, other)
})

t.test('what is remembered is bounded, and what is asked for stays', async (t) => {
  const { store, readSnapshot } = await openSnapshots(t)
  const large = (characters: number) => ({ failedReason: 'x'.repeat(characters) })
  const [huge, idAsked, idLeft] = [mintJobId('email'), mintJobId('email'), mintJobId('email')]
  await store(huge, large(40_000))
  t.not(await readSnapshot(huge), await readSnapshot(huge), 'one that would drive out others is not kept')
  await store(idAsked)
  await store(idLeft)
  const [asked, left] = [await readSnapshot(idAsked), await readSnapshot(idLeft)]
  for (let index = 0; index < 80; index++) {
    const id = mintJobId('email')
    await store(id, large(30_000))
    await readSnapshot(id)
    if (index % 20 === 0) t.equal(await readSnapshot(idAsked), asked)
  }
  t.not(await readSnapshot(idLeft), left)
})
