// What a failed command means: real errors of real servers and connections, sorted into refused, unknown and neither.

import { once } from 'node:events'
import { Redis } from 'ioredis'
import t from 'tap'
import { classifyRedisError } from '../../src/redis/failures.js'
import { eventually } from '../helpers/eventually.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'
import { patience, startRedis } from '../helpers/start-redis.js'

const failure = async (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('it did not fail'),
    (error: Error) => error,
  )

t.test('what the server refuses is refused', async (t) => {
  const { redis, socketPath } = await startRedis(t)
  const client = redis.connect('worker') as Redis

  await client.config('SET', 'maxmemory', '1')
  const full = await failure(client.set('a', 'b'))
  t.match(full.message, /^OOM/)
  t.equal(classifyRedisError(full), 'refused')
  const inScript = await failure(client.eval("return redis.call('set', KEYS[1], 'b')", 1, 'a'))
  t.match(inScript.message, /OOM/)
  t.equal(classifyRedisError(inScript), 'refused', 'also inside a script')
  await client
    .multi()
    .set('a', 'b')
    .exec()
    .then(
      () => t.fail('it did not fail'),
      (error: Error) => t.equal(classifyRedisError(error), 'refused', error.message),
    )
  await client.config('SET', 'maxmemory', '0')

  await client.config('SET', 'min-replicas-to-write', '1')
  t.equal(classifyRedisError(await failure(client.set('a', 'b'))), 'refused', 'NOREPLICAS')
  await client.config('SET', 'min-replicas-to-write', '0')

  await client.replicaof('127.0.0.1', '1')
  t.equal(classifyRedisError(await failure(client.set('a', 'b'))), 'refused', 'READONLY')
  await client.replicaof('NO', 'ONE')

  t.equal(classifyRedisError(await failure(client.evalsha('0'.repeat(40), 0))), 'refused', 'NOSCRIPT')

  await client.config('SET', 'busy-reply-threshold', '1')
  const other = new Redis({ path: socketPath, retryStrategy: () => null })
  t.after(() => other.disconnect())
  await other.ping()
  const looping = failure(client.eval('while true do end', 0))
  let busy = ''
  await eventually('the server is busy', async () => {
    const error = await failure(other.get('a'))
    if (classifyRedisError(error) === 'refused') busy = error.message
    return busy !== ''
  })
  t.match(busy, /^BUSY/)
  await other.script('KILL')
  await looping

  await client.config('SET', 'requirepass', 'a-password')
  const stranger = new Redis({ path: socketPath, retryStrategy: () => null, enableReadyCheck: false })
  stranger.on('error', () => {})
  t.after(() => stranger.disconnect())
  const unknown = await failure(stranger.get('a'))
  t.match(unknown.message, /NOAUTH/)
  t.equal(classifyRedisError(unknown), 'refused')
})

t.test('what was not sent is refused, what was sent and not answered is unknown', async (t) => {
  const { redis, settings, socketPath } = await startRedis(t)
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const { openRedis } = await import('../../src/redis/connect.js')
  const { pino } = await import('pino')
  const target = { kind: 'host', host: '127.0.0.1', port: proxy.port } as const
  const open = async (patience: number) => {
    const connections = await openRedis({ settings: { ...settings, target, patience }, log: pino({ level: 'silent' }) })
    t.after(() => connections.close())
    await once(connections.request, 'ready')
    return connections.request
  }
  const hasty = await open(1)
  const client = await open(patience)

  proxy.swallowReplies(true)
  t.equal(classifyRedisError(await failure(hasty.set('swallowed', '1'))), 'unknown', 'timed out')
  t.equal(await redis.connect('worker').get('swallowed'), '1', 'and rightly so: it was written')

  const cut = failure(client.set('cut', '1'))
  proxy.accept(false)
  proxy.cut()
  t.equal(classifyRedisError(await cut), 'unknown', 'cut off while waiting')
  t.equal(classifyRedisError(await failure(client.set('never', '1'))), 'refused', 'not connected')
  t.equal(await redis.connect('worker').get('never'), null)

  proxy.swallowReplies(false)
  proxy.accept(true)
  await eventually('the connection has healed', () => client.set('healed', '1').then(Boolean, () => false))
})

t.test('errors by their words', async (t) => {
  const named = (name: string, message: string) => Object.assign(new Error(message), { name })
  const coded = (code: string) => Object.assign(new Error(`connect ${code}`), { code })
  const table: [unknown, ReturnType<typeof classifyRedisError>][] = [
    [new Error('LOADING Redis is loading the dataset in memory'), 'refused'],
    [new Error('MISCONF Errors writing to the AOF file: No space left on device'), 'refused'],
    [new Error('MASTERDOWN Link with MASTER is down'), 'refused'],
    [new Error('CLUSTERDOWN The cluster is down'), 'refused'],
    [new Error('ERR max number of clients reached'), 'refused'],
    [
      new Error(
        "ERR Error running script (call to f_1): @user_script:8: @user_script: 8: -OOM command not allowed when used memory > 'maxmemory'.",
      ),
      'refused',
    ],
    [new Error("Cluster isn't ready and enableOfflineQueue options is false"), 'refused'],
    [new Error('None of startup nodes is available'), 'refused'],
    [new Error('Connection is closed.'), 'unknown'],
    [new Error("Socket timeout. Expecting data, but didn't receive any in 1500ms."), 'unknown'],
    [new Error('Too many Cluster redirections. Last error: Error: Connection is closed.'), 'unknown'],
    [named('MaxRetriesPerRequestError', 'Reached the max retries per request limit (which is 1).'), 'unknown'],
    [named('AbortError', 'Command aborted due to connection close'), 'unknown'],
    [named('ClusterAllFailedError', 'Failed to refresh slots cache.'), 'unknown'],
    [coded('ECONNRESET'), 'unknown'],
    [coded('ENOENT'), 'unknown'],
    [new Error('WRONGTYPE Operation against a key holding the wrong kind of value'), null],
    [new Error('ERR syntax error'), null],
    [new Error('BUSYGROUP Consumer Group name already exists'), null],
    [new TypeError('x is not a function'), null],
    ['OOM', null],
    [undefined, null],
  ]
  for (const [error, outcome] of table) t.equal(classifyRedisError(error), outcome, String(error))
})
