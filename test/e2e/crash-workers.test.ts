// Workers that die with a job: it runs again, and one that kills every worker is put away.

import t from 'tap'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

/** A worker that dies holds its job this long, and others look for such jobs this often. A living one must not lose its own when starved. */
const lockMs = 3000
const stalledIntervalMs = 1000
/** The first hand-out and those after four lost workers. */
const handOutsMax = 5

t.test('SIGKILL of a worker', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: String(lockMs), WORKER_STALLED_INTERVAL_MS: String(stalledIntervalMs) }
  const gateway = await startProbeGateway(t, { dataDir, env })
  const client = createClient(t, gateway.url)

  const [one, two] = await Promise.all([startProbeWorker(t, { dataDir, env }), startProbeWorker(t, { dataDir, env })])

  await t.test('its job runs again and ends', async (t) => {
    const { body } = await client.submit('block', 'orphan')
    await runs.started('orphan')
    const [first] = await runs.starts('orphan')
    const [holder, other] = first?.pid === one.pid ? [one, two] : [two, one]
    await holder.kill()
    const killedAt = Date.now()
    await runs.started('orphan', 2)
    const [, again] = await runs.starts('orphan')
    t.comment(`again ${(again?.at ?? 0) - killedAt} ms after the kill; promised are ${lockMs + 2 * stalledIntervalMs} ms`)
    t.match(again, { jobId: body.id, pid: other.pid, attempt: 1 }, 'the lost run used up no attempt')
    other.release('orphan')
    t.match(await client.finished(body.id), { state: 'completed', attempts: { made: 1 } })
  })

  await t.test('a job that kills every worker ends as failed', async (t) => {
    // One is left of the test before.
    const more = await Promise.all(Array.from({ length: handOutsMax }, () => startProbeWorker(t, { dataDir, env })))
    const workers = [one, two, ...more]
    const dead = new Set<number>()
    for (const { pid, exited } of workers) exited.then(() => dead.add(pid))
    const { body } = await client.submit('poison', 'poison')
    await runs.started('poison', handOutsMax)
    const job = await client.finished(body.id)
    t.match(job, { state: 'failed', error: { code: 'worker_lost', retryable: false } })
    const survivors = workers.filter(({ pid }) => !dead.has(pid))
    t.equal(survivors.length, 1, 'the cap spares a worker')

    const after = await client.submit('echo', 'after')
    t.match(await client.finished(after.body.id), { state: 'completed' }, 'the queue goes on')
    t.equal((await runs.starts('poison')).length, handOutsMax, 'and poison was not handed out again')
    t.match(await client.get(`/v1/jobs/${body.id}`), { status: 200, body: { state: 'failed' } })
  })
})
