// DURABILITY above `memory`: what this Redis cannot promise is refused, and what it has not confirmed is not accepted.

import { Cluster, Redis } from 'ioredis'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { openDurability } from '../../src/redis/durability.js'
import { classifyRedisError } from '../../src/redis/failures.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { freePorts, startCluster, startServer } from '../helpers/redis-clusters.js'

const deadlineMs = 30_000
const log = pino({ level: 'silent' })
const noWaitaof = /^DURABILITY=fsync: this Redis has no WAITAOF; .* \(now yes and everysec\)$/

const connect = (t: Test, port: number) => {
  const client = new Redis({ port, host: '127.0.0.1', maxRetriesPerRequest: null, retryStrategy: () => 50 })
  client.on('error', () => {})
  t.after(() => client.disconnect())
  return client
}

const startOne = async (t: Test, lines: string[] = []) => {
  const [port] = (await freePorts(1)) as [number]
  await startServer(t, { port, lines })
  const client = connect(t, port)
  const hasWaitaof = await client.call('WAITAOF', 0, 0, 1).then(
    () => true,
    () => false,
  )
  return { port, url: `redis://127.0.0.1:${port}`, client, hasWaitaof }
}

const jobCount = async (client: Redis) => (await client.keys('{jobgate}:external-api:ext_*')).length

t.test('fsync on a Redis without WAITAOF', async (t) => {
  const { url, client, hasWaitaof } = await startOne(t)
  if (hasWaitaof) return t.pass('this Redis has it')
  const env = { REDIS_URL: url, DURABILITY: 'fsync', WORKERS_ENABLED: 'false' }
  await t.rejects(buildTestApp(t, { env }), { message: noWaitaof }, 'the start is refused')

  await client.config('SET', 'appendfsync', 'always')
  const { app, submit } = await buildTestApp(t, { env })
  t.equal((await submit({ type: 'echo', data: { label: 'a' } })).statusCode, 202, 'appendfsync always promises it by itself')

  await client.config('SET', 'appendfsync', 'everysec')
  const ready = async () => (await app.inject('/readyz')).json()
  await eventually('the change is noticed', async () => noWaitaof.test((await ready()).detail), deadlineMs)
  t.match(await ready(), { status: 503, type: '/problems/redis-unavailable' })
  const refused = await submit({ type: 'echo', data: { label: 'b' } })
  t.match([refused.statusCode, refused.json().detail], [503, /was not stored/])
  t.equal(await jobCount(client), 1, 'nor was it')

  await client.config('SET', 'appendfsync', 'always')
  await eventually('it heals', async () => (await ready()).status === 'ok', deadlineMs)
  t.equal((await submit({ type: 'echo', data: { label: 'b' } })).statusCode, 202)
})

t.test('fsync without an append-only file', async (t) => {
  const { url } = await startOne(t, ['appendonly no'])
  const env = { REDIS_URL: url, DURABILITY: 'fsync', WORKERS_ENABLED: 'false' }
  await t.rejects(buildTestApp(t, { env }), { message: /^DURABILITY=fsync: this Redis has no (?:append-only file|WAITAOF)/ })
})

t.test('fsync on a Redis that comes up after the start', async (t) => {
  const [port] = (await freePorts(1)) as [number]
  const redis = connect(t, port)
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'fsync', log })
  t.after(() => durability.close())
  await durability.checked()
  t.equal(durability.fault(), null, 'nobody knows yet')
  await startServer(t, { port, lines: ['appendonly no'] })
  await eventually('it is looked at once it is there', () => durability.fault() !== null, deadlineMs)
  let writes = 0
  const error = await durability.confirmed(async () => writes++).catch((caught: unknown) => caught)
  t.same([classifyRedisError(error), writes], ['refused', 0])
})

t.test('the embedded Redis keeps it', async (t) => {
  const { app, submit } = await buildTestApp(t, { env: { DURABILITY: 'fsync' } })
  t.equal((await submit({ type: 'echo', data: { label: 'a' } })).statusCode, 202)
  t.equal((await app.inject('/readyz')).statusCode, 200)
})

t.test('replicated without a replica: stored, not confirmed, and confirmed to whoever asks again', async (t) => {
  const { port, url, client } = await startOne(t, ['repl-diskless-sync-delay 0'])
  const { submit } = await buildTestApp(t, { env: { REDIS_URL: url, DURABILITY: 'replicated', WORKERS_ENABLED: 'false' } })
  const send = () => submit({ type: 'echo', data: { label: 'a' } }, { 'idempotency-key': '"k"' })
  const first = await send()
  t.match([first.statusCode, first.json().detail], [503, /outcome is unknown/])
  t.equal(await jobCount(client), 1)

  const [replicaPort] = (await freePorts(1)) as [number]
  await startServer(t, { port: replicaPort, lines: [`replicaof 127.0.0.1 ${port}`] })
  await eventually('the replica is in step', async () => (await client.info('replication')).includes('state=online'), deadlineMs)
  // A replica that has only just come may take longer than a request to confirm.
  let again = await send()
  await eventually(
    'the job is confirmed',
    async () => {
      if (again.statusCode !== 202) again = await send()
      return again.statusCode === 202
    },
    deadlineMs,
  )
  t.equal(again.headers['idempotent-replayed'], 'true')
  t.equal(await jobCount(client), 1)
})

t.test('in a Cluster the server that has the keys is asked, not any one', async (t) => {
  const { hosts, nodes } = await startCluster(t)
  const redis = new Cluster(hosts)
  redis.on('error', () => {})
  t.after(() => redis.disconnect())
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'replicated', log })
  const owner = await redis.set('{jobgate}:x', '1').then(async () => {
    const slot = await redis.cluster('KEYSLOT', '{jobgate}')
    return Promise.all(nodes.map(async ({ port }) => ({ port, count: await connect(t, port).cluster('COUNTKEYSINSLOT', slot) })))
  })
  const rounds = 6
  for (let round = 0; round < rounds; round++) {
    const error = await durability.confirmed(() => redis.set('{jobgate}:x', round)).catch((caught: unknown) => caught)
    t.equal(classifyRedisError(error), 'unknown', 'no replica there')
  }
  for (const { port, count } of owner) {
    const [, calls = '0'] = /cmdstat_wait:calls=(\d+)/.exec(await connect(t, port).info('commandstats')) ?? []
    t.equal(Number(calls), count === 1 ? rounds : 0)
  }
})
