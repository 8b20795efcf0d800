// A client that means well and goes along with every attack, in a process of its own: submits, polls, and asks whether the gateway lives.
// Usage: fork with '{"url","key"}'; it answers `report` with what it saw since the last report, and `peek` with the same without forgetting it.

import { Agent, type IncomingMessage, request } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { percentile } from '../helpers/percentile.js'

/** What it saw since the last report. */
export interface GoodReport {
  readonly requests: number
  readonly errors: number
  /** The first few of them. */
  readonly examples: readonly string[]
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of the answers of /livez alone. */
  readonly livezMaxMs: number
}

const everyMs = 50
const pollsMax = 5
/** Whoever has no answer by then counts as not answered. */
const hangMs = 15_000
const examplesMax = 5

const { url, key } = JSON.parse(process.argv[2] as string) as { url: string; key: string }
const agent = new Agent({ keepAlive: true, maxSockets: 3 })
let times: number[] = []
let livezTimes: number[] = []
let errors: string[] = []
let count = 0

const fetchText = (method: string, path: string, body?: string): Promise<{ status: number; text: string }> =>
  new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${key}`,
      ...(body === undefined ? {} : { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)) }),
    }
    const asking = request(`${url}${path}`, { method, agent, headers, timeout: hangMs }, (answer: IncomingMessage) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (chunk) => {
        text += chunk
      })
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, text }))
      answer.on('error', reject)
    })
    asking.on('timeout', () => asking.destroy(new Error(`no answer within ${hangMs} ms`)))
    asking.on('error', reject)
    asking.end(body)
  })

/** One request and how long it took; null when it was not answered as it should be. */
const ask = async (method: string, path: string, wanted: number, body?: string): Promise<string | null> => {
  const start = performance.now()
  try {
    const { status, text } = await fetchText(method, path, body)
    if (status !== wanted) throw new Error(`${status} ${text.slice(0, 200)}`)
    const took = performance.now() - start
    times.push(took)
    if (path === '/livez') livezTimes.push(took)
    return text
  } catch (error) {
    errors.push(`${method} ${path.replace(/\/v1\/jobs\/.*/, '/v1/jobs/{id}')}: ${(error as Error).message}`)
    return null
  }
}

/** One job: submitted, and looked at until it has finished, as often as a client would. */
const follow = async () => {
  const eventId = `good-${process.pid}-${count++}`
  const data = { source: 'other', eventId, eventType: 'good', payload: { n: count } }
  const text = await ask('POST', '/v1/jobs', 202, JSON.stringify({ type: 'process-webhook', data }))
  if (text === null) return
  const { id } = JSON.parse(text) as { id: string }
  for (let polls = 0; polls < pollsMax; polls++) {
    await pause(everyMs)
    const job = await ask('GET', `/v1/jobs/${id}`, 200)
    if (job === null || ['completed', 'failed'].includes((JSON.parse(job) as { state: string }).state)) return
  }
}

const keepDoing = async (act: () => Promise<unknown>) => {
  for (;;) {
    await act()
    await pause(everyMs)
  }
}

process.on('message', (wanted: 'report' | 'peek') => {
  const round = (value: number) => Math.round(value * 10) / 10
  const report: GoodReport = {
    requests: times.length + errors.length,
    errors: errors.length,
    examples: [...new Set(errors)].slice(0, examplesMax),
    p50Ms: round(percentile(times, 0.5)),
    p99Ms: round(percentile(times, 0.99)),
    maxMs: round(percentile(times, 1)),
    livezMaxMs: round(percentile(livezTimes, 1)),
  }
  process.send?.(report)
  if (wanted === 'peek') return
  times = []
  livezTimes = []
  errors = []
})
// Whoever started it has died.
process.on('disconnect', () => process.exit())

keepDoing(follow)
keepDoing(follow)
keepDoing(() => ask('GET', '/livez', 200))
