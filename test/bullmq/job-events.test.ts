// The reader of event streams, when Redis goes away.

import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { openJobEvents } from '../../src/bullmq/job-events.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { openRedis } from '../../src/redis/connect.js'
import { startRedisProxy } from '../helpers/redis-proxy.js'
import { startRedis } from '../helpers/start-redis.js'

t.test('it closes while Redis is away and a job is followed', async (t) => {
  const { socketPath, redis } = await startRedis(t)
  if (redis.request.status !== 'ready') await once(redis.request, 'ready')
  const proxy = await startRedisProxy(t, { target: { path: socketPath } })
  const log = pino({ level: 'silent' })
  const settings = { target: { kind: 'url', url: `unix://${proxy.path}` }, db: 0, tls: false, prefix: '{jobgate}' } as const
  const away = await openRedis({ settings, log })
  t.after(() => away.close())
  const client = away.connect('events')
  const events = openJobEvents({ connect: () => client, request: redis.request, queues: createQueuePlaces('{jobgate}'), log })
  await events.follow(mintJobId('email'), () => {})
  const gone = once(client, 'reconnecting')
  proxy.accept(false)
  proxy.cut()
  await gone
  await events.close()
})
