// Where jobs lie: names and ids of partition 0 are those of stored data, and those of others are kept free.

import { hash } from 'node:crypto'
import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { createAcceptance, type NewJob } from '../../src/bullmq/acceptance.js'
import { createBulkJobs } from '../../src/bullmq/bulk-jobs.js'
import { createJobExists } from '../../src/bullmq/job-begun.js'
import { childJobId, followUpJobId, mintJobId, partitionOfJobId, queueOfJobId, scheduledJobId } from '../../src/bullmq/job-id.js'
import { createJobIndex, idOfIndexMember, toIndexMember } from '../../src/bullmq/job-index.js'
import { createPartitions, toPartitionTag } from '../../src/bullmq/partitions.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { createQueueCounts } from '../../src/bullmq/statistics/queue-counts.js'
import { createIndexSweep } from '../../src/jobs/maintenance/index-sweep.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { createJobTypes } from '../../src/types/registry.js'
import { startRedis } from '../helpers/start-redis.js'

const textsOf = (keys: object, id: string): Record<string, string> =>
  Object.fromEntries(
    Object.entries(keys)
      .filter(([, value]) => typeof value !== 'object')
      .map(([name, value]) => [name, typeof value === 'function' ? (value as (id: string) => string)(id) : value]),
  )

t.test('the names of stored data stay', async (t) => {
  const places = createQueuePlaces('{jobgate}', createJobTypes())
  t.equal(places.all().length, 3, 'there is one partition')
  const [keys] = places.partitionsOf('external-api') as [QueueKeys]
  t.same(textsOf(keys, 'ID'), {
    queue: 'external-api',
    tag: '{jobgate}',
    base: '{jobgate}:external-api:',
    qualifiedName: '{jobgate}:external-api',
    job: '{jobgate}:external-api:ID',
    dependencies: '{jobgate}:external-api:ID:dependencies',
    processed: '{jobgate}:external-api:ID:processed',
    failedChildren: '{jobgate}:external-api:ID:failed',
    lock: '{jobgate}:external-api:ID:lock',
    wait: '{jobgate}:external-api:wait',
    paused: '{jobgate}:external-api:paused',
    active: '{jobgate}:external-api:active',
    prioritized: '{jobgate}:external-api:prioritized',
    delayed: '{jobgate}:external-api:delayed',
    completed: '{jobgate}:external-api:completed',
    failed: '{jobgate}:external-api:failed',
    waitingChildren: '{jobgate}:external-api:waiting-children',
    events: '{jobgate}:external-api:events',
    marker: '{jobgate}:external-api:marker',
    meta: '{jobgate}:external-api:meta',
    id: '{jobgate}:external-api:id',
    pc: '{jobgate}:external-api:pc',
    repeat: '{jobgate}:external-api:repeat',
    limiter: '{jobgate}:external-api:limiter',
    stalled: '{jobgate}:external-api:stalled',
    metricsCompleted: '{jobgate}:external-api:metrics:completed',
    metricsFailed: '{jobgate}:external-api:metrics:failed',
  })
  t.match(textsOf(keys.partition.keys, 'X'), { idempotency: '{jobgate}:gate:idem:X', jobIndex: '{jobgate}:gate:index:X' })
  t.match(textsOf(createKeys('{jobgate}'), 'X'), {
    tenants: '{jobgate}:gate:tenants',
    cancelled: '{jobgate}:gate:cancelled',
    schedule: '{jobgate}:gate:schedule:X',
    schedules: '{jobgate}:gate:schedules',
    operation: '{jobgate}:gate:operation:X',
    operationLease: '{jobgate}:gate:operation-lease:X',
    operationsOpen: '{jobgate}:gate:operations-open',
    audit: '{jobgate}:gate:audit',
    apiKeys: '{jobgate}:gate:api-keys',
  })
})

t.test('the ids of stored jobs stay', async (t) => {
  t.match(mintJobId('email'), /^mail_[A-Za-z0-9_-]{22}$/)
  t.equal(followUpJobId('ext_3q2AMb1cT7mR0wZk9vYxFg', 0, 'email'), 'mail_0D5CwMk0ftrQSVZSU3Oy3a')
  t.equal(scheduledJobId('key', 1, 2, 'meeting'), `meet_${hash('sha256', 'key|1|2', 'base64url').slice(0, 22)}`)
  for (const id of [
    'mail_3q2AMb1cT7mR0wZk9vYxFg',
    'mail_3q2AMb1cT7mR0wZk9vYxFg-0',
    'mail_3q2AMb1cT7mR0wZk9vYx_1',
    'ext_00000000000000000001',
  ]) {
    t.equal(partitionOfJobId(id), 0, id)
  }
})

t.test('an id of another partition carries it, and so do those made from it', async (t) => {
  for (const number of [1, 35, 36, 46_655]) {
    const id = mintJobId('email', { number })
    t.match(id, /^mail_[A-Za-z0-9_-]{22}_[0-9a-z]{1,3}$/)
    for (const each of [id, childJobId(id, 999)]) {
      t.match(each, /^[a-z]{1,4}_[A-Za-z0-9_-]{20,48}$/)
      t.equal(queueOfJobId(each), 'email')
      t.equal(partitionOfJobId(each), number, each)
    }
    t.equal(partitionOfJobId(followUpJobId(childJobId(id, 3), 1, 'meeting')), number)
    t.equal(partitionOfJobId(scheduledJobId('key', 1, 2, 'meeting', { number })), number)
  }
  t.equal(partitionOfJobId('not an id'), undefined)
})

t.test('a submission has one place, and a settled id decides', async (t) => {
  const digests = Array.from({ length: 1000 }, (_, at) => hash('sha256', String(at), 'base64url'))
  const one = createPartitions('{jobgate}')
  t.same([...new Set(digests.map((digest) => one.forSubmission(digest).tag))], ['{jobgate}'])
  const four = createPartitions('{jobgate}', 4)
  t.same(
    four.all.map(({ tag }) => tag),
    ['{jobgate}', '{jobgate:1}', '{jobgate:2}', '{jobgate:3}'],
  )
  t.equal(toPartitionTag('{jobgate}', 36), '{jobgate:10}')
  for (const digest of digests) t.equal(four.forSubmission(digest), four.forSubmission(digest))
  t.same(new Set(digests.map((digest) => four.forSubmission(digest).number)), new Set([0, 1, 2, 3]))
  const drawn = new Set(Array.from({ length: 1000 }, () => four.forSubmission(undefined).number))
  t.same(drawn, new Set([0, 1, 2, 3]))
  const id = mintJobId('email', { number: 2 })
  t.equal(four.forSubmission(digests[0], id).number, 2)
  t.equal(four.ofJob(id)?.number, 2)
  t.equal(four.ofJob(mintJobId('email', { number: 4 })), undefined, 'it is not there')
  t.same([one.share(10), four.share(10)], [10, 3])
})

t.test('whatever walks a queue walks its partitions', async (t) => {
  const { redis } = await startRedis(t)
  const client = redis.request
  if (client.status !== 'ready') await once(client, 'ready')
  const queues = createQueuePlaces('{jobgate}', createJobTypes(), 3)
  const accept = createAcceptance({ redis: client, maxDepth: 1000, claimTtlMs: 60_000, queues })
  const count = createQueueCounts({ redis: client, queues })
  const bulk = createBulkJobs({ redis: client, queues })
  const index = createJobIndex({ redis: client, keys: createKeys('{jobgate}'), partitions: queues.partitions })
  const submit = async (name: string, at: number): Promise<string> => {
    const digest = hash('sha256', name, 'base64url')
    const partition = queues.partitions.forSubmission(digest)
    const id = mintJobId('email', partition)
    const job: NewJob = { id, name: 'probe', timestamp: at, data: '{}', options: '{"priority":10}', kind: 'prioritized' }
    const claim = { digest, fingerprint: 'f'.repeat(43), record: id }
    const outcome = await accept({ queue: 'email', partition, jobs: [job], tenant: 'default', indexMember: toIndexMember(at, id), claim })
    return outcome.kind === 'replayed' ? outcome.record : id
  }
  const ids: string[] = []
  for (let at = 0; at < 30; at++) ids.push(await submit(`job ${at}`, at))
  t.equal(new Set(ids.map((id) => partitionOfJobId(id))).size, 3)
  t.equal(await submit('job 7', 99), ids[7], 'a claim lies with its job')

  await t.test('counts', async (t) => {
    t.match(await count(['email']), [{ waiting: 30, active: 0, isPaused: false }])
    t.equal(await bulk.size('email', ['prioritized', 'wait']), 30)
  })

  await t.test('pages of the index, newest first', async (t) => {
    const listed: string[] = []
    for (let after: string | undefined; ; ) {
      const page = await index.page('default', after, 7)
      listed.push(...page.map(idOfIndexMember))
      if (page.length < 7) break
      after = page.at(-1)
    }
    t.same(listed, [...ids].reverse())
  })

  await t.test('a walk from old to new, and acts on what it finds', async (t) => {
    await client.set('lease', 'mine')
    const step = { leaseKey: 'lease', leaseToken: 'mine', leaseMs: 60_000, operationKey: 'operation', cursor: '{}', scanned: 1 }
    const walked: string[] = []
    for (let position: Parameters<typeof bulk.walk>[2] | null = { score: '', skip: 0 }; position; ) {
      const { jobs, next } = await bulk.walk('email', 'prioritized', position, '+inf', 4)
      walked.push(...jobs.map(({ id }) => id))
      const taken = jobs.slice(0, 1)
      await bulk.act('email', 'prioritized', 'remove', taken, step)
      position = next(new Set(taken.map(({ id }) => id)))
    }
    t.same([...walked].sort(), [...ids].sort(), 'each once')
    const exists = createJobExists({ redis: client, queues })
    const left = (await Promise.all(ids.map(async (id) => ({ id, isThere: await exists(id) })))).filter(({ isThere }) => isThere)
    t.ok(left.length > 0 && left.length < ids.length)
    t.equal((await bulk.find('email', 'prioritized', ids)).length, left.length)

    const keys = createKeys('{jobgate}')
    const sweep = createIndexSweep({ index, jobExists: exists, keys, redis: client, log: pino({ level: 'silent' }) })
    await client.sadd(keys.tenants, 'default')
    await sweep.run(new AbortController().signal)
    t.same(await client.exists(keys.jobIndexPositions), 0, 'the round came to the end')
    t.same(
      (await index.page('default', undefined, 100)).map(idOfIndexMember).reverse(),
      left.map(({ id }) => id),
    )
  })

  await t.test('what failed, newest first', async (t) => {
    const failed = ids.slice(0, 12)
    for (const [at, id] of failed.entries()) {
      const queue = queues.ofJob(id) as QueueKeys
      await client.zadd(queue.failed, Math.floor(at / 2), id)
      await client.hset(queue.job(id), 'name', 'probe')
    }
    const found: string[] = []
    for (let skip = 0; skip < 12; skip += 5) {
      found.push(...(await bulk.walkBack('email', 'failed', { score: '', skip }, '-inf', 5)).map(({ id }) => id))
    }
    t.same([...found].sort(), [...failed].sort())
    const scoreOf = (id: string) => Math.floor(failed.indexOf(id) / 2)
    t.same(
      found.map(scoreOf),
      found.map(scoreOf).sort((a, b) => b - a),
    )
  })
})
