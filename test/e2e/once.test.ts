// Exactly one job for one idempotency key, over real connections, whatever became of the first one meanwhile.

import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import t from 'tap'
import { createClient } from '../helpers/http-client.js'
import { createDataDir, startProbeGateway } from '../helpers/start-probe-process.js'

const repeats = 1000

t.test('one key, 1,000 requests', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const gateway = await startProbeGateway(t, {
    dataDir,
    env: { WORKERS_ENABLED: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: '1', QUEUE_REMOVE_ON_COMPLETE: '1' },
  })
  const client = createClient(t, gateway.url)
  const connection = new Redis({ path: `${dataDir}/redis/redis.sock`, maxRetriesPerRequest: null })
  t.after(() => connection.disconnect())
  const queue = new Queue('external-api', { prefix: '{jobgate}', connection })
  t.after(() => queue.close())

  const sendAll = (type: string, label: string, more: object = {}) =>
    Promise.all(Array.from({ length: repeats }, () => client.submit(type, label, { key: label, ...more })))
  /** One worker takes jobs in order: when a later one is finished, no earlier one waits any more. */
  const drain = async (label: string) => {
    const { body } = await client.submit('echo', label)
    t.match(await client.finished(body.id), { state: 'completed' })
    return body.id as string
  }
  await t.test('IDK-15 in parallel: one job, one id in every 2xx', async (t) => {
    const answers = await sendAll('echo', 'parallel')
    const accepted = answers.filter(({ status }) => status === 202)
    t.same(
      [...new Set(answers.map(({ status }) => status))].filter((status) => ![202, 409].includes(status)),
      [],
    )
    t.ok(accepted.length > 0)
    t.same([...new Set(accepted.map(({ body }) => body.id))], [accepted[0]?.body.id])
    t.equal(accepted.filter(({ headers }) => headers['idempotent-replayed'] === undefined).length, 1, 'one of them was the first')
    await drain('after parallel')
    t.equal((await runs.starts('parallel')).length, 1)
  })

  /** Runs a job, takes it away, sends it again: the same id, no second run. */
  const survives = (name: string, takeAway: (id: string) => Promise<unknown>) =>
    t.test(`IDK-10 ${name}`, async (t) => {
      const first = await client.submit('echo', name, { key: name })
      t.match(await client.finished(first.body.id), { state: 'completed' })
      await takeAway(first.body.id)
      t.equal((await client.get(`/v1/jobs/${first.body.id}`)).status, 404, 'the job is gone')
      t.equal(await queue.getJob(first.body.id), undefined)
      const answers = await sendAll('echo', name)
      t.same([...new Set(answers.map(({ status, body }) => `${status} ${body.id}`))], [`202 ${first.body.id}`])
      t.ok(answers.every(({ headers }) => headers['idempotent-replayed'] === 'true'))
      t.same(answers.at(-1)?.body, first.body, 'the answer is the first one')
      await drain(`after ${name}`)
      t.equal((await runs.starts(name)).length, 1)
    })

  await survives('evicted by QUEUE_REMOVE_ON_COMPLETE', () => drain('evicts'))
  await survives("removed by BullMQ's clean", () => queue.clean(0, 1000, 'completed'))
  await survives('removed by job.remove', async (id) => (await queue.getJob(id))?.remove())
  await survives('obliterated with its queue', async () => {
    await queue.obliterate({ force: true })
    await queue.resume()
  })

  await t.test('IDK-10 cancelled before it ran', async (t) => {
    const options = { delayMs: 3_600_000 }
    const first = await client.submit('echo', 'cancelled', { key: 'cancelled', options })
    t.equal((await client.remove(`/v1/jobs/${first.body.id}`)).status, 200)
    const answers = await sendAll('echo', 'cancelled', { options })
    t.same([...new Set(answers.map(({ status, body }) => `${status} ${body.id}`))], [`202 ${first.body.id}`])
    t.match((await client.get(`/v1/jobs/${first.body.id}`)).body, { state: 'cancelled' })
    t.same(await queue.getDelayedCount(), 0)
    await drain('after cancelled')
    t.equal((await runs.starts('cancelled')).length, 0)
  })

  await t.test('IDK-10 cancelled while it ran', async (t) => {
    const first = await client.submit('block', 'stopped', { key: 'stopped' })
    await runs.started('stopped')
    t.equal((await client.remove(`/v1/jobs/${first.body.id}`)).status, 202)
    t.match(await client.finished(first.body.id), { state: 'cancelled' })
    const answers = await sendAll('block', 'stopped')
    t.same([...new Set(answers.map(({ status, body }) => `${status} ${body.id}`))], [`202 ${first.body.id}`])
    await drain('after stopped')
    t.equal((await runs.starts('stopped')).length, 1)
  })
})
