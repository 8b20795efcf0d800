// Running jobs when their process gets SIGTERM: let finish, or told to stop and released; exit code 0.

import { Queue } from 'bullmq'
import t from 'tap'
import { createClient } from '../helpers/http-client.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir, startProbeGateway, startProbeWorker } from '../helpers/start-probe-process.js'

t.test('SHD-1 SIGTERM while jobs run', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  const queue = new Queue('external-api', { prefix: '{jobgate}', connection: redis.client })
  t.after(() => queue.close())
  const env = { REDIS_URL: redis.url, QUEUE_CONCURRENCY_EXTERNAL_API: '10', SHUTDOWN_GRACE_MS: '1000' }
  const options = { dataDir, env }
  const gateway = await startProbeGateway(t, options)
  const client = createClient(t, gateway.url)

  const runners = {
    'a gateway with workers': () => startProbeGateway(t, { dataDir, env: { ...env, WORKERS_ENABLED: 'true' } }),
    'workers alone': () => startProbeWorker(t, options),
  }
  for (const [name, startRunner] of Object.entries(runners)) {
    await t.test(name, async (t) => {
      const runner = await startRunner()
      const submit = async (what: string, type: string) => {
        const label = `${what} in ${name}`
        const { body } = await client.submit(type, label)
        await runs.started(label)
        return { id: body.id as string, label }
      }
      const ends = await submit('ends', 'block')
      const released = [await submit('obeys', 'block'), await submit('ignores', 'stubborn')]
      const exit = runner.close()
      runner.release(ends.label)
      t.equal(await exit, 0)

      t.match((await client.get(`/v1/jobs/${ends.id}`)).body, { state: 'completed', attempts: { made: 1 } }, 'was let finish')
      t.same(await runs.aborts(ends.label), [])
      t.equal(await queue.getActiveCount(), 0)
      for (const { id, label } of released) {
        t.match(
          (await client.get(`/v1/jobs/${id}`)).body,
          { state: 'waiting', attempts: { made: 0 }, error: null },
          `${label}: waits again`,
        )
        t.match(await runs.aborts(label), [{ reason: 'shutdown' }])
      }

      const heir = await startRunner()
      for (const { id, label } of released) {
        await runs.started(label, 2)
        heir.release(label)
        t.match(await client.finished(id), { state: 'completed', attempts: { made: 1 } }, `${label}: runs again, no attempt used up`)
      }
      t.equal(await heir.close(), 0)
    })
  }
})
