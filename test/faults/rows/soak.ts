// Row 30: a long time.

import { setTimeout as pause } from 'node:timers/promises'
import { residentBytes } from '../../helpers/process-facts.js'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import { adminKey } from '../../helpers/start-probe-process.js'
import { type FaultyRedis, openRedisServer } from '../redis-server.js'
import type { Row, World } from '../world.js'

const soakDefaultMs = 600_000
const sampleMs = 5000
const waitMs = 10_000
/** A wait whose event was lost looks at the state every second; the rest is for a busy machine. */
const noticeMs = 2500
/** Growth of the smallest resident size, from the second third to the last, that still counts as flat. */
const growthMaxBytes = 40 * 1024 * 1024
/** The same of keys in Redis, without those that have to stay. */
const keysGrowthMax = 300

export const soakRow: Row = {
  id: '30',
  fault: 'soak, events of Redis cut now and then',
  once: true,
  async run(world) {
    const { history, random } = world
    const redis = await openRedisServer(world.scope)
    const proxy = await startRedisProxy(world.scope, { target: { port: redis.port } })
    const retention = { JOB_RETENTION_COMPLETED_MS: '20000', QUEUE_REMOVE_ON_COMPLETE: '1000' }
    const gateway = await world.gateway({ REDIS_URL: `redis://127.0.0.1:${proxy.port}`, ...retention })
    const worker = await world.worker({ REDIS_URL: redis.url, ...retention })
    const load = world.startLoad({ url: () => gateway.url, senders: 4, pauseMs: 25 })
    const waits = createWaits(world, { url: gateway.url, release: worker.release })
    const samples: Sample[] = []
    const until = Date.now() + (world.durationMs ?? soakDefaultMs)
    let cuts = 0
    while (Date.now() < until) {
      await pause(sampleMs)
      samples.push(await takeSample(world, { redis, gatewayPid: gateway.pid, workerPid: worker.pid }))
      const waiting = [waits.finished(), waits.blocked(), waits.delayed()]
      if (random.chance(0.4)) {
        await pause(random.between(0, 1000))
        proxy.cut()
        cuts++
      }
      await Promise.all(waiting)
    }
    await load.stop()
    world.note(`${history.calls.length} calls, ${cuts} cuts; ${waits.summary()}`)
    judgeSamples(world, samples)
    await world.sendAgain(gateway.url, load.left)
    await world.conclude(redis.client)
  },
}

/** Long polls on jobs that have finished, that are released meanwhile, and that are due meanwhile. */
const createWaits = ({ history, runs, random, check }: World, { url, release }: { url: string; release: (label: string) => unknown }) => {
  let sent = 0
  let count = 0
  let unanswered = 0
  const times: number[] = []
  const wait = async (id: string) => {
    const answer = await fetch(`${url}/v1/jobs/${id}?waitMs=${waitMs}`, { headers: { authorization: `Bearer ${adminKey}` } })
    const { state } = (await answer.json()) as { state?: string }
    count++
    if (answer.status === 503) unanswered++
    check(`a wait ended with ${answer.status} ${state}`, answer.status === 503 || state === 'completed')
    return { isAnswered: answer.status === 200, endedAt: Date.now() }
  }
  /** How long after the end of the job its wait was answered, which has to be soon, whether or not its event came. */
  const judge = async (label: string, waited: ReturnType<typeof wait>) => {
    const { isAnswered, endedAt } = await waited
    if (!isAnswered) return
    const [end] = await runs.ends(label)
    const late = endedAt - (end?.at ?? Number.NaN)
    times.push(late)
    check(`the wait for ${label} ended ${late} ms after its job`, late >= 0 && late <= noticeMs)
  }
  return {
    async finished() {
      const id = history.calls.filter((call) => call.id !== null).at(-1)?.id
      if (id) await wait(id)
    },
    async blocked() {
      const key = `waited${sent++}`
      const { id } = await history.submit(url, { key, type: 'block' })
      const held = pause(random.between(300, 3000)).then(() => release(key))
      if (id) await judge(key, wait(id))
      // A client that was refused has not waited for it.
      await held
    },
    async delayed() {
      const key = `delayed${sent++}`
      const { id } = await history.submit(url, { key, options: { delayMs: random.between(500, 3000) } })
      if (id) await judge(key, wait(id))
    },
    summary: () =>
      `${count} waits, ${unanswered} of them answered with 503, ${times.length} on jobs that were held, answered at most ${Math.max(0, ...times)} ms after their end`,
  }
}

interface Sample {
  /** Resident bytes. */
  readonly gateway: number
  readonly worker: number
  /** Bytes that Redis holds. */
  readonly redis: number
  /** Keys in Redis. */
  readonly keys: number
  /** Keys besides the records of idempotency keys, which stay for a day: one for each job that was accepted. */
  readonly otherKeys: number
}

const takeSample = async (
  { history }: World,
  { redis, gatewayPid, workerPid }: { redis: FaultyRedis; gatewayPid: number; workerPid: number },
): Promise<Sample> => {
  const keys = await redis.client.dbsize()
  return {
    gateway: await residentBytes(gatewayPid),
    worker: await residentBytes(workerPid),
    redis: Number(/^used_memory:(\d+)/m.exec(await redis.client.info('memory'))?.[1]),
    keys,
    otherKeys: keys - history.accepted.size,
  }
}

const judgeSamples = ({ note, check }: World, samples: readonly Sample[]) => {
  const third = Math.max(1, Math.floor(samples.length / 3))
  const [second, last] = [samples.slice(third, third * 2), samples.slice(-third)]
  const least = (some: readonly Sample[], name: keyof Sample) => Math.min(...some.map((sample) => sample[name]))
  const most = (some: readonly Sample[], name: keyof Sample) => Math.max(...some.map((sample) => sample[name]))
  const [first, end] = [samples.at(0), samples.at(-1)] as [Sample, Sample]
  for (const name of ['gateway', 'worker'] as const) {
    const growth = least(last, name) - least(second, name)
    note(
      `${name}: resident ${toMiB(first[name])} MiB at first, ${toMiB(end[name])} at last, least of the last third ${toMiB(growth)} above that of the second`,
    )
    check(`the ${name} grew by ${toMiB(growth)} MiB`, growth <= growthMaxBytes)
  }
  const growth = most(last, 'otherKeys') - most(second, 'otherKeys')
  note(
    `Redis: ${toMiB(first.redis)} MiB and ${first.keys} keys at first, ${toMiB(end.redis)} and ${end.keys} at last; ` +
      `without the records of idempotency keys at most ${most(second, 'otherKeys')} in the second third, ${most(last, 'otherKeys')} in the last`,
  )
  check(`Redis has ${growth} keys more in the last third than in the second`, growth <= keysGrowthMax)
}

const toMiB = (bytes: number) => Math.round(bytes / 1024 / 1024)
