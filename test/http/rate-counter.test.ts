// The counter under the rate limit, on a real Redis: local at once, shared a moment later, alone when Redis fails.

import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { createRateCounter } from '../../src/http/limits/rate-counter.js'
import { openRedis, type RedisClient } from '../../src/redis/connect.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

const log = pino({ level: 'silent' })
const { redis, settings, socketPath } = await startRedis(t)
const watcher = redis.connect('worker')
let prefixes = 0

const increments = async () => Number(/cmdstat_incrby:calls=(\d+)/.exec(await watcher.info('commandstats'))?.[1] ?? 0)

/** One instance with a connection of its own and a clock that stands still; `sum` is what Redis counted under its prefix. */
const openInstance = async (t: { after(handler: () => unknown): void }, prefix = `{rate${prefixes++}}`) => {
  const own = await openRedis({ settings: { ...settings, target: { kind: 'url', url: `unix://${socketPath}` } }, log })
  t.after(() => own.close())
  const limiter: RedisClient = own.connect('limiter')
  await eventually('the connection is ready', () => limiter.status === 'ready')
  const clock = { now: 1_000_000_000_250 }
  const counter = createRateCounter({ redis: limiter, keys: createKeys(prefix), windowMs: 1000, now: () => clock.now })
  const sum = async () => {
    const names = (await watcher.keys('*')).filter((name) => name.startsWith(prefix))
    const values = names.length > 0 ? await watcher.mget(...names) : []
    return values.reduce((total, value) => total + Number(value), 0)
  }
  return { counter, clock, limiter, prefix, sum }
}

t.test('counts at once, and tells what is left of the window', async (t) => {
  const { counter, clock } = await openInstance(t)
  t.same(counter.add('key:a', 10), { total: 1, leftMs: 750 })
  t.same(counter.add('key:a', 10), { total: 2, leftMs: 750 })
  t.same(counter.read('key:a'), { total: 2, leftMs: 750 })
  t.same(counter.read('key:b'), { total: 0, leftMs: 750 })
  clock.now += 750
  t.same(counter.add('key:a', 10), { total: 1, leftMs: 1000 }, 'a new window')
})

t.test('what comes in one turn of the event loop goes to Redis in one INCRBY', async (t) => {
  const { counter, sum } = await openInstance(t)
  const before = await increments()
  for (let request = 0; request < 50; request++) counter.add('key:a', 100)
  await eventually('Redis has all', async () => (await sum()) === 50)
  t.equal(await increments(), before + 1)
  t.equal(counter.read('key:a').total, 50, 'and nothing is counted twice')
})

t.test('above the limit nothing is counted nor sent any more', async (t) => {
  const { counter, sum } = await openInstance(t)
  for (let request = 0; request < 50; request++) counter.add('key:a', 3)
  await eventually('Redis has the first refusal too', async () => (await sum()) === 4)
  const before = await increments()
  t.equal(counter.add('key:a', 3).total, 4)
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(await increments(), before)
})

t.test('names and lives of the keys: a digest, gone after two windows', async (t) => {
  const { counter, prefix, sum } = await openInstance(t)
  counter.add('address:192.0.2.7', 3)
  await eventually('Redis has it', async () => (await sum()) === 1)
  const [name = ''] = (await watcher.keys('*')).filter((each) => each.startsWith(prefix))
  t.match(name, /:rate:[0-9a-f]{32}:1000000000$/)
  const ttl = await watcher.pttl(name)
  t.ok(ttl > 0 && ttl <= 2000, `ttl ${ttl}`)
})

t.test('two instances add up', async (t) => {
  const one = await openInstance(t)
  const other = await openInstance(t, one.prefix)
  for (let request = 0; request < 6; request++) one.counter.add('key:a', 10)
  await eventually('Redis has the first', async () => (await one.sum()) === 6)
  t.equal(other.counter.add('key:a', 10).total, 1, 'the other has not heard of them yet')
  await eventually('the answer to its first report tells it', () => other.counter.read('key:a').total === 7)
  for (let request = 0; request < 3; request++) other.counter.add('key:a', 10)
  t.equal(other.counter.add('key:a', 10).total, 11, 'refused at the common limit')
  await eventually('and the first hears of it with its next report', () => one.counter.add('key:a', 10).total > 10)
})

t.test('without Redis each counts alone, and reports when it is back', async (t) => {
  const { counter, limiter, sum } = await openInstance(t)
  const ended = once(limiter, 'end')
  limiter.disconnect()
  await ended
  for (let request = 0; request < 5; request++) counter.add('key:a', 10)
  t.equal(counter.read('key:a').total, 5)
  t.equal(await sum(), 0)
  limiter.connect().catch(t.error)
  await once(limiter, 'ready')
  t.equal(counter.add('key:a', 10).total, 6)
  await eventually('Redis has what was missed', async () => (await sum()) === 6)
  t.equal(counter.read('key:a').total, 6)
})

t.test('what Redis refuses is kept for the next report', async (t) => {
  const { counter, sum } = await openInstance(t)
  await watcher.config('SET', 'maxmemory', '1')
  counter.add('key:a', 10)
  const before = await increments()
  await eventually('Redis was asked', async () => /errorstat_OOM/.test(await watcher.info('errorstats')))
  t.equal(counter.read('key:a').total, 1)
  await watcher.config('SET', 'maxmemory', '0')
  t.equal(await increments(), before)
  await eventually('a later report is accepted', async () => {
    counter.add('key:b', 1)
    counter.add('key:a', 10)
    return (await sum()) > 0
  })
  await eventually('nothing got lost', async () => (await sum()) === counter.read('key:a').total + counter.read('key:b').total)
})

t.test('a Redis that hangs delays nothing and is not counted on', async (t) => {
  const { counter, sum, clock } = await openInstance(t)
  counter.add('key:a', 100)
  await eventually('Redis has the first', async () => (await sum()) === 1)
  await watcher.client('PAUSE', 10_000, 'WRITE')
  for (let request = 2; request <= 20; request++) t.equal(counter.add('key:a', 100).total, request)
  // The report is given up after the command timeout of the connection, and what it held stays counted here.
  await new Promise<void>((resolve) => setImmediate(resolve))
  t.equal(counter.read('key:a').total, 20)
  await watcher.client('UNPAUSE')
  clock.now += 1000
  t.equal(counter.add('key:a', 100).total, 1, 'the next window starts from nothing')
})

t.test('addresses beyond the bound share one count; keys never do', async (t) => {
  const { counter } = await openInstance(t)
  for (let address = 0; address < 20_000; address++) counter.add(`address:${address}`, 5)
  t.equal(counter.add('address:new', 5).total, 1)
  t.equal(counter.add('address:newer', 5).total, 2)
  t.equal(counter.read('address:newest').total, 2)
  t.equal(counter.add('address:7', 5).total, 2, 'a known one keeps its own')
  t.equal(counter.add('key:a', 5).total, 1)
  t.equal(counter.add('key:b', 5).total, 1)
})

t.end()
