import pino from 'pino'
import t from 'tap'
import type { QueueKeys } from '../../src/bullmq/queue-keys.js'
import { openQueues } from '../../src/bullmq/queues.js'
import { createJobReader, createKindReader, toStoredJob, toStoredKind } from '../../src/bullmq/read-jobs.js'
import { createJobTypes } from '../../src/types/registry.js'
import { startRedis } from '../helpers/start-redis.js'

t.test('what a job holds keeps its text and its place, whatever the reason says', async (t) => {
  const { redis } = await startRedis(t)
  const client = redis.connect('worker')
  const queues = openQueues({ redis: client, prefix: '{jobgate}', log: pino({ level: 'silent' }), jobTypes: createJobTypes() })
  t.after(() => queues.close())
  const queue = queues.partitionsOf('email')[0] as QueueKeys
  const read = createJobReader(client)
  const stored = { name: 'probe\x1fx', data: '{"label":"ä\\u001f"}', opts: '{"attempts":2}', timestamp: '1', finishedOn: '3', atm: '2' }
  await client.hset(queue.job('mail_1'), { ...stored, failedReason: 'one\x1ftwo\x1f' })
  await client.hset(queue.job('mail_2'), { ...stored, name: 'probe', returnvalue: '"✓"', parentKey: 'a:b:c', 'jg:retriedOn': '7' })
  await client.zadd(queue.completed, 3, 'mail_2')
  const ids = ['mail_1', 'mail_2', 'mail_3']
  const texts = await Promise.all(ids.map((id) => read(queue, { id, tenant: undefined })))
  const [one, two, none] = texts.map((text, at) => text && toStoredJob(ids[at] as string, text))
  const shared = {
    data: stored.data,
    options: stored.opts,
    timestamp: '1',
    finishedOn: '3',
    attemptsMade: '2',
    processedOn: null,
    dueAt: null,
  }
  const failed = { state: 'failed', name: 'probe x', failedReason: 'one\x1ftwo\x1f', returnvalue: null, parentKey: null, retriedOn: null }
  t.match(one, { id: 'mail_1', ...shared, ...failed })
  const completed = { state: 'completed', name: 'probe', failedReason: null, returnvalue: '"✓"', parentKey: 'a:b:c', retriedOn: '7' }
  t.match(two, { id: 'mail_2', ...shared, ...completed })
  t.equal(none, null)
})

t.test('a job of another tenant is read as one that is not there', async (t) => {
  const { redis } = await startRedis(t)
  const client = redis.connect('worker')
  const queues = openQueues({ redis: client, prefix: '{jobgate}', log: pino({ level: 'silent' }), jobTypes: createJobTypes() })
  t.after(() => queues.close())
  const queue = queues.partitionsOf('email')[0] as QueueKeys
  const [read, readKind] = [createJobReader(client), createKindReader(client)]
  const kinds = '[{"type":"b","queue":"email"},{"type":"c"}]'
  const stored: Record<string, string> = {
    plain: '{"tenant":"shop","data":{"tenant":"other","followUpKinds":[]}}',
    followed: `{"tenant":"shop","followUpKinds":${kinds},"data":{"x":"]"}}`,
    longer: '{"tenant":"shops","data":{}}',
    earlier: '{"data":{"tenant":"other"},"tenant":"shop"}',
  }
  for (const [id, data] of Object.entries(stored)) await client.hset(queue.job(id), { name: 'a', data, opts: '{}', timestamp: '1' })
  await client.hset(queue.job('unnamed'), { data: '{"tenant":"shop"}' })
  const seen = async (tenant: string | undefined) => {
    const ids = [...Object.keys(stored), 'absent', 'unnamed']
    const texts = await Promise.all(ids.map((id) => read(queue, { id, tenant })))
    return ids.filter((_id, at) => texts[at] !== null)
  }
  t.same(await seen('shop'), ['plain', 'followed', 'earlier'])
  t.same(await seen('other'), ['earlier'], 'whose an earlier one is tells its text alone')
  t.same(await seen('sho'), ['earlier'])
  t.same(await seen(undefined), Object.keys(stored))

  const kindOf = async (id: string, tenant = 'shop') => toStoredKind(await readKind(queue, { id, tenant }))
  const none = { name: '', followUpKinds: '' }
  t.same(await kindOf('plain'), { name: 'a', followUpKinds: '' })
  t.same(await kindOf('followed'), { name: 'a', followUpKinds: kinds })
  t.same(await kindOf('earlier'), { name: 'a', followUpKinds: '' })
  for (const id of ['longer', 'absent', 'unnamed']) t.same(await kindOf(id), none, id)
  t.same(await kindOf('followed', 'other'), none)
})
