// SIGTERM while an import flows and a job runs: neither holds up the other, nor the stop.

import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { createInterface } from 'node:readline'
import { Queue } from 'bullmq'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { adminKey, createDataDir, startProbeGateway } from '../helpers/start-probe-process.js'

/** One line of the answer. */
interface Result {
  readonly index: number
  readonly status: number
  readonly id?: string
  readonly replayed?: boolean
  readonly error?: { readonly type: string }
}

const open = (url: string) =>
  request(`${url}/v1/jobs/batch`, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson', 'idempotency-key': '"import"' },
  })

const toLine = (index: number) => `${JSON.stringify({ type: 'echo', data: { label: `line ${index}` }, options: { delayMs: 3_600_000 } })}\n`

t.test('SHD-1 SIGTERM while an import flows', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const queue = new Queue('external-api', { prefix: '{jobgate}', connection: redis.client })
  t.after(() => queue.close())
  const env = { REDIS_URL: redis.url, WORKERS_ENABLED: 'true', SHUTDOWN_GRACE_MS: '500' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const { body: blocked } = await createClient(t, gateway.url).submit('block', 'held')
  await runs.started('held')

  // Its next line follows each answer, for as long as it is answered.
  const sending = open(gateway.url)
  sending.write(toLine(0))
  const [answer] = (await once(sending, 'response')) as [IncomingMessage]
  const results: Result[] = []
  let exit: Promise<number | null> | undefined
  for await (const line of createInterface({ input: answer })) {
    results.push(JSON.parse(line))
    if (results.length === 50) exit = gateway.close()
    sending.write(toLine(results.length))
  }
  t.equal(await exit, 0)

  t.equal(answer.complete, true, 'the answer ends in good order')
  const last = results.pop()
  t.match(last, { index: results.length, status: 503, error: { type: '/problems/shutting-down' } })
  t.ok(results.length >= 50)
  t.ok(
    results.every(({ status }) => status === 202),
    'every line that was read is answered',
  )
  t.equal(await queue.getDelayedCount(), results.length, 'and stored, and no other')
  t.same(
    (await Promise.all(results.map(({ id }) => queue.getJobState(id as string)))).filter((state) => state !== 'delayed'),
    [],
  )
  t.match(await runs.aborts('held'), [{ reason: 'shutdown' }])

  const next = await startProbeGateway(t, { dataDir, env: { ...env, WORKERS_ENABLED: 'false' } })
  const job = await createClient(t, next.url).get(`/v1/jobs/${blocked.id}`)
  t.match(job.body, { state: 'waiting', attempts: { made: 0 }, error: null }, 'the running job waits again, no attempt used up')

  const again = open(next.url)
  for (let index = 0; index <= results.length; index++) again.write(toLine(index))
  again.end()
  const [second] = (await once(again, 'response')) as [IncomingMessage]
  const repeated: Result[] = []
  for await (const line of createInterface({ input: second })) repeated.push(JSON.parse(line))
  t.same(
    repeated.slice(0, -1).map(({ id }) => id),
    results.map(({ id }) => id),
    'sent again, what was accepted is the same job',
  )
  t.match(repeated.at(-1), { status: 202 })
  t.equal(await queue.getDelayedCount(), repeated.length)
})

t.test('SHD-1 SIGTERM while a client reads nothing', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, WORKERS_ENABLED: 'true', SHUTDOWN_GRACE_MS: '0' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  await createClient(t, gateway.url).submit('block', 'held')
  await runs.started('held')
  const sending = open(gateway.url)
  sending.on('error', () => {})
  const faulty = `${JSON.stringify({ type: 'echo', data: Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`no${at}`, 0])) })}\n`
  const responded = once(sending, 'response')
  // Until neither side takes more.
  const flood = () => {
    while (sending.write(faulty));
  }
  sending.on('drain', flood)
  flood()
  const [answer] = (await responded) as [IncomingMessage]
  answer.on('error', () => {})
  let last = -1
  let still = 0
  await eventually(
    'the import stands still',
    () => {
      const now = sending.socket?.bytesWritten ?? 0
      still = now === last && sending.writableNeedDrain ? still + 1 : 0
      last = now
      return still > 200
    },
    60_000,
  )
  const exit = gateway.close()
  await eventually('the job is handed back', async () => (await runs.aborts('held')).length > 0, 60_000)
  t.notMatch(gateway.output.join(''), /closing their connections/, 'while the client holds its connection')
  t.equal(await exit, 0)
  t.match(gateway.output.join(''), /closing their connections/)
})
