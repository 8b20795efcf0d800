// Row 33: job types are registered, changed and deleted while gateways die.

import { setTimeout as pause } from 'node:timers/promises'
import { adminKey } from '../../helpers/start-probe-process.js'
import { type Ask, raceTypes } from '../../helpers/type-races.js'
import { until } from '../../helpers/until.js'
import { openRedisServer } from '../redis-server.js'
import type { Row } from '../world.js'

const defaultMs = 120_000
const shortMs = 5000

export const typesRow: Row = {
  id: '33',
  fault: 'job types change at random under load, gateways SIGKILLed',
  short: true,
  async run(world) {
    const { random } = world
    const redis = await openRedisServer(world.scope)
    const env = { REDIS_URL: redis.url, SCHEDULES_MAX: '10' }
    const gateways = await Promise.all([world.gateway(env), world.gateway(env)])
    const load = world.startLoad({ url: () => random.pick(gateways).url, senders: 2, pauseMs: 20 })
    await world.worker({ REDIS_URL: redis.url })
    const endsAt = Date.now() + (world.durationMs ?? (world.short ? shortMs : defaultMs))
    let isOver = false
    const ask: Ask = async (method, path, body) => {
      const isLines = typeof body === 'string'
      const type = isLines ? 'application/x-ndjson' : 'application/json'
      const answer = await fetch(random.pick(gateways).url + path, {
        method,
        headers: { authorization: `Bearer ${adminKey}`, ...(body === undefined ? {} : { 'content-type': type }) },
        ...(body === undefined ? {} : { body: isLines ? body : JSON.stringify(body) }),
        signal: AbortSignal.timeout(10_000),
      })
      const text = await answer.text()
      const lines = () => ({
        items: text
          .trim()
          .split('\n')
          .map((line) => JSON.parse(line)),
      })
      return { status: answer.status, body: text === '' ? undefined : isLines && answer.status === 207 ? lines() : JSON.parse(text) }
    }
    const racing = raceTypes({ ask, seed: world.seed, types: 6, isSteady: false, isOver: () => isOver })
    let kills = 0
    while (Date.now() < endsAt) {
      await pause(random.between(500, world.short ? 2000 : 8000))
      const place = random.between(0, 1)
      await gateways[place]?.kill()
      gateways[place] = await world.gateway(env)
      kills++
    }
    isOver = true
    const { faults, counts, names, purge } = await racing
    await load.stop()
    world.note(`${kills} kills; ${JSON.stringify(counts)}`)
    for (const text of faults) world.failures.push(text)
    world.check('no type was registered, deleted and used', counts.registered > 0 && counts.accepted > 0)
    for (let at = 0; at < 3; at++) await ask('DELETE', `/v1/schedules/race-${at}`)
    for (const name of names) {
      const isGone = async () => {
        await purge(name)
        return [204, 404].includes((await ask('DELETE', `/v1/job-types/${name}`)).status)
      }
      await until(`${name} is deleted`, isGone)
      const left = await redis.client.keys(`*:${name}:*`)
      world.check(`of ${name} is left: ${left.slice(0, 3).join(', ')}`, left.length === 0)
    }
    await world.sendAgain(gateways[0].url, load.left)
    await world.conclude(redis.client)
  },
}
