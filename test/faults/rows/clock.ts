// Row 17: gateways and workers whose clocks are minutes wrong, in both directions at once.

import { setTimeout as pause } from 'node:timers/promises'
import { adminKey } from '../../helpers/start-probe-process.js'
import { until } from '../../helpers/until.js'
import { clockAhead } from '../fake-time.js'
import { openRedisServer } from '../redis-server.js'
import { killWorker, type Row, type World } from '../world.js'

const skewMs = 300_000
/** Much shorter than the skew: whoever compared times of two clocks would forget a key at once. */
const idempotencyTtlSeconds = 60
const replayMs = 12_000
/** Beyond what a slow gateway and a fast worker make of a delay together. */
const longDelayMs = 2 * skewMs + 60_000
const smallSkewMs = 4000
const smallDelayMs = 6000
/** Until a due job has started on a busy machine, and between a request and the clock that is read for it. */
const marginMs = 2000
/** BullMQ keeps the due time in the upper bits of a score. */
const scoreUnit = 4096

export const clockRow: Row = {
  id: '17',
  fault: 'clocks 5 min ahead and behind',
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const env = {
      REDIS_URL: redis.url,
      QUEUE_IDEMPOTENCY_TTL: String(idempotencyTtlSeconds),
      WORKER_LOCK_MS: '2000',
      WORKER_STALLED_INTERVAL_MS: '1000',
    }
    const skewed = (aheadMs: number) => ({ ...env, ...(aheadMs === 0 ? {} : clockAhead(aheadMs)) })
    const skews = [skewMs, -skewMs, 0]
    const gateways = await Promise.all(skews.map((aheadMs) => world.gateway(skewed(aheadMs))))
    const urls = gateways.map(({ url }) => url)
    const workers = await Promise.all([skewMs, -skewMs].map((aheadMs) => world.worker(skewed(aheadMs))))

    const load = world.startLoad({ url: () => random.pick(urls), senders: 4, pauseMs: 20 })
    const late = await submitDelayed(world, urls, longDelayMs)
    for (const [at, { id, end }] of late.entries()) {
      const score = await redis.client.zscore('{jobgate}:external-api:delayed', id as string)
      const error = Math.floor(Number(score) / scoreUnit) - end - longDelayMs
      world.note(`a delay taken by a clock ${skews[at]} ms ahead is off by ${error} ms`)
      world.check(`its error is ${error} ms`, Math.abs(error - (skews[at] as number)) <= marginMs)
    }

    // Every clock gets to see what the others stored. The checker asks for one id each.
    const keys = Array.from({ length: 20 }, (_, index) => `kept${index}`)
    const victim = random.between(0, workers.length)
    const strikeAt = Date.now() + random.between(1000, replayMs / 2)
    const end = Date.now() + replayMs
    let isStruck = false
    while (Date.now() < end) {
      for (const key of keys) {
        const { status } = await history.submit(random.pick(urls), { key })
        world.check(`${key} was answered with ${status}`, status === 202)
      }
      if (!isStruck && Date.now() >= strikeAt) {
        isStruck = true
        await killWorker(world, workers[victim] as (typeof workers)[number])
        workers[victim] = await world.worker(skewed([skewMs, -skewMs][victim] as number))
      }
      await pause(100)
    }
    await load.stop()
    await world.sendAgain(random.pick(urls), load.left)
    await until('what was submitted has run', async () => (await redis.client.zcard('{jobgate}:external-api:prioritized')) === 0)

    // From here on one right clock works, so that real waits can be measured.
    for (const worker of workers) await killWorker(world, worker)
    await world.worker(env)
    await measureDelays(world, urls[2] as string, (aheadMs) => world.gateway(skewed(aheadMs)))

    for (const { key, id } of late) {
      world.check(`${key} ran before it was due by any clock`, (await world.runs.starts(key)).length === 0)
      const answer = await fetch(`${urls[2]}/v1/jobs/${id}/promote`, { method: 'POST', headers: { authorization: `Bearer ${adminKey}` } })
      await answer.body?.cancel()
      world.check(`promoting ${key} answered ${answer.status}`, answer.ok)
    }
    await world.conclude(redis.client)
  },
}

const submitDelayed = async (world: World, urls: readonly string[], delayMs: number, name = 'late') =>
  Promise.all(urls.map((url, at) => world.history.submit(url, { key: `${name}${delayMs}-${at}`, options: { delayMs } })))

/** A delay may end as much too early or too late as the clocks differ. */
const measureDelays = async (world: World, right: string, open: (aheadMs: number) => Promise<{ url: string }>) => {
  const skews = [smallSkewMs, -smallSkewMs, 0]
  const [fast, slow] = await Promise.all([open(smallSkewMs), open(-smallSkewMs)])
  const calls = await submitDelayed(world, [fast.url, slow.url, right], smallDelayMs, 'soon')
  const errors: string[] = []
  for (const [at, { key, end }] of calls.entries()) {
    await world.runs.started(key)
    const [start] = await world.runs.starts(key)
    const error = (start?.at ?? Number.NaN) - end - smallDelayMs
    errors.push(`${skews[at]}: ${error}`)
    world.check(`${key} began ${error} ms off`, Math.abs(error - (skews[at] as number)) <= marginMs)
  }
  world.note(`clocks ahead by ms, and how late jobs began: ${errors.join(', ')}`)
}
