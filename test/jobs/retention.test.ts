import { pino } from 'pino'
import t, { type Test } from 'tap'
import { createFinishedJobs } from '../../src/bullmq/finished-jobs.js'
import { openQueues } from '../../src/bullmq/queues.js'
import type { Config } from '../../src/config/config.js'
import { createRetention } from '../../src/jobs/maintenance/retention.js'
import { createLock } from '../../src/redis/lock.js'
import { openDuty } from '../../src/runtime/duty.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const hour = 3_600_000
const lines: string[] = []
const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) })

/** A duty of the test's own on the Redis of an app; the app's own first round is a minute away. */
const openRetention = (t: Test, { services }: TestApp, limits: Partial<Config['queues']> = {}) => {
  const { keys, redis } = services
  const lock = createLock({ redis: redis.request, keys })
  const queues = openQueues({ redis: redis.request, prefix: keys.prefix, log, jobTypes: createJobTypes() })
  const defaults = { removeOnComplete: undefined, removeOnFail: undefined, retentionCompletedMs: hour, retentionFailedMs: hour }
  const finished = createFinishedJobs({ redis: redis.request, queues })
  const retention = openDuty(createRetention({ limits: { ...defaults, ...limits }, finished, log }), { lock, log })
  t.after(async () => {
    await retention.close()
    await queues.close()
  })
  /** How many jobs a round removed: what it says of itself. */
  const round = async () => {
    const before = lines.length
    await retention.trigger()
    const said = lines.slice(before).find((line) => line.includes('removed finished jobs'))
    return said ? JSON.parse(said).removed : 0
  }
  return { round, lock }
}

const submitOne = async ({ submit }: TestApp, label: string, options: object = {}): Promise<string> =>
  (await submit({ type: 'echo', data: { label }, options })).json().id
const statusOf = async ({ request }: TestApp, id: string) => (await request({ method: 'GET', url: `/v1/jobs/${id}` })).statusCode
const submitCancelled = async (test: TestApp, label: string): Promise<string> => {
  const id = await submitOne(test, label, { delayMs: hour })
  await test.request({ method: 'DELETE', url: `/v1/jobs/${id}` })
  return id
}

t.test('LRO-5 finished and cancelled jobs go in time, though no worker runs any more', async (t) => {
  const test = await buildTestApp(t, { env: { JOB_RETENTION_COMPLETED_MS: '5000', JOB_RETENTION_FAILED_MS: '5000' } })
  const completed = await submitOne(test, 'done')
  t.match(await test.finished(completed), { state: 'completed' })
  await test.services.closeWorkers()
  const cancelled = await submitCancelled(test, 'cancelled')
  const delayed = await submitOne(test, 'delayed', { delayMs: hour })
  for (const id of [completed, cancelled]) await eventually(`${id} is gone`, async () => (await statusOf(test, id)) === 404)
  t.equal(await statusOf(test, delayed), 200)
})

t.test('the oldest beyond a cap go, in steps', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { queueKeys, redis } = test.services
  const { failed } = queueKeys['external-api']
  const ids: string[] = []
  for (let at = 0; at < 4; at++) ids.push(await submitCancelled(test, `cancelled ${at}`))
  // More than one step takes, all older than those.
  const pipeline = redis.request.pipeline()
  for (let at = 0; at < 700; at++) {
    pipeline.zadd(failed, 1_700_000_000_000 + at, `ext_old${at}`)
    pipeline.hset(queueKeys['external-api'].job(`ext_old${at}`), 'name', 'echo')
  }
  await pipeline.exec()
  const { round } = openRetention(t, test, { removeOnFail: 3, retentionFailedMs: 366 * 24 * hour * 100 })
  t.equal(await round(), 701)
  t.same(await redis.request.zrange(failed, 0, '-1'), ids.slice(1))
  t.same(await redis.request.keys(queueKeys['external-api'].job('ext_old*')), [])
})

t.test('no cap, nothing too old: nothing goes, and nothing is written', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const id = await submitCancelled(test, 'kept')
  const before = await test.services.redis.request.xlen(test.services.queueKeys['external-api'].events)
  t.equal(await openRetention(t, test).round(), 0)
  t.equal(await statusOf(test, id), 200)
  t.equal(await test.services.redis.request.xlen(test.services.queueKeys['external-api'].events), before)
})

t.test('one instance is on duty', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const id = await submitCancelled(test, 'cancelled')
  const { round, lock } = openRetention(t, test, { removeOnFail: 0 })
  const elsewhere = await lock('retention', hour)
  t.equal(await round(), 0)
  t.equal(await statusOf(test, id), 200)
  await elsewhere?.release()
  t.equal(await round(), 1)
  t.equal(await statusOf(test, id), 404)
})

t.test('a round that fails is a warning, and the next one follows', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { queueKeys, redis } = test.services
  const id = await submitCancelled(test, 'cancelled')
  await redis.request.set(queueKeys.email.completed, 'not a set')
  openRetention(t, test, { retentionFailedMs: 1000 })
  await eventually('it fails', () => lines.some((line) => line.includes('removing finished jobs failed')))
  await redis.request.del(queueKeys.email.completed)
  await eventually('it goes on', async () => (await statusOf(test, id)) === 404)
})
