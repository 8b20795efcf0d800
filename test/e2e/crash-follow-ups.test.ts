// A worker that dies between the follow-ups of a job and its completion: the job runs again, what follows it does not.

import t from 'tap'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

/** A dead worker holds its job for seconds: a living one that is starved of processor time keeps its own. */
const stalling = { WORKER_LOCK_MS: '5000', WORKER_STALLED_INTERVAL_MS: '1000' }

t.test('SIGKILL of a worker between the follow-ups of a job and its completion', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const proxy = await startRedisProxy(t, { target: { path: redis.socketPath } })
  const direct = { dataDir, env: { ...stalling, REDIS_URL: redis.url } }
  const gateway = await startProbeGateway(t, direct)
  const client = createClient(t, gateway.url)

  for (const [name, submitted] of [
    ['none is missing', 2],
    ['the last one is missing', 1],
  ] as const) {
    await t.test(name, async (t) => {
      const label = (what: string) => `${what}, ${name}`
      const followUps = [
        { type: 'echo', data: { label: label('next'), nested: 0 }, resultInto: { '/nested': '' } },
        { type: 'echo', data: { label: label('later') }, options: { delayMs: 3_600_000 } },
      ]
      const first = await client.post('/v1/jobs', { type: 'echo', data: { label: label('first') }, followUps })
      const ids = first.body.followUps as [string, string]
      // The command that completes a job says so in an argument; the one that submits a follow-up has its id.
      const held = proxy.holdBefore(submitted === 2 ? '\r\nreturnvalue\r\n' : ids[1])
      const victim = await startProbeWorker(t, { dataDir, env: { ...stalling, REDIS_URL: `redis://127.0.0.1:${proxy.port}` } })
      await held
      t.match(await client.get(`/v1/jobs/${first.body.id}`), { body: { state: 'active' } })
      t.same(
        await Promise.all(ids.map(async (id) => (await client.get(`/v1/jobs/${id}`)).status)),
        submitted === 2 ? [200, 200] : [200, 404],
      )
      await victim.kill()

      const other = await startProbeWorker(t, direct)
      const again = await client.finished(first.body.id)
      t.match(again, { state: 'completed', attempts: { made: 1 }, result: { label: label('first') }, followUps: ids })
      t.match(await client.finished(ids[0]), { state: 'completed', data: { nested: { label: label('first') } } })
      t.match(await client.get(`/v1/jobs/${ids[1]}`), { body: { state: 'delayed' } })
      t.match(await client.post(`/v1/jobs/${ids[1]}/promote`), { status: 202 })
      t.match(await client.finished(ids[1]), { state: 'completed' })
      await other.close()

      const starts = await runs.startsById()
      const jobs = [first.body.id, ...ids]
      t.same(
        jobs.map((id) => starts.get(id)),
        [2, 1, 1],
        'the job ran again, what follows it did not',
      )
      t.same(
        (await runs.starts(label('first'))).map(({ pid }) => pid),
        [victim.pid, other.pid],
      )
    })
  }
  const { items } = (await client.get('/v1/jobs')).body as { items: { id: string }[] }
  t.same(new Set(items.map(({ id }) => id)), new Set((await runs.startsById()).keys()), 'there are no other jobs')
  t.equal(items.length, 6)
})
