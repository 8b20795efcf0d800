// The reader of event streams, when Redis goes away.

import { once } from 'node:events'
import { pino } from 'pino'
import t from 'tap'
import { openJobEvents } from '../../src/bullmq/job-events.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { createQueuePlaces } from '../../src/bullmq/queues.js'
import { openRedis } from '../../src/redis/connect.js'
import { startRedis } from '../helpers/start-redis.js'

t.test('it closes while Redis is away and a job is followed', async (t) => {
  const server = await startRedis(t)
  const { request } = server.redis
  if (request.status !== 'ready') await once(request, 'ready')
  const log = pino({ level: 'silent' })
  const target = { kind: 'url', url: `unix://${server.socketPath}` } as const
  const beside = await openRedis({ settings: { target, db: 0, tls: false, prefix: '{jobgate}' }, log })
  t.after(() => beside.close())
  const client = beside.connect('events')
  const events = openJobEvents({ connect: () => client, request, queues: createQueuePlaces('{jobgate}'), log })
  await events.follow(mintJobId('email'), () => {})
  const away = once(client, 'reconnecting')
  await server.redis.close()
  await away
  await events.close()
})
