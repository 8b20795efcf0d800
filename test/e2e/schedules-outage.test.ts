// Schedules when no worker lives for a while: one run for all that were missed, and no schedule that stands still afterwards.

import { Worker } from 'bullmq'
import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { jobsOf, scheduleOf, untilRun } from '../helpers/schedules.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

const deadlineMs = 60_000
const second = 1000

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
