// Jobs whose attempts came to no end: released, lost, deferred, and what that means for their limits.

import t from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { carryOut } from '../helpers/operations.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'

const runsOf = ({ probes }: TestApp, label: string) => probes.runs.filter((run) => run.label === label).length
const stored = ({ services }: TestApp, id: string) => services.queueKeys['external-api'].job(id)
const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id

/** Its time to start is over from now on. */
const expire = async (test: TestApp, id: string) => {
  const { request } = test.services.redis
  const envelope = JSON.parse((await request.hget(stored(test, id), 'data')) as string)
  await request.hset(stored(test, id), 'data', JSON.stringify({ ...envelope, expiresAt: Date.now() - 1 }))
}

/** Runs the job in a worker of its own that is closed meanwhile. */
const release = async (t: Parameters<typeof buildTestApp>[0], test: TestApp, label: string) => {
  const before = runsOf(test, label)
  const worker = await buildTestApp(t, { beside: test })
  await eventually('it runs', () => runsOf(test, label) > before)
  await worker.app.close()
  await worker.services.close()
}

t.test('a job may be released as often as workers are replaced; what a lost worker had begun in time goes on', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const often = await submitOne(test, 'block', 'often')
  for (let heir = 1; heir <= 6; heir++) await release(t, test, 'often')
  await expire(test, often)
  test.probes.release('often')
  const worker = await buildTestApp(t, { beside: test })
  t.match(await test.finished(often), { state: 'completed', attempts: { made: 1 } })
  // A worker that closes may fetch once more what it has just released, and releases it again.
  const releases = Number(await test.services.redis.request.hget(stored(test, often), 'jg:handedBack'))
  t.ok(releases >= 6)
  t.equal(runsOf(test, 'often'), releases + 1)

  await t.test('its releases are forgotten when it is retried or sent back', async (t) => {
    const id = await submitOne(test, 'refuse', 'retried')
    const again = {
      retried: () => test.request({ method: 'POST', url: `/v1/jobs/${id}/retry` }),
      'sent back': () => carryOut(test, 'external-api/retry-failed', {}),
    }
    for (const [how, retry] of Object.entries(again)) {
      await test.finished(id)
      await test.services.redis.request.hset(stored(test, id), 'jg:handedBack', 3)
      await retry()
      t.equal(await test.services.redis.request.hexists(stored(test, id), 'jg:handedBack'), 0, how)
    }
  })
  await worker.app.close()
  await worker.services.close()
})

t.test('expired means: not begun by then', async (t) => {
  const test = await buildTestApp(t)
  const { request } = test.services.redis
  /** As Redis has a job whose worker died so often. */
  const lost = async (id: string, times: number) => {
    await expire(test, id)
    await request.hset(stored(test, id), 'ats', times)
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
    return test.finished(id)
  }
  const later = { options: { delayMs: 3_600_000 } }
  t.match(await lost(await submitOne(test, 'echo', 'never', later), 0), { state: 'failed', error: { code: 'expired' } })
  t.match(await lost(await submitOne(test, 'echo', 'lost', later), 1), { state: 'completed' })
  t.match(await lost(await submitOne(test, 'echo', 'poison', later), 5), { state: 'failed', error: { code: 'worker_lost' } })

  const deferred = await submitOne(test, 'busy', 'deferred')
  await eventually('it is deferred', async () => (await request.hget(stored(test, deferred), 'jg:deferrals')) === '1')
  await eventually('it waits', async () => (await request.zscore(test.services.queueKeys['external-api'].delayed, deferred)) !== null)
  t.match(await lost(deferred, 1), { state: 'failed', error: { code: 'expired' } })

  const running = await submitOne(test, 'busy', 'deferred, then lost')
  await eventually('it waits', async () => (await request.zscore(test.services.queueKeys['external-api'].delayed, running)) !== null)
  t.match(await lost(running, 2), { state: 'completed', result: { isExpired: false } })
})

t.test('what was not let begin is not released', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const proxy = await startRedisProxy(t, { target: { path: test.services.redis.socketPath as string } })
  const worker = await buildTestApp(t, { beside: test, env: { REDIS_URL: `redis://127.0.0.1:${proxy.port}` } })
  const blocks = await submitOne(test, 'block', 'blocks')
  await test.probes.started('blocks')
  const expired = await submitOne(test, 'echo', 'expired', { options: { delayMs: 3_600_000 } })
  await expire(test, expired)
  const deciding = proxy.holdBefore('jg:byHand')
  await test.request({ method: 'POST', url: `/v1/jobs/${expired}/promote` })
  await deciding
  await worker.app.close()
  const closed = worker.services.close()
  await eventually('all attempts are told to stop', () => test.probes.signalOf(blocks)?.reason === 'shutdown')
  proxy.cut()
  await closed
  const read = async (id: string) => (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
  t.match(await read(expired), { state: 'failed', error: { code: 'expired' } })
  t.match(await read(blocks), { state: 'waiting' })
})
t.end()
