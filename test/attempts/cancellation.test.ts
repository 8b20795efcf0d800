// What cancelled jobs come to, and those that were cancelled before: the mark in the job decides, a message only says when to look.

import pino from 'pino'
import t from 'tap'
import { openCancellation } from '../../src/attempts/cancellation.js'
import { cancelledReason, endMark } from '../../src/bullmq/cancelled.js'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

const cancel = ({ request }: TestApp, id: string) => request({ method: 'DELETE', url: `/v1/jobs/${id}` })

t.test('a cancelled job that is retried elsewhere is not cancelled again', async (t) => {
  const gateway = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const first = await buildTestApp(t, { beside: gateway })
  const { id } = (await gateway.submit({ type: 'block', data: { label: 'again' } })).json()
  await gateway.probes.started('again')
  await buildTestApp(t, { beside: gateway })
  const { redis, keys } = gateway.services
  await eventually('both listen', async () => (await redis.request.pubsub('NUMSUB', keys.cancelled))[1] === 2)
  t.equal((await cancel(gateway, id)).statusCode, 202)
  t.match(await gateway.finished(id), { state: 'cancelled' })
  await first.app.close()
  await first.services.close()

  gateway.probes.release('again')
  await gateway.request({ method: 'POST', url: `/v1/jobs/${id}/retry` })
  await eventually('it runs again', () => gateway.probes.runs.filter(({ label }) => label === 'again').length === 2)
  t.match(await gateway.finished(id), { state: 'completed' })
})

t.test('whatever the handler of a cancelled attempt says, it ends as cancelled and nothing follows', async (t) => {
  const test = await buildTestApp(t)
  const followUps = [{ type: 'echo', data: { label: 'follows' } }]
  const { id, followUps: ids } = (await test.submit({ type: 'stubborn', data: { label: 'deaf' }, followUps })).json()
  await test.probes.started('deaf')
  t.equal((await cancel(test, id)).statusCode, 202)
  await eventually('its signal fires', () => test.probes.signalOf(id)?.aborted === true)
  test.probes.release('deaf')
  t.match(await test.finished(id), { state: 'cancelled', result: null, error: { code: 'cancelled' } })
  t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${ids[0]}` })).statusCode, 404)
})

t.test('a message that comes before its attempt stops the attempt only if the job is marked', async (t) => {
  const { redis } = await startRedis(t)
  const keys = createKeys('{jobgate}')
  const queue = createQueuePlaces('{jobgate}', createJobTypes()).partitionsOf('email')[0] as QueueKeys
  const client = redis.connect('worker')
  const cancellation = await openCancellation({ subscriber: redis.connect('events'), redis: client, keys, log: pino({ level: 'silent' }) })
  t.after(cancellation.close)
  await eventually('it listens', async () => (await client.pubsub('NUMSUB', keys.cancelled))[1] === 1)
  for (const id of ['marked', 'last']) await client.hset(queue.job(id), endMark, cancelledReason)
  const last = cancellation.begin('last', queue.job('last'))
  for (const id of ['retried', 'marked', 'last']) await client.publish(keys.cancelled, id)
  await eventually('all messages have come', () => last.reason === 'cancelled')

  const retried = cancellation.begin('retried', queue.job('retried'))
  const marked = cancellation.begin('marked', queue.job('marked'))
  await eventually('the marked one is stopped', () => marked.reason === 'cancelled')
  t.equal(retried.reason, null)
})
t.end()
