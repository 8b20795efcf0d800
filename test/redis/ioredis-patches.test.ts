// Commands that are sent again when their answer was lost: what comes of the last sending is not taken for what came of the first.

import { once } from 'node:events'
import { Redis } from 'ioredis'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { openRedis } from '../../src/redis/connect.js'
import { afterSends, classifyRedisError } from '../../src/redis/failures.js'
import { defineScript } from '../../src/redis/script.js'
import { buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startProxiedCluster } from '../helpers/redis-clusters.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'
import { startRedis } from '../helpers/start-redis.js'

const failure = async (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  )

const setUp = async (t: Test) => {
  const { redis, settings, socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const target = { kind: 'host', host: '127.0.0.1', port: proxy.port } as const
  const throughProxy = await openRedis({ settings: { ...settings, target }, log: pino({ level: 'silent' }) })
  t.after(() => throughProxy.close())
  const client = throughProxy.request as Redis
  await once(client, 'ready')
  return { proxy, client, direct: redis.connect('worker') as Redis }
}

t.test('refused when it was sent again: unknown, since the first sending was carried out', async (t) => {
  const { proxy, client, direct } = await setUp(t)
  const increment = defineScript<number>(client, "return redis.call('INCR', KEYS[1])")
  const kinds: Record<string, (key: string) => Promise<unknown>> = {
    'a command': (key) => client.incr(key),
    'a script': (key) => increment([key], []),
    'a command of a pipeline': async (key) => {
      const [[error] = []] = (await client.pipeline().incr(key).exec()) ?? []
      if (error) throw error
    },
    'a transaction': (key) => client.multi().incr(key).exec(),
  }
  for (const [kind, send] of Object.entries(kinds)) {
    await t.test(kind, async (t) => {
      const key = `{a}${kind}`
      proxy.swallowReplies(true)
      const sent = failure(send(key))
      await eventually('it is carried out', async () => (await direct.get(key)) === '1')
      await direct.config('SET', 'min-replicas-to-write', '1')
      proxy.swallowReplies(false)
      proxy.cut()
      const error = await sent
      t.match(error.message, /^Not confirmed by Redis: (?:NOREPLICAS|EXECABORT)/)
      t.equal(classifyRedisError(error), 'unknown')

      await eventually('it is connected again', async () => client.status === 'ready')
      const once = await failure(send(key))
      t.match(once.message, /^(?:NOREPLICAS|EXECABORT)/)
      t.equal(classifyRedisError(once), 'refused', 'what was sent once is refused as before')
      t.equal(await direct.get(key), '1')
      await direct.config('SET', 'min-replicas-to-write', '0')
    })
  }
})

t.test('sent again and answered is answered', async (t) => {
  const { proxy, client, direct } = await setUp(t)
  proxy.swallowReplies(true)
  const sent = client.incr('n')
  await eventually('it is carried out', async () => (await direct.get('n')) === '1')
  proxy.swallowReplies(false)
  proxy.cut()
  t.equal(await sent, 2)
})

t.test('what an error says, by how often it was sent', async (t) => {
  const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' })
  const table: [Error, number, ReturnType<typeof classifyRedisError>][] = [
    [reply('OOM command not allowed'), 1, 'refused'],
    [reply('OOM command not allowed'), 2, 'unknown'],
    [reply('WRONGTYPE Operation against a key'), 1, null],
    [reply('WRONGTYPE Operation against a key'), 2, 'unknown'],
    [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 0, 'refused'],
    [new Error("Stream isn't writeable and enableOfflineQueue options is false"), 1, 'unknown'],
    [new Error("Cluster isn't ready and enableOfflineQueue options is false"), 0, 'refused'],
    [new Error("Cluster isn't ready and enableOfflineQueue options is false"), 1, 'unknown'],
    [new Error('Command timed out'), 1, 'unknown'],
    [new TypeError('x is not a function'), 1, null],
  ]
  for (const [error, sends, outcome] of table) {
    t.equal(classifyRedisError(afterSends(error, sends)), outcome, `${error.message}, ${sends} times`)
  }
  for (const text of ['MOVED 1 127.0.0.1:1', 'ASK 1 127.0.0.1:1', 'TRYAGAIN Multiple keys', 'NOSCRIPT No matching script']) {
    t.equal(afterSends(reply(text), 2).message, text, 'ioredis sends it another way')
  }
})

t.test('a Cluster that is lost with the answer of a submission', async (t) => {
  const { nodes, proxies, hosts } = await startProxiedCluster(t)
  const env = { REDIS_CLUSTER_NODES: hosts.map(({ host, port }) => `${host}:${port}`).join(), WORKERS_ENABLED: 'false' }
  const { submit } = await buildTestApp(t, { env })
  const clients = nodes.map(({ port }) => new Redis({ host: '127.0.0.1', port }))
  t.after(() => {
    for (const client of clients) client.disconnect()
  })
  const jobCount = async () => (await Promise.all(clients.map((client) => client.keys('{jobgate}:external-api:ext_*')))).flat().length

  t.equal((await submit({ type: 'echo', data: { label: 'before' } })).statusCode, 202)
  for (const proxy of proxies) proxy.swallowReplies(true)
  const send = () => submit({ type: 'echo', data: { label: 'lost' } }, { 'idempotency-key': '"lost"' })
  const lost = send()
  await eventually('it is stored', async () => (await jobCount()) === 2)
  for (const proxy of proxies) proxy.accept(false)
  for (const proxy of proxies) proxy.cut()
  const answer = await lost
  t.match([answer.statusCode, answer.json().detail], [503, /outcome is unknown/])

  const never = await submit({ type: 'echo', data: { label: 'never' } })
  t.match([never.statusCode, never.json().detail], [503, /was not stored/], 'what was never sent is refused as before')

  for (const proxy of proxies) {
    proxy.swallowReplies(false)
    proxy.accept(true)
  }
  let again = await send()
  await eventually('it heals', async () => {
    if (again.statusCode !== 202) again = await send()
    return again.statusCode === 202
  })
  t.equal(again.headers['idempotent-replayed'], 'true')
  t.equal(await jobCount(), 2)
})
