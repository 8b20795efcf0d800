// DURABILITY above `memory`: what this Redis cannot promise is refused, and what it has not confirmed is not accepted.

import { once } from 'node:events'
import { Cluster, Redis } from 'ioredis'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { openRedis } from '../../src/redis/connect.js'
import { openDurability } from '../../src/redis/durability.js'
import { classifyRedisError } from '../../src/redis/failures.js'
import { defineScript, type SentOn } from '../../src/redis/script.js'
import type { JobType } from '../../src/types/definition.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { createProbes } from '../helpers/probe-job-types.js'
import { freePorts, startCluster, startServer } from '../helpers/redis-clusters.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'

const deadlineMs = 60_000
const log = pino({ level: 'silent' })
const setScript = "return redis.call('SET', KEYS[1], ARGV[1])"
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

/** Resolves when it is in step. */
const startReplica = async (t: Test, ofPort: number, master: Redis) => {
  const [port] = (await freePorts(1)) as [number]
  const replica = await startServer(t, { port, lines: [`replicaof 127.0.0.1 ${ofPort}`] })
  await eventually('the replica is in step', async () => (await master.info('replication')).includes('state=online'), deadlineMs)
  return replica
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

  await startReplica(t, port, client)
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

t.test('what the next master confirms is not what the last one was sent', async (t) => {
  const [last, next] = [await startOne(t), await startOne(t, ['repl-diskless-sync-delay 0'])]
  await startReplica(t, next.port, next.client)
  const proxy = await startRedisProxy(t, { target: { port: last.port } })
  // Like the connection of workers: it waits as long as it takes, and sends again what was not answered.
  const redis = connect(t, proxy.port)
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'replicated', log })
  let answered = () => {}
  const untilAnswered = new Promise<void>((resolve) => {
    answered = resolve
  })
  const set = defineScript<string>(redis, setScript, (write) =>
    durability.confirmed(async (sentOn?: SentOn) => {
      const written = await write(sentOn)
      answered()
      return written
    }),
  )
  const lost = set(['{jobgate}:x'], ['1']).catch((caught: unknown) => caught)
  await untilAnswered
  proxy.turnTo({ port: next.port })
  proxy.cut()
  const error = await lost
  t.equal(await next.client.get('{jobgate}:x'), null)
  t.match([classifyRedisError(error), String(error)], ['unknown', /a different connection/])
  // On a busy machine a replica may take longer than a request waits for it.
  const confirmedOrLate = (error: Error) => (String(error).includes('timed out') ? 'late' : Promise.reject(error))
  await eventually(
    'what is written there is confirmed there',
    async () => (await set(['{jobgate}:x'], ['2']).catch(confirmedOrLate)) === 'OK',
  )
  t.equal(await next.client.get('{jobgate}:x'), '2')

  proxy.turnTo({ port: last.port })
  proxy.cut()
  await eventually('it leads to the last one', () => redis.config('GET', 'port').then(([, port]) => Number(port) === last.port))
  proxy.swallowReplies(true)
  const moved = set(['{jobgate}:y'], ['3'])
  await eventually('the last one has it', async () => (await last.client.get('{jobgate}:y')) === '3')
  proxy.swallowReplies(false)
  proxy.turnTo({ port: next.port })
  proxy.cut()
  t.match(await moved.catch(confirmedOrLate), /^(OK|late)$/, 'it was sent again there, and confirmed on that connection or not in time')
  t.equal(await next.client.get('{jobgate}:y'), '3')
})

t.test('write and confirmation share the time of one request', async (t) => {
  const { port, client } = await startOne(t)
  const proxy = await startRedisProxy(t, { target: { port } })
  const target = { kind: 'host', host: '127.0.0.1', port: proxy.port } as const
  const connections = await openRedis({ settings: { target, db: 0, tls: false, prefix: '{jobgate}' }, log })
  t.after(() => connections.close())
  const redis = connections.connect('request')
  await once(redis, 'ready')
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'replicated', log })
  const set = defineScript(redis, setScript, durability.confirmed)
  const monitor = await client.monitor()
  t.after(() => monitor.disconnect())
  const waits: number[] = []
  monitor.on('monitor', (_time, [name, , timeoutMs]: string[]) => {
    if (name?.toUpperCase() === 'WAIT') waits.push(Number(timeoutMs))
  })
  proxy.delay(500)
  let error: unknown
  // On a machine that is slow enough the write alone takes all of the time.
  await eventually('a confirmation was asked for', async () => {
    error = await set(['{jobgate}:x'], ['1']).catch((caught: unknown) => caught)
    return waits.length > 0
  })
  t.equal(classifyRedisError(error), 'unknown')
  for (const waited of waits) t.ok(waited <= 500, String(waited))
})

t.test('a repeat while Redis takes no writes: nobody knows whether the job is safe, and nobody says that there is none', async (t) => {
  const { port, url, client } = await startOne(t, ['repl-diskless-sync-delay 0'])
  const replica = await startReplica(t, port, client)
  const faults: { pointer: string; detail: string }[] = []
  const [echo] = createProbes().types.filter(({ name }) => name === 'echo')
  const types = [{ ...(echo as JobType), check: () => faults }]
  const { submit } = await buildTestApp(t, { types, env: { REDIS_URL: url, DURABILITY: 'replicated', WORKERS_ENABLED: 'false' } })
  const send = (key: string) => submit({ type: 'echo', data: { label: 'a' } }, { 'idempotency-key': key })
  const outcome = async (key: string) => {
    const { statusCode, ...answer } = await send(key)
    const { detail } = answer.json()
    return [statusCode, /outcome is unknown|was not stored/.exec(detail)?.[0] ?? null]
  }
  t.equal((await send('"stored"')).statusCode, 202)
  t.equal((await send('"stored"')).headers['idempotent-replayed'], 'true')

  faults.push({ pointer: '#/data/label', detail: 'is over' })
  t.equal((await send('"stored"')).headers['idempotent-replayed'], 'true', 'it was fine when it came first')
  t.equal((await send('"new"')).statusCode, 400)

  await client.config('SET', 'min-replicas-to-write', '1')
  replica.process.kill('SIGKILL')
  await eventually('it is gone', async () => (await client.info('replication')).includes('connected_slaves:0'), deadlineMs)
  t.same(await outcome('"stored"'), [503, 'outcome is unknown'], 'not even a payload that is no longer fine')
  t.equal((await send('"new"')).statusCode, 400, 'what was never stored needs no confirmation')
  faults.length = 0
  t.same(await outcome('"stored"'), [503, 'outcome is unknown'])
  t.same(await outcome('"new"'), [503, 'was not stored'])
  t.same(await Promise.all([outcome('"stored"'), outcome('"new"'), outcome('"stored"')]), [
    [503, 'outcome is unknown'],
    [503, 'was not stored'],
    [503, 'outcome is unknown'],
  ])
  t.equal(await jobCount(client), 1)

  await client.config('SET', 'min-replicas-to-write', '0')
  await startReplica(t, port, client)
  await eventually('it heals', async () => (await send('"stored"')).statusCode === 202, deadlineMs)
})

t.test('in a Cluster the server that has the keys is asked, not any one', async (t) => {
  const { hosts, nodes } = await startCluster(t)
  const redis = new Cluster(hosts)
  redis.on('error', () => {})
  t.after(() => redis.disconnect())
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'replicated', log })
  const set = defineScript(redis, setScript, durability.confirmed)
  const owner = await redis.set('{jobgate}:x', '1').then(async () => {
    const slot = await redis.cluster('KEYSLOT', '{jobgate}')
    return Promise.all(nodes.map(async ({ port }) => ({ port, count: await connect(t, port).cluster('COUNTKEYSINSLOT', slot) })))
  })
  const rounds = 6
  for (let round = 0; round < rounds; round++) {
    const error = await set(['{jobgate}:x'], [round]).catch((caught: unknown) => caught)
    t.match([classifyRedisError(error), (error as Error).message], ['unknown', /timed out/], 'no replica there')
  }
  for (const { port, count } of owner) {
    const [, calls = '0'] = /cmdstat_wait:calls=(\d+)/.exec(await connect(t, port).info('commandstats')) ?? []
    t.equal(Number(calls), count === 1 ? rounds : 0)
  }
})

t.test('in a Cluster whose slot is on its way to another server', async (t) => {
  const { hosts, nodes } = await startCluster(t, { replicas: true })
  const redis = new Cluster(hosts)
  redis.on('error', () => {})
  t.after(() => redis.disconnect())
  const durability = openDurability({ redis, key: '{jobgate}', durability: 'replicated', log })
  const set = defineScript(redis, setScript, durability.confirmed)
  // It may have come a moment ago.
  await eventually(
    'the replica of the owner has it',
    async () => (await set(['{jobgate}:here'], ['1']).catch(() => null)) === 'OK',
    deadlineMs,
  )

  const slot = await redis.cluster('KEYSLOT', '{jobgate}')
  const servers = nodes.map(({ port }) => connect(t, port))
  const states = await Promise.all(
    servers.map(async (client) => ({
      client,
      id: await client.cluster('MYID'),
      isMaster: (await client.info('replication')).includes('role:master'),
      holds: await client.cluster('COUNTKEYSINSLOT', slot),
    })),
  )
  const owner = states.find(({ isMaster, holds }) => isMaster && holds > 0) as (typeof states)[0]
  const heir = states.find(({ isMaster, holds }) => isMaster && holds === 0) as (typeof states)[0]
  await heir.client.cluster('SETSLOT', slot, 'IMPORTING', owner.id)
  await owner.client.cluster('SETSLOT', slot, 'MIGRATING', heir.id)
  const error = await set(['{jobgate}:new'], ['1']).catch((caught: unknown) => caught)
  t.equal(await heir.client.cluster('COUNTKEYSINSLOT', slot), 1, 'the heir has got it')
  t.match([classifyRedisError(error), String(error)], ['unknown', /a different connection/], 'and the owner cannot confirm it')
})
