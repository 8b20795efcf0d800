// Schedules while instances come and go: no run lost as long as one of them lives, none doubled, one for all that an outage took.

import { Worker } from 'bullmq'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { type Client, createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

const deadlineMs = 60_000
const second = 1000

const scheduleOf = async (client: Client, id: string) => (await client.get(`/v1/schedules/${id}`)).body
const untilOver = (client: Client, id: string) =>
  eventually(`${id} is over`, async () => (await scheduleOf(client, id)).nextRunAt === null, deadlineMs)
const untilRun = (client: Client, id: string, runs: number) =>
  eventually(`${id} has had ${runs} runs`, async () => (await scheduleOf(client, id)).runs >= runs, deadlineMs)
const jobsOf = async (client: Client, scheduleId: string) =>
  (await client.get('/v1/jobs?limit=200')).body.items.filter((job: { scheduleId?: string }) => job.scheduleId === scheduleId)

t.test('instances that are killed, stopped and started', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, QUEUE_CONCURRENCY_EXTERNAL_API: '10', WORKER_LOCK_MS: '2000', WORKER_STALLED_INTERVAL_MS: '1000' }
  const start = () => startProbeGateway(t, { dataDir, env: { ...env, WORKERS_ENABLED: 'true' } })
  const [front, one, two] = await Promise.all([startProbeGateway(t, { dataDir, env }), start(), start()])
  const client = createClient(t, front.url)
  const limit = 12
  const startAt = Math.ceil(Date.now() / second) * second + second
  const body = { type: 'echo', data: { label: 'tick' }, everyMs: second, startAt: new Date(startAt).toISOString(), limit }
  t.equal((await client.put('/v1/schedules/s', body)).status, 201)

  await untilRun(client, 's', 2)
  await one.kill()
  const three = await start()
  const four = start()
  await two.close()
  await four
  await three.kill()
  await untilOver(client, 's')

  const { runs: made, skippedRuns, lastRun } = await scheduleOf(client, 's')
  t.same([made, skippedRuns], [limit, 0])
  t.equal((Date.parse(lastRun.dueAt) - startAt) / second, limit - 1, 'no tick was passed over')
  const jobs = await jobsOf(client, 's')
  t.equal(jobs.length, limit, 'one job for each')
  const starts = await runs.startsById()
  for (const { id } of jobs) {
    t.match(await client.finished(id), { state: 'completed' })
    t.ok(starts.has(id))
  }
  t.equal(starts.size, limit)
  t.comment(
    'late by ms',
    jobs.map(({ createdAt }: { createdAt: string }, at: number) => Date.parse(createdAt) - startAt - (limit - 1 - at) * second).reverse(),
  )
})

t.test('an outage of all workers', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '1000', WORKER_STALLED_INTERVAL_MS: '500' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, gateway.url)

  await t.test('one run for all that were missed, and then on time', async (t) => {
    const worker = await startProbeWorker(t, { dataDir, env })
    await client.put('/v1/schedules/outage', { type: 'echo', data: { label: 'outage' }, everyMs: second })
    await untilRun(client, 'outage', 2)
    await worker.kill()
    const before = await scheduleOf(client, 'outage')
    await eventually('five are missed', () => Date.now() - Date.parse(before.nextRunAt) > 5 * second, deadlineMs)
    t.same(await scheduleOf(client, 'outage'), before, 'without workers nothing runs, and nothing piles up')
    const backAt = Date.now()
    const again = await startProbeWorker(t, { dataDir, env })
    await untilRun(client, 'outage', before.runs + 4)
    const after = await scheduleOf(client, 'outage')
    const onTime = Math.floor((Date.parse(after.lastRun.dueAt) - backAt) / second) + 1
    const caughtUp = after.runs - before.runs - onTime
    t.ok(caughtUp <= 1, `${after.runs - before.runs} runs, at most ${onTime} of them were due since`)
    await client.remove('/v1/schedules/outage')
    await again.close()
  })

  await t.test('a worker that dies with a tick, before there is a next one, does not end the schedule', async (t) => {
    const connection = redis.client.duplicate()
    const worker = new Worker('schedules', null, {
      connection,
      prefix: '{jobgate}',
      lockDuration: second,
      autorun: false,
    })
    worker.on('error', () => {})
    await client.put('/v1/schedules/gap', { type: 'echo', data: { label: 'gap' }, everyMs: second })
    // BullMQ's own call would make the next tick as well.
    const { backend } = worker as unknown as { backend: { moveToActive(token: string): Promise<[unknown, string]> } }
    const [, id] = await backend.moveToActive('dead')
    t.match(id, /^repeat:/)
    await worker.close(true)
    connection.disconnect()
    await startProbeWorker(t, { dataDir, env })
    await untilRun(client, 'gap', 3)
    const jobs = await jobsOf(client, 'gap')
    t.equal(new Set(jobs.map((job: { id: string }) => job.id)).size, jobs.length)
    t.equal((await runs.starts('gap')).length >= 2, true)
    await client.remove('/v1/schedules/gap')
  })
})

t.test('a run that kills every worker ends as failed', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '1000', WORKER_STALLED_INTERVAL_MS: '500' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, gateway.url)
  await client.put('/v1/schedules/poison', { type: 'poison', data: { label: 'poison' }, everyMs: second, limit: 1 })
  // The first hand-out and those after four lost workers; one is left.
  const handOutsMax = 5
  await Promise.all(Array.from({ length: handOutsMax + 1 }, () => startProbeWorker(t, { dataDir, env })))
  await runs.started('poison', handOutsMax)
  const [{ id }] = await jobsOf(client, 'poison')
  t.match(await client.finished(id), { state: 'failed', scheduleId: 'poison', error: { code: 'worker_lost' } })
  await client.put('/v1/schedules/after', { type: 'echo', data: { label: 'after' }, everyMs: second, limit: 1 })
  await runs.started('after')
  t.equal((await runs.starts('poison')).length, handOutsMax)
})
