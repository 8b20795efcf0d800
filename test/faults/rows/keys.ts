// Rows 1 to 3: one idempotency key means one job, in parallel, with another payload, and long after the job.

import { adminKey } from '../../helpers/start-probe-process.js'
import { until } from '../../helpers/until.js'
import { openQueue, openRedisServer } from '../redis-server.js'
import type { Row, World } from '../world.js'

/** Two gateways and a worker on one Redis. */
const openPair = async (world: World, env: Record<string, string> = {}) => {
  const redis = await openRedisServer(world.scope)
  // A thousand calls at once are too many for a slow machine, and that is not what is asked here.
  const all = { REDIS_URL: redis.url, MAX_EVENT_LOOP_DELAY_MS: '0', ...env }
  const gateways = await Promise.all([world.gateway(all), world.gateway({ ...all, WORKERS_ENABLED: 'true' })])
  return { redis, urls: gateways.map(({ url }) => url) }
}

const statusesOf = (world: World) => [...new Set(world.history.calls.map(({ status }) => status))]

const sameKey: Row = {
  id: '1',
  fault: '1,000 parallel POSTs, same key, two gateways',
  async run(world) {
    const { redis, urls } = await openPair(world)
    for (let round = 0; round < (world.short ? 1 : 3); round++) {
      await Promise.all(Array.from({ length: 1000 }, () => world.history.submit(world.random.pick(urls), { key: `same${round}` })))
    }
    world.check(
      `statuses ${statusesOf(world)}`,
      statusesOf(world).every((status) => status === 202 || status === 409),
    )
    await world.conclude(redis.client)
  },
}

const otherBody: Row = {
  id: '2',
  fault: 'same key, other body, racing',
  async run(world) {
    const { redis, urls } = await openPair(world)
    const { random } = world
    const keys = Array.from({ length: world.short ? 60 : 200 }, (_, index) => `key${index}`)
    const sends = random.shuffle(keys.flatMap((key) => ['a', 'b', 'a', 'b', 'c'].map((letter) => ({ key, label: `${key}${letter}` }))))
    await Promise.all(sends.map((send) => world.history.submit(random.pick(urls), send)))
    world.check(
      `statuses ${statusesOf(world)}`,
      statusesOf(world).every((status) => status === 202 || status === 422),
    )
    for (const key of keys) {
      const winners = new Set(world.history.calls.filter((call) => call.key === key && call.outcome === 'ok').map(({ label }) => label))
      world.check(`${key} was accepted with ${winners.size} payloads`, winners.size === 1)
    }
    await world.conclude(redis.client)
  },
}

const replays: Row = {
  id: '3',
  fault: 'replay after completion, eviction, clean, cancel',
  async run(world) {
    const { history, random, removed, mayFail } = world
    const { redis, urls } = await openPair(world, { QUEUE_REMOVE_ON_COMPLETE: '2' })
    const queue = openQueue(world.scope, redis)
    const headers = { authorization: `Bearer ${adminKey}` }
    const finished = async (id: string) => {
      const answer = await fetch(`${urls[0]}/v1/jobs/${id}?waitMs=20000`, { headers })
      await answer.body?.cancel()
    }
    const later = { delayMs: 3_600_000 }
    /** What becomes of a job between its first submission and the repeats. Resolves when it has. */
    const fates = {
      completed: async (id: string) => finished(id),
      evicted: async (id: string) => {
        await finished(id)
        for (let count = 0; count < 3; count++) {
          const filler = await history.submit(urls[0] as string, { key: `filler of ${id} ${count}` })
          await finished(filler.id as string)
        }
      },
      cleaned: async (id: string) => {
        await finished(id)
        const answer = await fetch(`${urls[0]}/admin/queues/clean`, {
          method: 'POST',
          headers: { ...headers, 'content-type': 'application/json' },
          body: JSON.stringify({ completedMaxAge: 0, failedMaxAge: 0, limit: 10_000 }),
        })
        world.check(`clean answered ${answer.status}`, answer.ok)
        await answer.body?.cancel()
      },
      removed: async (id: string) => {
        await finished(id)
        await (await queue.getJob(id))?.remove()
      },
      obliterated: async (id: string) => {
        await finished(id)
        await until('nothing is under way', async () => (await queue.getActiveCount()) + (await queue.getPrioritizedCount()) === 0)
        for (const job of await queue.getDelayed()) removed.add(job.id as string)
        await queue.obliterate({ force: true })
        await queue.resume()
      },
      cancelled: async (id: string) => {
        const answer = await fetch(`${urls[0]}/v1/jobs/${id}`, { method: 'DELETE', headers })
        world.check(`cancel answered ${answer.status}`, answer.status === 200)
        await answer.body?.cancel()
        removed.add(id)
      },
    }
    const names = Object.keys(fates) as (keyof typeof fates)[]
    const rounds = world.short ? names : [...names, ...names, ...names]
    for (const [index, name] of random.shuffle(rounds).entries()) {
      const send = { key: `${name}${index}`, ...(name === 'cancelled' ? { options: later } : {}) }
      if (name === 'cancelled') mayFail.add(send.key)
      const first = await history.submit(random.pick(urls), send)
      await fates[name](first.id as string)
      const again = await Promise.all(Array.from({ length: 50 }, () => history.submit(random.pick(urls), send)))
      world.check(
        `${send.key} was replayed with ${[...new Set(again.map(({ status, id }) => `${status} ${id}`))]}`,
        again.every(({ outcome, id }) => outcome === 'ok' && id === first.id),
      )
    }
    await world.conclude(redis.client)
  },
}

export const keyRows: readonly Row[] = [sameKey, otherBody, replays]
