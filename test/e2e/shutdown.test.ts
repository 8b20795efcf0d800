// SIGTERM under load: unready first, every answer whole, every accepted job kept, exit code 0.

import { once } from 'node:events'
import { Agent, type IncomingMessage, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { Queue } from 'bullmq'
import t, { type Test } from 'tap'
import { eventually } from '../helpers/eventually.js'
import { createClient } from '../helpers/http-client.js'
import { openSse } from '../helpers/open-sse.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { adminKey, createDataDir, startProbeGateway } from '../helpers/start-probe-process.js'

const deadlineMs = 60_000
const clients = 8

/** What became of one request of a client that keeps its connections. */
type Sent =
  | { readonly kind: 'answered'; readonly status: number; readonly id: string | undefined; readonly connection: string | undefined }
  /** Nobody listens any more; or the kernel had taken the connection, and nobody came to fetch it. */
  | { readonly kind: 'refused' }
  | { readonly kind: 'broken'; readonly error: string }

const send = async (agent: Agent, url: string): Promise<Sent> => {
  const body = JSON.stringify({ type: 'echo', data: { label: 'load' } })
  const sending = request(`${url}/v1/jobs`, {
    method: 'POST',
    agent,
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', 'content-length': String(body.length) },
  })
  try {
    sending.end(body)
    const [answer] = (await once(sending, 'response')) as [IncomingMessage]
    const { id } = JSON.parse(await text(answer)) as { id?: string }
    return { kind: 'answered', status: answer.statusCode as number, id, connection: answer.headers.connection }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    const isUnheard = code === 'ECONNREFUSED' || (code === 'ECONNRESET' && !sending.reusedSocket)
    return isUnheard ? { kind: 'refused' } : { kind: 'broken', error: `${code} ${message}` }
  }
}

/** Keeps sending over kept connections until nobody listens; `sent` grows meanwhile. */
const startLoad = (t: Test, url: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: clients })
  t.after(() => agent.destroy())
  const sent: Sent[] = []
  const run = async () => {
    for (;;) {
      const one = await send(agent, url)
      sent.push(one)
      if (one.kind !== 'answered') return
    }
  }
  return { sent, done: Promise.all(Array.from({ length: clients }, run)) }
}

t.test('HLT-2 SHD-1 the gateway under load', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const queue = new Queue('external-api', { prefix: '{jobgate}', connection: redis.client })
  t.after(() => queue.close())
  const env = { REDIS_URL: redis.url, SHUTDOWN_DRAIN_MS: '1500', WORKERS_ENABLED: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: '10' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, gateway.url)

  const { body: blocked } = await client.submit('block', 'ends')
  await runs.started('ends')
  const polled = client.get(`/v1/jobs/${blocked.id}?waitMs=30000`)
  const stream = await openSse(`${gateway.url}/v1/jobs/${blocked.id}/events`)
  t.match(await stream.next(), { event: 'active' })
  const streamed = stream.rest()
  const { body: delayed } = await client.submit('echo', 'later', { options: { delayMs: 3_600_000 } })
  const waited = client.submit('block', 'waits', { prefer: 'wait=30' })
  await runs.started('waits')

  const load = startLoad(t, gateway.url)
  await eventually('the load runs', () => load.sent.length > 100, deadlineMs)
  const exit = gateway.close()

  await eventually('it is unready', async () => (await fetch(`${gateway.url}/readyz`)).status === 503, deadlineMs)
  const alive = await fetch(`${gateway.url}/livez`)
  t.equal(alive.status, 200, 'unready, and still alive')
  const during = load.sent.length
  await eventually('it still accepts', () => load.sent.length > during + clients * 2, deadlineMs)
  const drained = load.sent.slice(during + clients, during + clients * 2)
  t.ok(
    drained.every((each) => each.kind === 'answered' && each.status === 202 && each.connection === 'close'),
    'answers while it drains, and lets its clients go elsewhere',
  )

  t.match(await polled, { status: 200, body: { id: blocked.id, state: 'active' } }, 'a long poll ends with the present state')
  t.match(await waited, { status: 202, body: { data: { label: 'waits' } } }, 'a waited submission ends as accepted')
  t.same(await streamed, [], 'an event stream ends in good order')
  gateway.release('ends')
  gateway.release('waits')
  t.equal(await exit, 0)

  await load.done
  const answered = load.sent.filter((each) => each.kind === 'answered')
  t.same(
    load.sent.filter((each) => each.kind === 'broken'),
    [],
    'no answer is broken',
  )
  t.same(
    answered.filter(({ status }) => status !== 202 && status !== 503),
    [],
  )
  const accepted = answered.filter(({ status }) => status === 202)
  t.comment(`${accepted.length} of ${answered.length} were accepted`)
  const next = await startProbeGateway(t, { dataDir, env: { ...env, SHUTDOWN_DRAIN_MS: '0' } })
  const again = createClient(t, next.url)
  await eventually('all have run', async () => (await queue.getJobCounts('prioritized', 'wait', 'active')).prioritized === 0, deadlineMs)
  await eventually('the last one has', async () => (await runs.ends('load')).length >= accepted.length, deadlineMs)
  const starts = await runs.startsById()
  t.same(
    accepted.filter(({ id }) => starts.get(id as string) !== 1),
    [],
    'each accepted job ran once',
  )
  t.equal((await runs.starts('load')).length, accepted.length, 'and no job was made for those that had no answer')
  for (const id of [blocked.id, (await waited).body.id]) {
    t.match((await again.get(`/v1/jobs/${id}`)).body, { state: 'completed', attempts: { made: 1 } }, 'a running job was let finish')
  }
  t.match((await again.get(`/v1/jobs/${delayed.id}`)).body, { state: 'delayed' })
})
