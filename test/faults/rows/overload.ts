// Row 29: five times more than the gateway can take, from clients that do not wait for answers.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { childEnvironment } from '../../helpers/child-environment.js'
import { percentile } from '../../helpers/percentile.js'
import type { Call } from '../checker.js'
import type { OpenLoopSettings } from '../open-loop.js'
import { openRedisServer } from '../redis-server.js'
import type { Row, World } from '../world.js'

const overload = 5
const capacityClients = 64
const capacityMs = 3000
const burstMs = 8000
/** After the burst the gateway gets this share of its capacity, and has to take it as if nothing had been. */
const calmShare = 0.3
const calmMs = 4000
/** The first part of it, in which what the burst left is still worked off. */
const settlingMs = 2000
const connections = 4000
/** As large as the notes of a meeting: taking them is work, and refusing them costs a fifth of it at most. */
const ballast = 8000
const acceptedP99Ms = 2000
const calmP99Ms = 500

const program = fileURLToPath(new URL('../open-loop.ts', import.meta.url))
const tsx = import.meta.resolve('tsx')

/** Lets another process submit, and adds its calls to the history. */
const submitFromOutside = async (world: World, settings: Omit<OpenLoopSettings, 'out' | 'connections' | 'ballast'>) => {
  const out = join(world.dataDir, `${settings.prefix}.ndjson`)
  const child = spawn(process.execPath, ['--import', tsx, program, JSON.stringify({ ...settings, out, connections, ballast })], {
    env: childEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  world.scope.after(() => child.kill('SIGKILL'))
  const [code] = (await once(child, 'exit')) as [number | null]
  if (code !== 0) throw new Error(`the generator ended with ${code}`)
  const lines = readFileSync(out, 'utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
  const calls = lines.flatMap((line) => (line.what === 'end' ? [line] : []))
  for (const call of calls) world.history.calls.push(call)
  return { calls, unsent: lines.find((line) => line.what === 'unsent')?.count ?? 0 }
}

type Line = (Call & { readonly what: 'begin' | 'end' }) | { readonly what: 'unsent'; readonly count: number }

const timesOf = (calls: readonly Call[]) => calls.filter(({ outcome }) => outcome === 'ok').map(({ start, end }) => end - start)

export const overloadRow: Row = {
  id: '29',
  fault: `overload at ${overload}× capacity, open-loop`,
  alone: true,
  async run(world) {
    const redis = await openRedisServer(world.scope)
    const { url } = await world.gateway({ REDIS_URL: redis.url })

    const { calls: warm } = await submitFromOutside(world, { url, prefix: 'warm', durationMs: capacityMs, closed: capacityClients })
    const capacity = Math.round((timesOf(warm).length * 1000) / capacityMs)
    const { calls: burst, unsent } = await submitFromOutside(world, {
      url,
      prefix: 'burst',
      durationMs: burstMs,
      rate: capacity * overload,
    })
    const { calls: calm } = await submitFromOutside(world, {
      url,
      prefix: 'calm',
      durationMs: calmMs,
      rate: Math.round(capacity * calmShare),
    })

    const times = timesOf(burst)
    const shed = burst.filter(({ status }) => status === 503)
    const p99 = percentile(times, 0.99)
    world.note(
      `closed loop ${capacity}/s, then ${capacity * overload}/s: ${times.length} accepted, ${shed.length} shed, ${unsent} not sent for want of a connection; ` +
        `accepted p50 ${percentile(times, 0.5)}, p99 ${p99} ms; shed p99 ${percentile(
          shed.map(({ start, end }) => end - start),
          0.99,
        )} ms`,
    )
    world.check('nothing was shed', shed.length > 0)
    world.check('nothing was accepted', times.length > 0)
    world.check(`p99 of what was accepted is ${p99} ms`, p99 <= acceptedP99Ms)

    const after = calm.filter(({ start }) => start >= (calm[0] as Call).start + settlingMs)
    const calmP99 = percentile(timesOf(after), 0.99)
    world.note(`afterwards ${timesOf(calm).length} of ${calm.length} accepted, p99 ${calmP99} ms`)
    world.check(
      'it still sheds when the overload is over',
      after.every(({ outcome }) => outcome === 'ok'),
    )
    world.check(`p99 is still ${calmP99} ms when the overload is over`, calmP99 <= calmP99Ms)

    // Not before: what is measured above is the gateway.
    const began = Date.now()
    await world.worker({ REDIS_URL: redis.url, QUEUE_CONCURRENCY_EXTERNAL_API: '50' })
    const { acknowledged } = await world.conclude(redis.client)
    world.note(`${acknowledged} jobs drained in ${Math.round((Date.now() - began) / 1000)} s`)
  },
}
