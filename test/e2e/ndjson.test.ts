// A hundred thousand jobs in one request: answered while they arrive, in flat memory, at the pace of the slower side.

import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { type ClientRequest, type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { eventually } from '../helpers/eventually.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { adminKey, createDataDir, startProbeGateway, untilReading } from '../helpers/start-probe-process.js'

const lines = 100_000

const grownBytesMax = 64 * 1024 * 1024
const sampleMs = 25
const deadlineMs = 60_000

/** One line of the answer. */
interface Result {
  readonly index: number
  readonly status: number
  readonly id?: string
  readonly replayed?: boolean
  readonly error?: { title: string; line?: number; errors?: unknown[] }
}

const rssOf = async (pid: number): Promise<number> =>
  Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024

/** Looks at the memory of a process until `stop`, which gives the most it saw. */
const watchRss = (pid: number) => {
  let most = 0
  let looking = Promise.resolve()
  const look = async () => {
    most = Math.max(most, await rssOf(pid))
  }
  const timer = setInterval(() => {
    looking = look()
  }, sampleMs)
  return {
    most: () => most,
    async stop() {
      clearInterval(timer)
      await looking
      await look()
      return most
    },
  }
}

const open = (url: string, headers: Record<string, string> = {}): ClientRequest =>
  request(`${url}/v1/jobs/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson', ...headers },
  })

/** Writes as fast as the gateway takes it. */
const writeAll = async (to: ClientRequest, texts: Iterable<string>) => {
  for (const text of texts) if (!to.write(`${text}\n`)) await once(to, 'drain')
}

async function* resultsOf(answer: IncomingMessage): AsyncGenerator<Result> {
  for await (const line of createInterface({ input: answer })) yield JSON.parse(line) as Result
}

const toLine = (label: string) => JSON.stringify({ type: 'echo', data: { label } })

/** What comes between the good lines, and how each is answered. */
const badLines = [
  { text: '{"type":"echo",', status: 400 },
  { text: '[1,2]', status: 400 },
  { text: '{"type":"unheard-of","data":{}}', status: 400 },
  { text: '{"type":"echo","data":{"label":""}}', status: 400 },
  { text: `{"type":"echo","data":{"label":"${'x'.repeat(300_000)}"}}`, status: 413 },
] as const
const badEvery = 997

const badAt = (index: number) => (index % badEvery === 0 ? badLines[(index / badEvery) % badLines.length] : undefined)

function* mixed(count: number) {
  for (let index = 0; index < count; index++) {
    // Blank lines are no items.
    if (index % 5000 === 0) yield ''
    yield badAt(index)?.text ?? toLine(`line ${index}`)
  }
}

t.test('BAT-1 BAT-3 a hundred thousand lines', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  // What is dead and not yet collected would count as well: with small generations there is little of it.
  const env = { REDIS_URL: redis.url, NODE_OPTIONS: '--max-semi-space-size=4 --max-old-space-size=128' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const waiting = () => redis.client.zcard('{jobgate}:external-api:prioritized')

  /** Sends and reads at once; every result is looked at in order. */
  const send = async (t: Test, count: number, headers?: Record<string, string>) => {
    const sending = open(gateway.url, headers)
    let sent = false
    const writing = writeAll(sending, mixed(count)).then(() => {
      sent = true
      sending.end()
    })
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    t.equal(answer.statusCode, 207)
    let early = 0
    let next = 0
    const wrong: Result[] = []
    for await (const result of resultsOf(answer)) {
      if (!sent) early++
      const status = badAt(next)?.status ?? 202
      if ((result.index !== next || result.status !== status) && wrong.length < 3) wrong.push(result)
      next++
    }
    await writing
    t.same(wrong, [], 'answered one by one, in order')
    t.equal(next, count)
    return { early }
  }

  let base = 0
  await t.test('memory stays flat', async (t) => {
    const warming = watchRss(gateway.pid)
    // Two at once reach in half the time what one would; the heap goes on to find its size in the second round.
    for (let round = 0; round < 2; round++) await Promise.all([send(t, lines / 2), send(t, lines / 2)])
    base = await warming.stop()
    const watch = watchRss(gateway.pid)
    const { early } = await send(t, lines)
    const grown = (await watch.stop()) - base
    t.comment(`base ${base >> 20} MiB, grown by ${grown / 2 ** 20} MiB, ${early} results while sending`)
    t.ok(grown < grownBytesMax, `grew by ${grown} bytes`)
    t.ok(early > lines / 10, 'results come while lines are sent')
  })

  await t.test('the first result comes before the second line', async (t) => {
    const sending = open(gateway.url)
    sending.write(`${toLine('first')}\n`)
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    const results = resultsOf(answer)
    t.match((await results.next()).value, { index: 0, status: 202 })
    sending.end(`${toLine('second')}\n`)
    t.match((await results.next()).value, { index: 1, status: 202 })
    t.equal((await results.next()).done, true)
  })

  await t.test('a slow reader slows the import', async (t) => {
    // Their answers are longer than they are, so that what the kernel holds is full long before the last one.
    const faulty = JSON.stringify({
      type: 'echo',
      data: { label: '', ...Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`no${at}`, 0])) },
    })
    const before = await waiting()
    const watch = watchRss(gateway.pid)
    const sending = open(gateway.url)
    let written = 0
    const writing = writeAll(
      sending,
      (function* () {
        for (; written < lines; written++) yield written % 2 === 0 ? faulty : toLine(`slow ${written}`)
      })(),
    ).then(() => sending.end())
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    answer.pause()

    let last = -1
    let still = 0
    await eventually(
      'the import stands still',
      async () => {
        const now = await waiting()
        still = now === last && sending.writableNeedDrain ? still + 1 : 0
        last = now
        return still > 100
      },
      deadlineMs,
    )
    t.ok(written < lines, `stopped after ${written} lines`)
    t.ok(last - before < lines / 2)
    let count = 0
    for await (const { index } of resultsOf(answer)) if (index === count) count++
    await writing
    t.equal(count, lines, 'and went on to the end')
    t.equal((await waiting()) - before, lines / 2)
    const grown = (await watch.stop()) - base
    t.comment(`stood still after ${written} lines, grown by ${grown / 2 ** 20} MiB`)
    t.ok(grown < grownBytesMax, `grew by ${grown} bytes`)
  })
})

t.test('BAT-3 BAT-4 Redis dies midway', async (t) => {
  const { dataDir } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const gateway = await startProbeGateway(t, { dataDir, env: { REDIS_URL: redis.url } })
  const count = 10_000
  const headers = { 'idempotency-key': '"import 1"' }
  const sendAll = async (onResult?: (index: number) => void) => {
    const sending = open(gateway.url, headers)
    const writing = writeAll(
      sending,
      Array.from({ length: count }, (_, index) => toLine(`line ${index}`)),
    ).then(() => sending.end())
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    const results: Result[] = []
    for await (const result of resultsOf(answer)) {
      results.push(result)
      onResult?.(result.index)
    }
    await writing
    return results
  }

  let killed: Promise<void> | undefined
  const first = await sendAll((index) => {
    if (index === count / 10) killed = redis.kill()
  })
  await killed
  t.equal(first.length, count, 'every line is answered')
  const statuses = new Set(first.map(({ status }) => status))
  t.same([...statuses].sort(), [202, 503])
  t.match(first.at(-1), { status: 503, error: { title: String } })
  t.comment(`${first.filter(({ status }) => status === 202).length} of ${count} were accepted before`)

  await redis.restart()
  await untilReading(gateway.url)
  const second = await sendAll()
  t.same([...new Set(second.map(({ status }) => status))], [202])
  t.same(
    first.filter(({ status, id }, index) => status === 202 && id !== second[index]?.id),
    [],
    'what was accepted is the same job',
  )
  t.equal(new Set(second.map(({ id }) => id)).size, count)
  t.equal(await redis.client.zcard('{jobgate}:external-api:prioritized'), count, 'and none is there twice')
})
