// Connections by role: how soon they give up, how they heal, what they log.

import { once } from 'node:events'
import type { Redis } from 'ioredis'
import pino from 'pino'
import t from 'tap'
import type { RedisSettings, RedisTarget } from '../../src/config/config.js'
import { openRedis } from '../../src/redis/connect.js'
import { eventually } from '../helpers/eventually.js'
import { freePorts, startServer } from '../helpers/redis-clusters.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'
import { startRedis, type TestScope } from '../helpers/start-redis.js'

interface Line {
  level: number
  msg: string
  error?: string
  unlogged?: number
  policy?: string
  version?: string
}

const open = async (t: TestScope, target: RedisTarget, more: Partial<RedisSettings> = {}) => {
  const lines: Line[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const redis = await openRedis({ settings: { target, db: 0, tls: false, prefix: '{jobgate}', ...more }, log })
  t.after(() => redis.close())
  return { redis, lines }
}

const outcome = async (promise: Promise<unknown>) => {
  const started = Date.now()
  const error = await promise.then(
    () => null,
    (reason: Error) => reason,
  )
  return { error, tookMs: Date.now() - started }
}

t.test('a Redis that cannot be reached is no reason not to open', async (t) => {
  const [port = 0] = await freePorts(1)
  const { redis, lines } = await open(t, { kind: 'host', host: '127.0.0.1', port })
  const refused = await outcome(redis.request.set('a', '1'))
  t.match(refused.error?.message, /^Stream isn't writeable/)
  t.match((await outcome(redis.connect('limiter').incr('a'))).error?.message, /^Stream isn't writeable/)

  const patient = redis.connect('worker').set('patient', 'yes')
  await eventually('the loss is logged', () => lines.some((line) => line.msg === 'redis connection error'))
  await startServer(t, { port })
  t.equal(await patient, 'OK', 'a worker waits as long as it takes')
  await eventually('the request side has healed', () => redis.request.ping().then(Boolean, () => false))
})

t.test('a hung Redis is given up within the deadline, left, and found again', async (t) => {
  const { socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const { redis, lines } = await open(t, { kind: 'url', url: `unix://${proxy.path}` })
  const client = redis.request as Redis
  await once(client, 'ready')
  proxy.swallowReplies(true)
  const hung = await Promise.all(Array.from({ length: 5 }, (_, index) => outcome(client.set(`k${index}`, '1'))))
  for (const { error } of hung) t.equal(error?.message, 'Command timed out')
  await eventually('the connection is left', () => client.status !== 'ready')
  t.match(lines.find((line) => line.msg === 'redis connection error')?.error, /^Socket timeout/)
  proxy.swallowReplies(false)
  await eventually('a new one is made', () => client.ping().then(Boolean, () => false))
})

t.test('an answer that comes late does not tear an idle or waiting connection down', async (t) => {
  const { socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const { redis } = await open(t, { kind: 'host', host: '127.0.0.1', port: proxy.port })
  const worker = redis.connect('worker') as Redis
  let closes = 0
  worker.on('close', () => closes++)
  t.equal(await worker.blpop('nothing', 2), null, 'a blocking read outlasts the deadline of a request')
  proxy.delay(1200)
  t.equal(await worker.ping(), 'PONG')
  t.equal(closes, 0)
})

t.test('errors are logged seldom, and never with a password', async (t) => {
  const { socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  proxy.accept(false)
  const url = `redis://someone:canary%2Dsecret@127.0.0.1:${proxy.port}/0`
  const { redis, lines } = await open(t, { kind: 'url', url })
  const client = redis.request as Redis
  let errors = 0
  client.on('error', () => errors++)
  const begun = Date.now()
  await eventually('many errors', () => errors >= 5)
  const logged = () => lines.filter((line) => line.msg === 'redis connection error')
  const logsMost = () => 1 + Math.floor((Date.now() - begun) / 5000)
  t.ok(logged().length > 0)
  t.ok(logged().length <= logsMost(), `${logged().length} lines`)

  client.emit('error', new Error('one more'))
  t.ok(logged().length <= logsMost(), `${logged().length} lines`)
  const old = redis.connect('request') as Redis
  old.emit('error', new Error("ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'someone' 'canary-secret'"))
  const last = logged().at(-1)
  t.match(last?.error, /'someone' '\*\*\*'$/)
  t.notMatch(JSON.stringify(lines), 'canary')
})

t.test('the options of a role cannot be undone by the query of an address', async (t) => {
  const { socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const { redis } = await open(t, { kind: 'url', url: `redis://127.0.0.1:${proxy.port}/3?enableOfflineQueue=true&commandTimeout=60000` })
  const { options } = redis.request as Redis
  t.equal(options.enableOfflineQueue, false)
  t.equal(options.commandTimeout, 1000)
  t.equal(options.db, 3)
})

t.test('a server that may evict jobs is reported at every connection', async (t) => {
  const [port = 0] = await freePorts(1)
  await startServer(t, { port, lines: ['maxmemory-policy allkeys-lru'] })
  const { redis, lines } = await open(t, { kind: 'host', host: '127.0.0.1', port })
  const client = redis.request as Redis
  const reports = () => lines.filter((line) => line.policy === 'allkeys-lru')
  await eventually('a report', () => reports().length === 1)
  t.equal(reports()[0]?.level, 50)
  client.disconnect(true)
  await eventually('another one', () => reports().length === 2)
  t.notOk(
    lines.some((line) => line.version),
    'its version is fine',
  )
})

t.test('a sound server is not reported; close ends every connection, and twice does no harm', async (t) => {
  const { socketPath } = await startRedis(t)
  const { redis, lines } = await open(t, { kind: 'url', url: `unix://${socketPath}` })
  await once(redis.request, 'ready')
  t.equal(redis.request, redis.request, 'one connection is shared')
  const worker = redis.connect('worker')
  t.not(worker, redis.request)
  t.equal(await worker.ping(), 'PONG')
  t.equal(await redis.request.ping(), 'PONG')
  await redis.close()
  await redis.close()
  t.equal(worker.status, 'end')
  t.same(
    lines.filter((line) => line.level >= 40),
    [],
  )
})
