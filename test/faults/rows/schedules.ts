// Row 31: schedules of a second while instances are killed and started; each run once, but for what docs/schedules.md excepts.

import { setTimeout as pause } from 'node:timers/promises'
import { scheduledJobId } from '../../../src/bullmq/job-id.js'
import { scheduleKey } from '../../../src/schedules/record.js'
import { createClient } from '../../helpers/http-client.js'
import { scheduleOf, untilOver } from '../../helpers/schedules.js'
import type { ProbeProcess } from '../../helpers/start-probe-process.js'
import type { Call } from '../checker.js'
import { openRedisServer } from '../redis-server.js'
import type { Row, World } from '../world.js'

const schedules = 20
const lockMs = 2000
const stalledIntervalMs = 1000
/** As promised for the job of a dead worker. */
const recoveryMs = lockMs + 2 * stalledIntervalMs
const second = 1000
const durationDefaultMs = 120_000
const lastOneToo = 0.1
/** The first run is due this long after the schedules are put. */
const leadMs = 3000
/** A worker that has just started has not met the clock of every schedule yet. */
const startMarginMs = 3000

export const schedulesRow: Row = {
  id: '31',
  fault: `${schedules} schedules a second, instances SIGKILLed and started`,
  async run(world) {
    const redis = await openRedisServer(world.scope)
    const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: String(lockMs), WORKER_STALLED_INTERVAL_MS: String(stalledIntervalMs) }
    const front = await world.gateway(env)
    const client = createClient(world.scope, front.url)
    const instances = await openInstances(world, { ...env, WORKERS_ENABLED: 'true' })

    const ticks = Math.round((world.durationMs ?? durationDefaultMs) / second)
    const startAt = Math.ceil((Date.now() + leadMs) / second) * second
    const endAt = startAt + (ticks - 1) * second + second / 2
    const names = Array.from({ length: schedules }, (_, index) => `s${index}`)
    for (const name of names) {
      const timing = { everyMs: second, startAt: new Date(startAt).toISOString(), endAt: new Date(endAt).toISOString() }
      const { status } = await client.put(`/v1/schedules/${name}`, { type: 'echo', data: { label: name }, ...timing })
      world.check(`putting ${name} answered ${status}`, status === 201)
    }
    await pause(startAt - Date.now())
    await instances.strikeUntil(endAt)
    for (const name of names) await untilOver(client, name)

    let excepted = 0
    for (const name of names) {
      const { createdAt, skippedRuns } = await scheduleOf(client, name)
      world.check(`${name} skipped ${skippedRuns} runs`, skippedRuns === 0)
      for (let tick = 0; tick < ticks; tick++) {
        const dueAt = startAt + tick * second
        const id = scheduledJobId(scheduleKey('default', name), Date.parse(createdAt), dueAt, 'external-api')
        const isExcepted = instances.wasAlone(dueAt)
        if (isExcepted) excepted++
        // Due while nobody worked: it may be among those for which one run stands in.
        const outcome = isExcepted ? 'unknown' : 'ok'
        const call: Call = { key: id, label: id, start: dueAt, end: dueAt, outcome, status: 202, id: isExcepted ? null : id }
        world.history.calls.push(call)
      }
    }
    const { unknownStored } = await world.conclude(redis.client, { labelsAreIds: true })
    world.note(
      `${schedules * ticks} ticks, ${instances.kills} kills; no worker lived at ${excepted} ticks, ${unknownStored} of which were run all the same`,
    )
  },
}

/** Two processes with workers, of which a random one dies now and then; both may be gone at once. */
const openInstances = async (world: World, env: Record<string, string>) => {
  const { random } = world
  const open = () => world.gateway(env)
  const living: (ProbeProcess | null)[] = await Promise.all([open(), open()])
  const gone: { from: number; to: number }[] = []
  let kills = 0
  let killedAt = Number.NEGATIVE_INFINITY

  const kill = async (at: number): Promise<void> => {
    const victim = living[at] as ProbeProcess
    living[at] = null
    kills++
    const now = Date.now()
    // What the first of two held when it died, the second may not have taken over before it died, too.
    if (living.every((each) => each === null)) {
      gone.push({ from: now - killedAt <= recoveryMs ? killedAt : now, to: Number.MAX_SAFE_INTEGER })
    }
    killedAt = now
    world.loseLeases(victim.pid)
    await victim.kill()
    await pause(random.between(0, 4000))
    living[at] = await open()
    const last = gone.at(-1)
    if (last?.to === Number.MAX_SAFE_INTEGER) last.to = Date.now() + startMarginMs
  }
  return {
    get kills() {
      return kills
    },
    /** Whether no worker lived when something was due. */
    wasAlone: (dueAt: number): boolean => gone.some(({ from, to }) => dueAt >= from - second && dueAt <= to),
    async strikeUntil(end: number): Promise<void> {
      const under: Promise<void>[] = []
      while (Date.now() < end) {
        await pause(Math.min(random.between(500, 6000), Math.max(0, end - Date.now())))
        const able = [0, 1].filter((at) => living[at] !== null)
        // Seldom the last one: what is promised then is much less.
        const isMeant = able.length === 2 || (able.length === 1 && random.chance(lastOneToo))
        if (isMeant && Date.now() < end) under.push(kill(random.pick(able)))
      }
      await Promise.all(under)
    },
  }
}
