// Schedules while instances come and go: no run lost as long as one of them lives, none doubled, and poison put away.

import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { jobsOf, scheduleOf, untilOver, untilRun } from '../helpers/schedules.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

const second = 1000

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
  // A run is counted first and submitted then: the last may be on its way still.
  await eventually('one job for each', async () => (await jobsOf(client, 's')).length >= limit)
  const jobs = await jobsOf(client, 's')
  t.equal(jobs.length, limit, 'and no more')
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

t.test('a run that kills every worker ends as failed', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '1000', WORKER_STALLED_INTERVAL_MS: '500' }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, gateway.url)
  // The first hand-out and those after four lost workers; one is left.
  const handOutsMax = 5
  // All of them first: the job ends a worker that has not said yet that it runs.
  await Promise.all(Array.from({ length: handOutsMax + 1 }, () => startProbeWorker(t, { dataDir, env })))
  await client.put('/v1/schedules/poison', { type: 'poison', data: { label: 'poison' }, everyMs: second, limit: 1 })
  await runs.started('poison', handOutsMax)
  const [{ id }] = await jobsOf(client, 'poison')
  t.match(await client.finished(id), { state: 'failed', scheduleId: 'poison', error: { code: 'worker_lost' } })
  await client.put('/v1/schedules/after', { type: 'echo', data: { label: 'after' }, everyMs: second, limit: 1 })
  await runs.started('after')
  t.equal((await runs.starts('poison')).length, handOutsMax)
})
