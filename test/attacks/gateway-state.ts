// What a gateway holds: descriptors, sockets, streams, memory. After an attack it must be what it was.

import { get } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { openDescriptors, residentBytes } from '../helpers/process-facts.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'

export interface GatewayState {
  readonly descriptors: number
  readonly sockets: number
  readonly streams: number
  readonly longPolls: number
  readonly residentMiB: number
}

/** Within this all must be as before. */
export const backWithinMs = 15_000
/** Beyond what nobody holds any more, which is thrown away before it is looked at. */
const residentGrowthMaxMiB = 64
const collectMs = 500
const lookMs = 200
const baselineLooks = 5
const metricsTimeoutMs = 5000

const readMetrics = (url: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const asking = get(`${url}/metrics`, { agent: false, timeout: metricsTimeoutMs }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => resolve(text))
      answer.on('error', reject)
    })
    asking.on('timeout', () => asking.destroy(new Error('/metrics does not answer')))
    asking.on('error', reject)
  })

/** Reads descriptors first: asking for metrics takes one. */
const readState = async ({ pid, url }: { pid: number; url: string }): Promise<GatewayState> => {
  const { descriptors, sockets } = await openDescriptors(pid)
  const residentMiB = Math.round((await residentBytes(pid)) / 1024 / 1024)
  const metrics = parsePrometheusText(await readMetrics(url))
  return {
    descriptors,
    sockets,
    streams: sampleValue(metrics, 'jobgate_event_streams_open') ?? 0,
    longPolls: sampleValue(metrics, 'jobgate_long_polls_open') ?? 0,
    residentMiB,
  }
}

/** Has the heap settle, without waiting until it is full: the gateway listens for this signal only here. */
const settleHeap = async ({ pid }: { pid: number }): Promise<void> => {
  process.kill(pid, 'SIGWINCH')
  await pause(collectMs)
}

/** How things are before an attack: the most of a few looks, since connections come and go. */
export const readBaseline = async (gateway: { pid: number; url: string }): Promise<GatewayState> => {
  await settleHeap(gateway)
  const looks: GatewayState[] = []
  for (let look = 0; look < baselineLooks; look++) {
    looks.push(await readState(gateway))
    await pause(lookMs / 2)
  }
  const most = (name: keyof GatewayState) => Math.max(...looks.map((look) => look[name]))
  return {
    descriptors: most('descriptors'),
    sockets: most('sockets'),
    streams: most('streams'),
    longPolls: most('longPolls'),
    residentMiB: most('residentMiB'),
  }
}

/** What is not as before. */
const differences = (before: GatewayState, now: GatewayState): string[] => {
  const counts = (['descriptors', 'sockets', 'streams', 'longPolls'] as const).filter((name) => now[name] > before[name])
  const grew = now.residentMiB - before.residentMiB
  return [
    ...counts.map((name) => `${name}: ${before[name]} before, ${now[name]} after`),
    ...(grew > residentGrowthMaxMiB ? [`resident memory: ${before.residentMiB} MiB before, ${now.residentMiB} after`] : []),
  ]
}

/** Waits until all is as before. Out: how long that took, or what is still different when the time is up. */
export const untilAsBefore = async (
  gateway: { pid: number; url: string },
  before: GatewayState,
): Promise<{ backMs: number; left: string[]; now: GatewayState | null }> => {
  const start = Date.now()
  await settleHeap(gateway)
  for (;;) {
    const now = await readState(gateway).catch(() => null)
    const left = now ? differences(before, now) : ['the gateway does not answer']
    const backMs = Date.now() - start
    if (left.length === 0 || backMs > backWithinMs) return { backMs, left, now }
    await pause(lookMs)
  }
}

/** Looks at the resident memory again and again until `stop`, which gives the most that was seen, in MiB. */
export const watchMemory = (pid: number) => {
  let most = 0
  const look = async () => {
    most = Math.max(most, Math.round((await residentBytes(pid).catch(() => 0)) / 1024 / 1024))
  }
  const timer = setInterval(look, lookMs)
  return {
    async stop(): Promise<number> {
      clearInterval(timer)
      await look()
      return most
    },
  }
}
