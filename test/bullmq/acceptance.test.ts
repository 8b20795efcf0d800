import { once } from 'node:events'
import { Job, type Queue } from 'bullmq'
import type { Redis } from 'ioredis'
import { pino } from 'pino'
import t from 'tap'
import { type Acceptance, createAcceptance, type NewJob } from '../../src/bullmq/acceptance.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { openQueues } from '../../src/bullmq/queues.js'
import { classifyRedisError } from '../../src/redis/failures.js'
import { createJobTypes } from '../../src/types/registry.js'
import { startRedis, type TestScope } from '../helpers/start-redis.js'

const setUp = async (t: TestScope, { maxDepth = 1000 } = {}) => {
  const { redis } = await startRedis(t)
  const client = redis.request
  if (client.status !== 'ready') await once(client, 'ready')
  const queues = openQueues({ redis: client, prefix: '{jobgate}', log: pino({ level: 'silent' }), jobTypes: createJobTypes() })
  t.after(() => queues.close())
  const accept = createAcceptance({ redis: client, maxDepth, claimTtlMs: 60_000, queues })
  const queue = queues.partitionsOf('email')[0] as QueueKeys
  const { keys } = queue.partition
  const toJob = (more: Partial<NewJob> = {}): NewJob => ({
    id: mintJobId('email'),
    name: 'probe',
    timestamp: Date.now(),
    data: JSON.stringify({ data: { x: 'ä' } }),
    options: JSON.stringify({ attempts: 3, backoff: { type: 'fixed', delay: 5 }, priority: 10, delay: 0, kl: 10 }),
    kind: 'prioritized',
    ...more,
  })
  const toAcceptance = (jobs: [NewJob, ...NewJob[]], claim?: Partial<NonNullable<Acceptance['claim']>>): Acceptance => ({
    queue: 'email',
    partition: queue.partition,
    jobs,
    tenant: 'default',
    indexMember: jobs[0].id,
    ...(claim ? { claim: { digest: 'digest', fingerprint: 'f'.repeat(43), record: 'record', ...claim } } : {}),
  })
  return { client, queues, queue, accept, keys, toJob, toAcceptance, bull: queues.bullmqQueue(queue) as Queue }
}

t.test('a job stands in Redis exactly as BullMQ itself would have put it', async (t) => {
  const { client, queue, accept, toJob, toAcceptance, bull } = await setUp(t)
  const options = { attempts: 3, backoff: { type: 'fixed', delay: 5 }, priority: 10, delay: 0, keepLogs: 10 }
  for (const delay of [0, 60_000]) {
    const ours = toJob({
      kind: delay ? 'delayed' : 'prioritized',
      options: JSON.stringify({ attempts: 3, backoff: options.backoff, priority: 10, delay, kl: 10 }),
    })
    await accept(toAcceptance([ours]))
    const theirs = await bull.add('probe', JSON.parse(ours.data), {
      ...options,
      delay,
      jobId: mintJobId('email'),
      timestamp: ours.timestamp,
    })
    const [a, b] = await Promise.all([client.hgetall(queue.job(ours.id)), client.hgetall(queue.job(theirs.id as string))])
    const { opts: ourOptions, ...ourRest } = a
    const { opts: theirOptions, ...theirRest } = b
    t.same(ourRest, theirRest)
    const { jobId: _id, timestamp: _at, ...expected } = JSON.parse(theirOptions as string)
    t.same(JSON.parse(ourOptions as string), expected)
    t.equal(await (await Job.fromId(bull, ours.id))?.getState(), await theirs.getState())
  }
  const events = (await client.xrange(queue.events, '-', '+')).map(([, fields]) => [fields[1], ...fields.slice(4)])
  t.same(events.slice(0, 2), events.slice(2, 4), 'same events for the prioritized')
})

t.test('IDK-7 a claim, its job and its record are one step', async (t) => {
  const { client, accept, keys, toJob, toAcceptance, bull } = await setUp(t)
  const first = await accept(toAcceptance([toJob()], {}))
  t.same(first, { kind: 'created' })
  t.equal(await client.get(keys.idempotency('digest')), `${'f'.repeat(43)}record`)
  t.ok(((await client.pttl(keys.idempotency('digest'))) as number) > 59_000)
  t.same(await accept(toAcceptance([toJob()], {})), { kind: 'replayed', record: 'record' })
  t.same(await accept(toAcceptance([toJob()], { fingerprint: 'g'.repeat(43) })), { kind: 'reused' })
  t.equal(await bull.getPrioritizedCount(), 1)
})

t.test('one turn of the event loop with one key makes one job', async (t) => {
  const { accept, toJob, toAcceptance, bull } = await setUp(t)
  const outcomes = await Promise.all(Array.from({ length: 200 }, () => accept(toAcceptance([toJob()], {}))))
  t.equal(outcomes.filter(({ kind }) => kind === 'created').length, 1)
  t.equal(outcomes.filter(({ kind }) => kind === 'replayed').length, 199)
  t.equal(await bull.getPrioritizedCount(), 1)
})

t.test('IDK-13 a full queue refuses, leaves no claim, and still replays', async (t) => {
  const { client, accept, keys, toJob, toAcceptance, bull } = await setUp(t, { maxDepth: 2 })
  await accept(toAcceptance([toJob()], {}))
  await accept(toAcceptance([toJob()]))
  const other = { digest: 'other' }
  t.same(await accept(toAcceptance([toJob()], other)), { kind: 'full' })
  t.equal(await client.exists(keys.idempotency(other.digest)), 0)
  t.same(await accept(toAcceptance([toJob()], {})), { kind: 'replayed', record: 'record' })
  t.equal(await bull.getPrioritizedCount(), 2)
})

t.test('a submission that the script cannot digest does not take its neighbours along', async (t) => {
  const { accept, toJob, toAcceptance, bull } = await setUp(t)
  const outcomes = await Promise.allSettled([
    accept(toAcceptance([toJob()])),
    accept(toAcceptance([toJob({ options: 'no JSON' })])),
    accept(toAcceptance([toJob()])),
  ])
  t.same(
    outcomes.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  t.equal(await bull.getPrioritizedCount(), 2)
})

t.test('a replay is one although Redis takes no writes and refuses its neighbours', async (t) => {
  const { client, accept, toJob, toAcceptance, bull } = await setUp(t)
  await accept(toAcceptance([toJob()], {}))
  await (client as Redis).config('SET', 'maxmemory', '1')
  const others = ['one', 'two'].map((name) => accept(toAcceptance([toJob()], { digest: name })))
  const replayed = accept(toAcceptance([toJob()], {}))
  for (const other of await Promise.allSettled(others)) {
    t.equal(classifyRedisError((other as PromiseRejectedResult).reason), 'refused')
  }
  t.same(await replayed, { kind: 'replayed', record: 'record' })
  await (client as Redis).config('SET', 'maxmemory', '0')
  t.equal(await bull.getPrioritizedCount(), 1)
})

t.test('keys of another type: nothing is stored, so that a repeat makes no second job', async (t) => {
  const { client, queue, accept, keys, toJob, toAcceptance, bull } = await setUp(t)
  await client.hset(queue.meta, 'concurrency', 1)
  for (const key of [queue.marker, queue.events, queue.active, queue.pc, keys.jobIndex('default')]) {
    await client.set(key, 'text')
    const jobs = [toJob(), toJob()]
    const outcomes = await Promise.allSettled(jobs.map((job) => accept(toAcceptance([job], { digest: job.id }))))
    t.same(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected'],
      key,
    )
    t.equal(await bull.getPrioritizedCount(), 0, key)
    for (const { id } of jobs) t.equal(await client.exists(queue.job(id), keys.idempotency(id)), 0, key)
    await client.del(key)
  }
  t.same(await accept(toAcceptance([toJob()], {})), { kind: 'created' })
})

t.test('a fan-out is stored whole: a parent that waits, and its children', async (t) => {
  const { accept, toJob, toAcceptance, bull } = await setUp(t)
  const parent = toJob({ kind: 'parent' })
  await accept(toAcceptance([parent, toJob({ id: `${parent.id}-0` }), toJob({ id: `${parent.id}-1` })]))
  const job = (await Job.fromId(bull, parent.id)) as Job
  t.equal(await job.getState(), 'waiting-children')
  t.same((await job.getDependenciesCount()).unprocessed, 2)
})

t.test('many jobs are cut into scripts and all arrive', async (t) => {
  const { accept, toJob, toAcceptance, bull } = await setUp(t, { maxDepth: 10_000 })
  const big = JSON.stringify({ data: 'x'.repeat(300_000) })
  const outcomes = await Promise.all(
    Array.from({ length: 500 }, (_, at) => accept(toAcceptance([toJob(at % 50 === 0 ? { data: big } : {})]))),
  )
  t.ok(outcomes.every(({ kind }) => kind === 'created'))
  t.equal(await bull.getPrioritizedCount(), 500)
})
