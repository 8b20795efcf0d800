// Rows 6, 7 and 11: Redis dies, hangs, falls silent, or refuses.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import { until } from '../../helpers/until.js'
import { holdJobs, mostlyHeld } from '../held-jobs.js'
import { type FaultyRedis, openRedisServer } from '../redis-server.js'
import { type Row, recoveryLimitMs, type World } from '../world.js'

/** A job that was handed out while Redis went may be started this long after it is back, on a lease that is over. */
const leaseMarginMs = 1000
/** What one gateway may log while Redis refuses or is away. */
const logLinesMax = 200

const redisKilled = (appendfsync: 'always' | 'everysec'): Row => ({
  id: appendfsync === 'always' ? '6a' : '6b',
  fault: `Redis SIGKILL and restart, appendfsync ${appendfsync}`,
  short: appendfsync === 'everysec',
  async run(world) {
    const redis = await openRedisServer(world.scope, { appendfsync })
    const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '2000', WORKER_STALLED_INTERVAL_MS: '1000' }
    const gateway = await world.gateway({ ...env, WORKERS_ENABLED: 'true' })
    const release = await holdJobs(world, gateway.url)
    const load = world.startLoad({ url: () => gateway.url, senders: 32, pauseMs: 25, typeOf: mostlyHeld })
    for (let kill = 0; kill < (world.short ? 1 : 3); kill++) {
      await pause(world.random.between(700, 2000))
      const settled = world.loseLeases()
      await redis.kill()
      await pause(world.random.between(0, 1500))
      await redis.start()
      settled(leaseMarginMs)
    }
    await pause(1500)
    await load.stop()
    await world.sendAgain(gateway.url, load.left)
    await release()
    await world.conclude(redis.client)
  },
})

/** Those that the worker, which has no proxy, does not notice. */
const besideWorker = new Set<string>(['silent', 'refusing'])

/** The ways of Redis to be away; each returns how it comes back. */
const absences = (redis: FaultyRedis, proxy: Awaited<ReturnType<typeof startRedisProxy>>) => ({
  killed: async () => {
    await redis.kill()
    return redis.start
  },
  hung: async () => {
    redis.hang()
    return async () => void redis.wake()
  },
  silent: async () => {
    proxy.swallowReplies(true)
    return async () => {
      // What was swallowed never comes: the connection is of no use any more.
      proxy.cut()
      proxy.swallowReplies(false)
    }
  },
  refusing: async () => {
    proxy.accept(false)
    proxy.cut()
    return async () => proxy.accept(true)
  },
})

const redisAway: Row = {
  id: '7',
  fault: 'Redis killed, hung, silent, refusing connections',
  short: true,
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const proxy = await startRedisProxy(world.scope, { target: { port: redis.port } })
    const [gateway] = await Promise.all([
      world.gateway({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` }),
      world.worker({ REDIS_URL: redis.url, WORKER_LOCK_MS: '2000', WORKER_STALLED_INTERVAL_MS: '1000' }),
    ])
    const load = world.startLoad({ url: () => gateway.url, senders: 8, pauseMs: 10 })
    const ways = absences(redis, proxy)
    const slowest: string[] = []
    for (const name of random.shuffle(Object.keys(ways) as (keyof typeof ways)[])) {
      await pause(random.between(300, 1000))
      const settled = besideWorker.has(name) ? () => {} : world.loseLeases()
      const from = Date.now()
      const comeBack = await ways[name]()
      await pause(random.between(world.short ? 1300 : 2000, world.short ? 1600 : 4000))
      await comeBack()
      const back = Date.now()
      settled(leaseMarginMs)
      const healed = await until(`accepts again after ${name}`, () =>
        history.calls.some(({ start, outcome }) => start >= back && outcome === 'ok'),
      )
      world.check(`it took ${healed} ms to accept again after ${name}`, healed <= recoveryLimitMs)
      const calls = history.calls.filter(({ start, end }) => end >= from && start < back)
      world.check(
        `${name}: no call was answered with 503`,
        calls.some(({ status }) => status === 503),
      )
      slowest.push(`${name}: ${world.slowest(from, back)} ms, back in ${healed} ms`)
    }
    await load.stop()
    await world.sendAgain(gateway.url, load.left)
    world.note(`slowest answers: ${slowest.join('; ')}`)
    await world.conclude(redis.client)
  },
}

/** The ways of Redis to refuse; each returns how it gives in. */
const refusals = (redis: FaultyRedis) => {
  const set = async (name: string, value: string) => {
    await redis.client.config('SET', name, value)
  }
  return {
    OOM: async () => {
      await set('maxmemory', '1')
      return () => set('maxmemory', '0')
    },
    NOREPLICAS: async () => {
      await set('min-replicas-to-write', '1')
      return () => set('min-replicas-to-write', '0')
    },
    READONLY: async () => {
      await redis.client.call('REPLICAOF', '127.0.0.1', '1')
      return async () => void (await redis.client.call('REPLICAOF', 'NO', 'ONE'))
    },
    BUSY: async () => {
      await set('busy-reply-threshold', '50')
      const script = redis.client.duplicate({ maxRetriesPerRequest: 0 })
      script.on('error', () => {})
      const endless = script.eval('while true do end', 0).catch(() => {})
      return async () => {
        await redis.client.call('SCRIPT', 'KILL')
        await endless
        script.disconnect()
        await set('busy-reply-threshold', '5000')
      }
    },
  }
}

const redisRefuses: Row = {
  id: '11',
  fault: 'OOM, NOREPLICAS, READONLY, BUSY',
  short: true,
  async run(world: World) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '2000', WORKER_STALLED_INTERVAL_MS: '1000' }
    const [gateway, worker] = await Promise.all([world.gateway(env), world.worker(env)])
    const load = world.startLoad({ url: () => gateway.url, senders: 8, pauseMs: 10 })
    const ways = refusals(redis)
    const seen: string[] = []
    for (const name of random.shuffle(Object.keys(ways) as (keyof typeof ways)[])) {
      await pause(random.between(300, 1000))
      const settled = world.loseLeases()
      const giveIn = await ways[name]()
      // What was under way when it began is not judged as refused.
      await pause(150)
      const from = Date.now()
      await pause(random.between(1200, 2500))
      const to = Date.now()
      await giveIn()
      const back = Date.now()
      settled(leaseMarginMs)
      const healed = await until(`accepts again after ${name}`, () =>
        history.calls.some(({ start, outcome }) => start >= back && outcome === 'ok'),
      )
      world.check(`it took ${healed} ms to accept again after ${name}`, healed <= recoveryLimitMs)
      const during = history.calls.filter(({ start, end }) => start >= from && end < to)
      world.check(`${name}: no call fell into it`, during.length > 0)
      world.check(
        `${name}: statuses ${[...new Set(during.map(({ status }) => status))]}`,
        during.every(({ status }) => status === 503),
      )
      world.slowest(from, to)
      seen.push(`${name}: ${during.filter(({ outcome }) => outcome === 'refused').length} of ${during.length} refused`)
    }
    await load.stop()
    await world.sendAgain(gateway.url, load.left)
    // One line for a request is its access log, and bounded by the load itself.
    const lines = [...gateway.output, ...worker.output].filter((line) => !line.includes('"msg":"request"'))
    world.note(`${seen.join('; ')}; ${lines.length} lines logged besides those of requests`)
    world.check(`${lines.length} lines were logged: ${commonest(lines)}`, lines.length <= logLinesMax)
    await world.conclude(redis.client)
  },
}

/** The messages that fill a log, with how often each came. */
const commonest = (lines: readonly string[]): string => {
  const counts = new Map<string, number>()
  for (const line of lines) {
    const message = /"msg":"([^"]*)"/.exec(line)?.[1] ?? line.slice(0, 200)
    counts.set(message, (counts.get(message) ?? 0) + 1)
  }
  const first = [...counts].sort(([, a], [, b]) => b - a).slice(0, 5)
  return first.map(([message, count]) => `${count} × ${message}`).join('; ')
}

export const redisRows: readonly Row[] = [redisKilled('always'), redisKilled('everysec'), redisAway, redisRefuses]
