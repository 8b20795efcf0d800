// Rows 29 and 30: more than the gateway can take, and for a long time.

import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import { adminKey } from '../../helpers/start-probe-process.js'
import { openRedisServer } from '../redis-server.js'
import type { Row } from '../world.js'

/** Open-loop: so many times what a closed loop of clients got through. */
const overload = 5
const burstMs = 8000
/** Beyond these the generator itself would be what is measured. */
const callsPerSecondMax = 4000
const openMax = 5000
/** Accepted submissions may take this long under overload, as others may beside a huge backlog. */
const acceptedP99Ms = 2000

const percentile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0

const overloaded: Row = {
  id: '29',
  fault: `overload at ${overload}× capacity, open-loop`,
  seeds: 3,
  async run(world) {
    const { history } = world
    const redis = await openRedisServer(world.scope)
    // The depth is what sheds: more than this does not wait here.
    const gateway = await world.gateway({ REDIS_URL: redis.url, QUEUE_MAX_DEPTH: '2000' })
    await world.worker({ REDIS_URL: redis.url, QUEUE_CONCURRENCY_EXTERNAL_API: '4' })

    const warm = world.startLoad({ url: () => gateway.url, senders: 16, pauseMs: 0, name: 'warm' })
    const began = Date.now()
    await pause(3000)
    await warm.stop()
    const capacity = Math.round((history.calls.length * 1000) / (Date.now() - began))
    const rate = Math.min(capacity * overload, callsPerSecondMax)

    const first = history.calls.length
    const from = Date.now()
    const sending: Promise<unknown>[] = []
    let sent = 0
    let skipped = 0
    // On time whether or not earlier ones were answered: closed-loop clients would hide the queueing.
    while (Date.now() - from < burstMs) {
      const due = Math.floor(((Date.now() - from) * rate) / 1000)
      for (; sent < due; sent++) {
        if (history.open < openMax) sending.push(history.submit(gateway.url, { key: `over${sent}` }))
        else skipped++
      }
      await pause(2)
    }
    await Promise.all(sending)
    const calls = history.calls.slice(first)
    const times = calls.filter(({ outcome }) => outcome === 'ok').map(({ start, end }) => end - start)
    const shed = calls.filter(({ status }) => status === 503).length
    const p99 = percentile(times, 0.99)
    world.note(
      `closed loop ${capacity}/s, sent ${rate}/s: ${times.length} accepted, ${shed} shed, ${skipped} not sent; accepted p50 ${percentile(times, 0.5)}, p99 ${p99} ms`,
    )
    world.check('nothing was shed', shed > 0)
    world.check(`p99 of what was accepted is ${p99} ms`, p99 <= acceptedP99Ms)
    await world.conclude(redis.client)
  },
}

const soakDefaultMs = 600_000
const sampleMs = 5000
/** Growth of the smallest resident size, from the first third to the last, that still counts as flat. */
const growthMaxBytes = 40 * 1024 * 1024

const soak: Row = {
  id: '30',
  fault: 'soak, events of Redis cut now and then',
  onRequest: true,
  seeds: 1,
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

export const loadRows: readonly Row[] = [overloaded, soak]
