// Holds on jobs below HTTP: what happens between the moment that a lease is read and the one in which it is ended.

import t, { type Test } from 'tap'
import { createLeasedJobs, type Hold, type LeasedJob } from '../../src/bullmq/registered/leased-jobs.js'
import { mintLeaseSlot } from '../../src/leases/lease-id.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { leasedType, read, submitLeased } from '../helpers/leased-types.js'

const queue = 'resize-image'
const base = `{jobgate}:${queue}:`

const start = async (t: Test) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  test.services.jobTypes.put(leasedType())
  const redis = test.services.redis.request
  const leasedJobs = createLeasedJobs({ config: test.config, queues: test.services.queues, redis })
  return {
    ...{ test, redis, leasedJobs },
    async take(max = 1): Promise<LeasedJob[]> {
      const slots = Array.from({ length: max }, () => mintLeaseSlot('default'))
      const { fetched } = await leasedJobs.fetch(queue, [{ holder: 'w', leaseMs: 30_000, slots }])
      return fetched.flatMap((each) => (each.kind === 'jobs' ? each.jobs : []))
    },
    stateOf: async (id: string) =>
      JSON.stringify([
        Object.entries(await redis.hgetall(base + id)).sort(),
        await redis.lrange(`${base}${id}:logs`, 0, -1),
        await redis.get(`${base}${id}:lock`),
      ]),
  }
}

const holdOf = ({ stored, token }: LeasedJob): Hold => ({ id: stored.id, token })
const notes = { progress: '99', log: ['late'] }
const complete = { act: 'complete', value: '{"width":1}', attemptsMax: 3, digest: 'd'.repeat(22) } as const

t.test('a hold that ended after it was read changes nothing', async (t) => {
  const { test, redis, leasedJobs, take, stateOf } = await start(t)
  const ends: Record<string, (hold: Hold) => Promise<unknown>> = {
    'held by another': ({ id }) => redis.set(`${base}${id}:lock`, 'x'.repeat(22)),
    removed: async ({ id }) => {
      await redis.del(base + id)
      await redis.lrem(`${base}active`, 1, id)
    },
  }
  for (const [how, end] of Object.entries(ends)) {
    const id = await submitLeased(test, how)
    const [job] = (await take()) as [LeasedJob]
    await end(holdOf(job))
    const before = await stateOf(id)
    for (const act of ['complete', 'fail', 'retry', 'delay', 'release', 'lost'] as const) {
      t.equal(await leasedJobs.end({ ...complete, ...notes, ...holdOf(job), act, delayMs: 10 }), null, `${how} ${act}`)
    }
    if (how !== 'removed') t.same(await leasedJobs.heartbeat([{ ...holdOf(job), ...notes, checkpoint: '1' }]), [null])
    t.equal(await stateOf(id), before, how)
  }
})

t.test('a cancellation that came after it was read ends the job as cancelled, whatever is said', async (t) => {
  const { test, leasedJobs, take } = await start(t)
  for (const act of ['complete', 'fail', 'retry', 'delay', 'release', 'lost'] as const) {
    const id = await submitLeased(test, act)
    const [job] = (await take()) as [LeasedJob]
    t.equal((await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })).statusCode, 202)
    t.match(await leasedJobs.end({ ...complete, ...holdOf(job), act, delayMs: 10 }), { state: 'cancelled' })
    t.match(await read(test, id), { state: 'cancelled' }, act)
  }
})

t.test('many at once, each by itself', async (t) => {
  const { test, redis, leasedJobs, take } = await start(t)
  const ids = await Promise.all(Array.from({ length: 120 }, (_, at) => submitLeased(test, `${at}`)))
  const jobs = [...(await take(100)), ...(await take(100))]
  t.equal(new Set(jobs.map(({ stored }) => stored.id)).size, ids.length)
  t.equal((await redis.zrange(`${base}marker`, '0', '-1')).length, 0, 'nobody is woken for nothing')
  const [stale] = jobs as [LeasedJob]
  await redis.del(`${base}${stale.stored.id}:lock`)
  const ended = await Promise.all(jobs.map((job) => leasedJobs.end({ ...complete, ...holdOf(job) })))
  t.equal(ended.filter((each) => each === null).length, 1)
  const reads = await leasedJobs.read(jobs.map(holdOf))
  t.equal(reads.filter(({ kind }) => kind === 'settled').length, 119)
  t.equal(reads[0]?.kind, 'lost')
})

t.test('an id without a job is thrown away, wherever it stands', async (t) => {
  const { test, redis, leasedJobs, take } = await start(t)
  await redis.zadd(`${base}prioritized`, 1, `${queue}_${'0'.repeat(22)}`)
  await redis.rpush(`${base}active`, `${queue}_${'1'.repeat(22)}`)
  const id = await submitLeased(test, 'there')
  t.same(
    (await take()).map(({ stored }) => stored.id),
    [id],
  )
  t.equal(await redis.exists(`${base}${queue}_${'0'.repeat(22)}`), 0)
  const taken: string[] = []
  await leasedJobs.takeOver([queue], 'x'.repeat(22), async ({ stored }) => taken.push(stored.id))
  t.same(taken, [])
  t.same(await redis.lrange(`${base}active`, 0, -1), [id])
})

t.test('those that nobody holds are taken over by one instance, all of them', async (t) => {
  const { test, redis, leasedJobs, take } = await start(t)
  await Promise.all(Array.from({ length: 230 }, (_, at) => submitLeased(test, `${at}`)))
  const jobs = [...(await take(100)), ...(await take(100)), ...(await take(100))]
  const [held, ...others] = jobs as [LeasedJob, ...LeasedJob[]]
  for (const { stored } of others) await redis.del(`${base}${stored.id}:lock`)
  const taken: string[] = []
  const takeAll = (token: string) =>
    leasedJobs.takeOver([queue], token, async (job) => {
      taken.push(job.stored.id)
      await leasedJobs.end({ ...complete, digest: '', ...holdOf(job), act: 'lost' })
    })
  await Promise.all([takeAll('x'.repeat(22)), takeAll('y'.repeat(22))])
  t.equal(taken.length, 229)
  t.equal(new Set(taken).size, 229)
  t.same(await redis.lrange(`${base}active`, 0, -1), [held.stored.id])
})

t.test('the latest settlements are remembered in the job, and no more', async (t) => {
  const { test, redis, leasedJobs, take } = await start(t)
  const id = await submitLeased(test, 'often')
  const holds: Hold[] = []
  for (let times = 0; times < 40; times++) {
    const [job] = (await take()) as [LeasedJob]
    holds.push(holdOf(job))
    t.match(await leasedJobs.end({ ...complete, ...holdOf(job), act: 'release' }), { state: 'released' })
  }
  t.equal((await redis.hget(base + id, 'jg:settled'))?.length, 32 * 45)
  const keys = await redis.keys('*settled-lease*')
  await redis.del(...keys)
  const reads = await leasedJobs.read(holds)
  t.same(
    reads.map(({ kind }) => kind),
    [...Array.from({ length: 8 }, () => 'lost'), ...Array.from({ length: 32 }, () => 'settled')],
  )
})
