// Which workers live: each tells of itself, and those that were killed are forgotten in the end.

import pino from 'pino'
import t from 'tap'
import { openHeartbeat } from '../../src/attempts/heartbeat.js'
import { readWorkerInstances, type WorkerInstance } from '../../src/attempts/worker-instances.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

t.test('a beat', async (t) => {
  const { redis } = await startRedis(t)
  const client = redis.connect('worker')
  const keys = createKeys('{jobgate}')
  const now = Date.now()
  await client.zadd(keys.workers, now - 2 * 3_600_000, 'killed long ago', now - 60_000, 'killed just now')
  const instance: WorkerInstance = { id: 'lives', host: 'here', pid: 1, types: ['echo'], queues: ['email'] }
  const { types, queues, ...rest } = instance
  const serves = () => ({ types, queues })
  const heartbeat = openHeartbeat({ redis: client, keys, log: pino({ level: 'silent' }), instance: rest, serves })
  await eventually('it is told', async () => (await client.zscore(keys.workers, instance.id)) !== null)
  t.same(await client.zrangebyscore(keys.workers, '-inf', '+inf'), ['killed just now', 'lives'])
  t.same(await readWorkerInstances(client, keys), [instance])
  await heartbeat.close()
  t.same(await readWorkerInstances(client, keys), [])
  t.equal(await client.zscore(keys.workers, instance.id), null)
})
t.end()
