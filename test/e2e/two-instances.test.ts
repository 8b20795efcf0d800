// Two gateways on one Redis: what one accepted and runs is waited for, followed and cancelled through the other.

import t from 'tap'
import { eventually } from '../helpers/eventually.js'
import { createClient } from '../helpers/http-client.js'
import { openSse } from '../helpers/open-sse.js'
import { startOwnRedis } from '../helpers/own-redis.js'
import { createDataDir, startProbeGateway } from '../helpers/start-probe-process.js'

const deadlineMs = 60_000

t.test('two instances', async (t) => {
  const { dataDir, runs } = await createDataDir(t)
  const redis = await startOwnRedis(t, dataDir)
  await redis.client.call('ACL', 'SETUSER', 'runner', 'on', '>secret', '~*', '&*', '+@all')
  const env = { QUEUE_CONCURRENCY_EXTERNAL_API: '10' }
  const withWorkers = { ...env, WORKERS_ENABLED: 'true', REDIS_URL: `unix://runner:secret@localhost${redis.socketPath}` }
  const [runner, other] = await Promise.all([
    startProbeGateway(t, { dataDir, env: withWorkers }),
    startProbeGateway(t, { dataDir, env: { ...env, REDIS_URL: redis.url } }),
  ])
  const here = createClient(t, runner.url)
  const there = createClient(t, other.url)

  const clients = async () => String(await redis.client.client('LIST'))
  /** Somebody waits for events: the reader of the other gateway's long polls and streams. */
  const untilFollowed = () => eventually('a reader follows the events', async () => /cmd=xread /.test(await clients()), deadlineMs)
  const subscribers = async () => (await clients()).split('\n').filter((line) => /user=runner /.test(line) && / sub=[1-9]/.test(line))

  await t.test('PRF-2 waits with waitMs for a job that the other runs', async (t) => {
    const { body } = await here.submit('block', 'waited')
    await runs.started('waited')
    const waiting = there.get(`/v1/jobs/${body.id}?waitMs=30000`)
    await untilFollowed()
    runner.release('waited')
    t.match(await waiting, { status: 200, body: { id: body.id, state: 'completed', result: { label: 'waited' } } })
  })

  await t.test('PRF-2 waits with Prefer, reading and submitting', async (t) => {
    const answer = await there.submit('echo', 'preferred', { prefer: 'wait=30' })
    t.match(answer, { status: 200, headers: { 'preference-applied': 'wait=30' }, body: { state: 'completed' } })
    const { body } = await there.submit('block', 'preferred later')
    await runs.started('preferred later')
    const waiting = here.get(`/v1/jobs/${body.id}`, { prefer: 'wait=30' })
    runner.release('preferred later')
    t.match(await waiting, { status: 200, headers: { 'preference-applied': 'wait=30' }, body: { state: 'completed' } })
  })

  await t.test('SSE-2 streams every event of a job that the other runs', async (t) => {
    const { body } = await here.submit('progress', 'streamed', { options: { delayMs: 3_600_000 } })
    const stream = await openSse(`${other.url}/v1/jobs/${body.id}/events`)
    t.match(await stream.next(), { event: 'waiting', data: { id: body.id, state: 'delayed' } })
    t.equal((await here.post(`/v1/jobs/${body.id}/promote`)).status, 202)
    const events = await stream.rest()
    t.same(
      events.map(({ event }) => event),
      ['waiting', 'active', 'progress', 'progress', 'completed'],
    )
    t.same(
      events.filter(({ event }) => event === 'progress').map(({ data }) => data.progress),
      [50, { step: 'last' }],
    )
    t.match(events.at(-1)?.data, { id: body.id, state: 'completed', result: { label: 'streamed' } })
  })

  await t.test('LRO-6 cancels what the other runs', async (t) => {
    const { body } = await here.submit('block', 'cancelled')
    await runs.started('cancelled')
    const stream = await openSse(`${other.url}/v1/jobs/${body.id}/events`)
    t.match(await stream.next(), { event: 'active' })
    t.equal((await there.remove(`/v1/jobs/${body.id}`)).status, 202)
    t.match((await stream.rest()).at(-1), { event: 'cancelled', data: { state: 'cancelled', error: { code: 'cancelled' } } })
    t.match(await there.finished(body.id), { state: 'cancelled' })
    t.match(await runs.aborts('cancelled'), [{ reason: 'cancelled' }])
    t.equal((await runs.starts('cancelled')).length, 1, 'not retried')
  })

  await t.test('a cancellation is seen again after the subscriber was cut off', async (t) => {
    const { body } = await here.submit('block', 'cut')
    await runs.started('cut')
    const before = (await subscribers()).length
    t.ok(before > 0)
    await redis.client.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await eventually('it has subscribed again', async () => (await subscribers()).length === before, deadlineMs)
    t.equal((await there.remove(`/v1/jobs/${body.id}`)).status, 202)
    t.match(await there.finished(body.id), { state: 'cancelled' })
    t.match(await runs.aborts('cut'), [{ reason: 'cancelled' }])
  })

  await t.test('a lost message costs time, not truth', async (t) => {
    const { body } = await here.submit('block', 'lost')
    await runs.started('lost')
    // Cuts its subscribers off and keeps them from coming back.
    await redis.client.call('ACL', 'SETUSER', 'runner', 'resetchannels')
    await eventually('nobody listens', async () => (await subscribers()).length === 0, deadlineMs)
    t.equal((await there.remove(`/v1/jobs/${body.id}`)).status, 202)
    t.match(await there.finished(body.id), { state: 'cancelled' })
    t.match(await runs.aborts('lost'), [{ reason: 'cancelled' }])
    t.equal((await runs.starts('lost')).length, 1, 'not retried')
  })
})
