// Row 30: a long time.

import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import { adminKey } from '../../helpers/start-probe-process.js'
import { openRedisServer } from '../redis-server.js'
import type { Row } from '../world.js'

const soakDefaultMs = 600_000
const sampleMs = 5000
/** Growth of the smallest resident size, from the first third to the last, that still counts as flat. */
const growthMaxBytes = 40 * 1024 * 1024

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
    await world.worker({ REDIS_URL: redis.url, ...retention })
    const load = world.startLoad({ url: () => gateway.url, senders: 4, pauseMs: 25 })
    const sizes: number[] = []
    const until = Date.now() + (world.durationMs ?? soakDefaultMs)
    let cuts = 0
    let waits = 0
    while (Date.now() < until) {
      await pause(sampleMs)
      sizes.push(await residentBytes(gateway.pid))
      if (random.chance(0.4)) {
        proxy.cut()
        cuts++
      }
      // A wait whose event was lost is answered from the state.
      const id = history.calls.filter((call) => call.id !== null).at(-1)?.id
      const answer = await fetch(`${gateway.url}/v1/jobs/${id}?waitMs=5000`, { headers: { authorization: `Bearer ${adminKey}` } })
      const { state } = (await answer.json()) as { state?: string }
      world.check(`a wait ended with ${answer.status} ${state}`, answer.status === 503 || state === 'completed')
      waits++
    }
    await load.stop()
    const third = Math.max(1, Math.floor(sizes.length / 3))
    const growth = Math.min(...sizes.slice(-third)) - Math.min(...sizes.slice(third, third * 2))
    world.note(
      `${history.calls.length} calls, ${cuts} cuts, ${waits} waits; resident ${toMiB(sizes[0] ?? 0)} MiB at first, ${toMiB(sizes.at(-1) ?? 0)} at last, least of the last third ${toMiB(growth)} above that of the second`,
    )
    world.check(`memory grew by ${toMiB(growth)} MiB`, growth <= growthMaxBytes)
    await world.sendAgain(gateway.url, load.left)
    await world.conclude(redis.client)
  },
}

const toMiB = (bytes: number) => Math.round(bytes / 1024 / 1024)

const residentBytes = async (pid: number): Promise<number> =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) * 1024
