import { once } from 'node:events'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createJobExists } from '../../src/bullmq/job-begun.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { createJobIndex, toIndexMember } from '../../src/bullmq/job-index.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { createIndexSweep } from '../../src/jobs/maintenance/index-sweep.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { startRedis } from '../helpers/start-redis.js'

const prefix = '{jobgate}'

/** A sweep over an index that the test fills: each job is newer than all before it. */
const openSweep = async (t: Test) => {
  const { redis } = await startRedis(t)
  const client = redis.request
  if (client.status !== 'ready') await once(client, 'ready')
  const keys = createKeys(prefix)
  const queues = createQueuePlaces(prefix, createJobTypes())
  const email = queues.partitionsOf('email')[0] as QueueKeys
  const { jobIndex } = email.partition.keys
  const beside = () =>
    createIndexSweep({
      index: createJobIndex({ redis: client, keys, partitions: queues.partitions }),
      jobExists: createJobExists({ redis: client, queues }),
      keys,
      redis: client,
      log: pino({ level: 'silent' }),
    })
  const { run } = beside()
  let time = 1_700_000_000_000
  return {
    sweep: (signal = new AbortController().signal) => run(signal),
    /** The sweep of another instance. */
    beside,
    size: (tenant: string) => client.zcard(jobIndex(tenant)),
    async add(tenant: string, count: number, { isThere }: { isThere: boolean }): Promise<string[]> {
      const ids = Array.from({ length: count }, () => mintJobId('email'))
      await client.sadd(keys.tenants, tenant)
      for (let at = 0; at < count; at += 1000) {
        const pipeline = client.pipeline()
        for (const id of ids.slice(at, at + 1000)) {
          pipeline.zadd(jobIndex(tenant), 0, toIndexMember(time++, id))
          if (isThere) pipeline.hset(email.job(id), 'name', 'echo')
        }
        await pipeline.exec()
      }
      return ids
    },
    remove: (ids: readonly string[]) => client.del(...ids.map((id) => email.job(id))),
    forget: (tenant: string) => client.srem(keys.tenants, tenant),
  }
}

t.test('old jobs that are still there do not keep later ones in the index', async (t) => {
  const { sweep, size, add } = await openSweep(t)
  await add('a', 500, { isThere: true })
  await add('a', 1000, { isThere: false })
  await add('b', 3, { isThere: false })
  await sweep()
  await sweep()
  t.equal(await size('a'), 500)
  t.equal(await size('b'), 0)
})

t.test('a round looks at so many, the next one goes on, and the last begins anew', async (t) => {
  const { sweep, size, add, remove, forget } = await openSweep(t)
  const first = await add('a', 10, { isThere: true })
  const second = await add('a', 10, { isThere: true })
  await add('a', 25_480, { isThere: true })
  await add('a', 10, { isThere: false })
  await sweep()
  t.equal(await size('a'), 25_510, 'has not come so far')
  await sweep()
  t.equal(await size('a'), 25_500)
  await remove(first)
  await sweep()
  t.equal(await size('a'), 25_490)

  await remove(second)
  await forget('a')
  await sweep()
  await add('a', 0, { isThere: true })
  await sweep()
  t.equal(await size('a'), 25_480, 'of a tenant that was not listed meanwhile, the position is not kept')
})

t.test('the next instance goes on where the one before came to', async (t) => {
  const { sweep, size, add, beside } = await openSweep(t)
  await add('a', 25_500, { isThere: true })
  await add('a', 10, { isThere: false })
  await sweep()
  t.equal(await size('a'), 25_510, 'has not come so far')
  await beside().run(new AbortController().signal)
  t.equal(await size('a'), 25_500)
})

t.test('a tenant may have the name of a member that every object has', async (t) => {
  const { add, size, sweep } = await openSweep(t)
  await add('constructor', 3, { isThere: false })
  await sweep()
  t.equal(await size('constructor'), 0)
})

t.test('a round that is told to end does no more', async (t) => {
  const { sweep, size, add } = await openSweep(t)
  await add('a', 10, { isThere: false })
  await sweep(AbortSignal.abort())
  t.equal(await size('a'), 10)
  await sweep()
  t.equal(await size('a'), 0)
})

t.test('a tenant is listed again after Redis has lost the list', async (t) => {
  const { services, submit } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const client = services.redis.request
  const submitOne = async () => t.equal((await submit({ type: 'echo', data: { label: 'x' } })).statusCode, 202)
  await submitOne()
  t.same(await client.smembers(services.keys.tenants), ['default'])
  await client.del(services.keys.tenants)
  await submitOne()
  t.same(await client.smembers(services.keys.tenants), [], 'not with every submission')
  const { now } = Date
  t.after(() => {
    Date.now = now
  })
  Date.now = () => now() + 60_000
  await submitOne()
  t.same(await client.smembers(services.keys.tenants), ['default'])
})
