// Rows 4, 5, 8 and 13: the gateway dies, loses replies, starts too early, or is told to stop.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import type { RunLine } from '../../helpers/run-log.js'
import { adminKey, untilReady } from '../../helpers/start-probe-process.js'
import { until } from '../../helpers/until.js'
import type { Send } from '../history.js'
import { openRedisServer } from '../redis-server.js'
import { startTrickle } from '../trickle.js'
import { type Row, recoveryLimitMs } from '../world.js'

const inFlight = 32
const readers = 8
/** From the exit of a process until another one has started what was handed back. */
const handBackMs = 3000

const gatewayKilled: Row = {
  id: '4',
  fault: 'gateway SIGKILL with submissions in flight',
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const proxy = await startRedisProxy(world.scope, { target: { port: redis.port } })
    await world.worker({ REDIS_URL: redis.url })
    const left: Send[] = []
    for (let kill = 0; kill < (world.short ? 2 : 4); kill++) {
      // Through the proxy, whose delay holds answers back while their jobs are stored already.
      const gateway = await world.gateway({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` })
      proxy.delay(random.pick([0, 5, 30]))
      const load = world.startLoad({ url: () => gateway.url, senders: inFlight, pauseMs: 0, name: `kill${kill}-` })
      await pause(random.between(50, 800))
      await gateway.kill()
      await load.stop()
      proxy.delay(0)
      left.push(...load.left)
    }
    const next = await world.gateway({ REDIS_URL: redis.url })
    await world.sendAgain(next.url, left)
    const answered = history.calls.filter(({ status }) => status === null).length
    world.note(`${answered} calls had no answer`)
    await world.conclude(redis.client)
  },
}

const repliesSwallowed: Row = {
  id: '5',
  fault: '15 cuts: replies swallowed, then RST, 32 in flight',
  short: true,
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const proxy = await startRedisProxy(world.scope, { target: { port: redis.port } })
    const [gateway] = await Promise.all([
      world.gateway({ REDIS_URL: `redis://127.0.0.1:${proxy.port}` }),
      world.worker({ REDIS_URL: redis.url }),
    ])
    const read = async (id: string): Promise<number> => {
      const answer = await fetch(`${gateway.url}/v1/jobs/${id}`, {
        headers: { authorization: `Bearer ${adminKey}` },
        signal: AbortSignal.timeout(10_000),
      })
      const body = (await answer.json()) as { id?: string; status?: number }
      const isProblem = answer.headers.get('content-type')?.startsWith('application/problem+json') && body.status === 503
      const holds = answer.status === 200 ? body.id === id : answer.status === 503 && isProblem && answer.headers.has('retry-after')
      world.check(`a read was answered with ${answer.status} ${JSON.stringify(body)}`, holds === true)
      return answer.status
    }
    const left: Send[] = []
    const reads = new Map<number, number>()
    await history.submit(gateway.url, { key: 'first' })
    for (let cut = 0; cut < (world.short ? 5 : 15); cut++) {
      const sends = Array.from({ length: inFlight }, (_, index) => ({ key: `cut${cut}-${index}` }))
      const known = history.calls.filter(({ id }) => id !== null).at(-1)?.id as string
      proxy.swallowReplies(true)
      const calls = Promise.all(sends.map((send) => history.submit(gateway.url, send)))
      const reading = Promise.all(Array.from({ length: readers }, () => read(known)))
      await pause(random.between(0, 60))
      proxy.cut()
      // Sometimes the new connection is swallowed and cut as well.
      if (random.chance(0.3)) {
        await pause(random.between(50, 300))
        proxy.cut()
      }
      proxy.swallowReplies(false)
      for (const [index, { outcome }] of (await calls).entries()) if (outcome !== 'ok') left.push(sends[index] as Send)
      for (const status of await reading) reads.set(status, (reads.get(status) ?? 0) + 1)
      await untilReady(gateway.url)
      // `/readyz` may repeat for a second what it found before the cut.
      await until('a read is answered with 200 after the cut', async () => (await read(known)) === 200)
    }
    await world.sendAgain(gateway.url, left)
    const counts = [...reads].map(([status, count]) => `${count} with ${status}`).join(', ')
    world.note(`reads answered: ${counts}; slowest call ${world.slowest(0)} ms`)
    await world.conclude(redis.client)
  },
}

const bootWithoutRedis: Row = {
  id: '8',
  fault: 'boot without Redis',
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope, { started: false })
    const env = { REDIS_URL: redis.url }
    const gateway = await world.unreadyGateway({ ...env, WORKERS_ENABLED: 'true' })
    const status = async (path: string) => {
      const answer = await fetch(gateway.url + path)
      await answer.body?.cancel()
      return answer.status
    }
    world.check('/livez is not 200', (await status('/livez')) === 200)
    world.check('/readyz is not 503', (await status('/readyz')) === 503)
    const sends = Array.from({ length: 20 }, (_, index) => ({ key: `early${index}` }))
    const began = Date.now()
    for (const send of sends) {
      const call = await history.submit(gateway.url, send)
      world.check(`${send.key} was answered with ${call.status}`, call.status === 503)
    }
    world.note(`slowest 503 ${world.slowest(began)} ms`)
    await pause(random.between(0, 2000))
    await redis.start()
    const healed = await until(
      'a submission is accepted',
      async () => (await history.submit(gateway.url, { key: 'first' })).outcome === 'ok',
    )
    world.note(`accepted ${healed} ms after Redis`)
    world.check(`it took ${healed} ms to heal`, healed <= recoveryLimitMs)
    await untilReady(gateway.url)
    await world.sendAgain(gateway.url, sends)
    await world.conclude(redis.client)
  },
}

const gatewayStops: Row = {
  id: '13',
  fault: 'gateway SIGTERM under load, jobs running',
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    // A lease that is not given back lasts much longer than one that is.
    const env = { REDIS_URL: redis.url, SHUTDOWN_DRAIN_MS: '500', SHUTDOWN_GRACE_MS: '1000', WORKER_LOCK_MS: '60000' }
    const deadlineMs = 500 + 1000 + 1000 + 3000
    const stays = await world.gateway({ ...env, WORKERS_ENABLED: 'true' })
    const left: Send[] = []
    for (let stop = 0; stop < (world.short ? 1 : 2); stop++) {
      const goes = await world.gateway({ ...env, WORKERS_ENABLED: 'true' })
      // Handlers that end, that obey the signal, and that ignore it; so many that some are on either side.
      const held = Array.from({ length: 9 }, (_, index) => ({ type: index % 3 === 2 ? 'stubborn' : 'block', key: `held${stop}-${index}` }))
      for (const send of held) await history.submit(stays.url, send)
      for (const { key } of held) await world.runs.started(key)
      const before = history.calls.length
      const load = world.startLoad({ url: () => goes.url, senders: 8, pauseMs: 2, name: `stop${stop}-` })
      const trickle = await startTrickle(world, { url: goes.url, name: `line${stop}-` })
      await pause(random.between(200, 1200))
      const began = Date.now()
      // A job that a stopping worker hands back runs again: it gave its lease up.
      const settled = world.loseLeases(goes.pid)
      const exit = goes.close()
      await pause(100)
      const [first] = held as [Send]
      goes.release(first.key)
      stays.release(first.key)
      const code = await exit
      settled()
      const took = Date.now() - began
      await load.stop()
      const imported = await trickle.over
      world.check(`it ended with ${code}`, code === 0)
      world.check(`it took ${took} ms to stop`, took <= deadlineMs)
      const broken = history.calls.slice(before).filter(({ status, outcome }) => status === null && outcome === 'unknown')
      const handedBack = (await Promise.all(held.slice(1).map(({ key }) => world.runs.starts(key))))
        .map(([start]) => start as RunLine)
        .filter(({ pid }) => pid === goes.pid)
      const exited = Date.now()
      for (const { label } of handedBack) {
        const again = async () => (await world.runs.starts(label)).length === 2
        await until(`${label} runs again`, again, handBackMs).catch((error: Error) => world.check(error.message, false))
      }
      world.note(
        `stopped in ${took} ms, ${broken.length} calls ended without an answer; ${handedBack.length} jobs handed back, all running ${Date.now() - exited} ms later; ` +
          `import answered with ${imported.status}: ${imported.accepted} of ${imported.sent} lines accepted`,
      )
      for (const { key } of held.slice(1)) stays.release(key)
      left.push(...load.left, ...imported.left)
    }
    await world.sendAgain(stays.url, left)
    await world.conclude(redis.client)
  },
}

export const gatewayRows: readonly Row[] = [gatewayKilled, repliesSwallowed, bootWithoutRedis, gatewayStops]
