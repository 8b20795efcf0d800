// The watch over queues in which nothing happens: what it tells of, and what it leaves to others.

import { once } from 'node:events'
import { Type } from '@sinclair/typebox'
import pino from 'pino'
import t, { type Test } from 'tap'
import { createAcceptance, type NewJob } from '../../src/bullmq/acceptance.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { openQueues } from '../../src/bullmq/queues.js'
import { openIdleQueues } from '../../src/bullmq/registered/idle-queues.js'
import { openRedis } from '../../src/redis/connect.js'
import { defineJobType, done } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

const log = pino({ level: 'silent' })
const hour = 3_600_000
const names = ['resize', 'transcode', 'archive']

const define = (name: string) =>
  defineJobType({
    name,
    queue: name,
    description: 'For the test.',
    data: Type.Object({}),
    result: Type.Unknown(),
    example: {},
    defaults: { priority: 'normal', timeoutMs: 1000 },
    requires: [],
    run: async () => done({}),
  })

const open = async (t: Test) => {
  const server = await startRedis(t)
  const redis = server.redis.connect('worker')
  if (redis.status !== 'ready') await once(redis, 'ready')
  const queues = openQueues({ redis, prefix: '{jobgate}', log, jobTypes: createJobTypes(names.map(define)) })
  const keysOf = (name: string) => queues.in(name, queues.partitions.all[0] as (typeof queues.partitions.all)[0])
  const accept = createAcceptance({ redis, maxDepth: 1000, claimTtlMs: hour, queues })
  const told: string[] = []
  let connections = 0
  const connect = () => {
    connections++
    return server.redis.connect('worker')
  }
  const idle = openIdleQueues({ connect, redis, queues, instanceId: 'test', log, needsWorker: (name) => told.push(name) })
  t.after(async () => {
    await idle.close()
    await queues.close()
  })
  return {
    server,
    redis,
    queues,
    keysOf,
    idle,
    told,
    connections: () => connections,
    async add(queue: string, delay = 0): Promise<string> {
      const id = mintJobId(queue)
      const options = JSON.stringify({ priority: 10, delay })
      const job: NewJob = { id, name: queue, timestamp: Date.now(), data: '{}', options, kind: delay > 0 ? 'delayed' : 'prioritized' }
      const partition = queues.partitions.forSubmission(undefined)
      await accept({ queue, partition, jobs: [job], tenant: 'default', indexMember: id })
      return id
    },
    untilTold: (...all: string[]) => eventually(`told of ${all}`, () => all.every((name) => told.includes(name))),
  }
}

t.test('a job that comes is told of, once, on one connection for all', async (t) => {
  const { add, connections, idle, told, untilTold } = await open(t)
  idle.watch(names)
  await add('transcode')
  await untilTold('transcode')
  await add('transcode')
  await add('archive')
  await untilTold('archive')
  t.same(told, ['transcode', 'archive'], 'the first is watched no longer')
  idle.watch(['transcode'])
  await eventually('it is told of again', () => told.filter((name) => name === 'transcode').length === 2)
  t.equal(connections(), 1)
})

t.test('what happened before is found, whatever became of its marker', async (t) => {
  const { add, idle, keysOf, redis, told, untilTold } = await open(t)
  await add('resize')
  const running = await add('archive')
  await redis.zrem(keysOf('archive').prioritized, running)
  await redis.lpush(keysOf('archive').active, running)
  for (const name of names) await redis.del(keysOf(name).marker)
  idle.watch(names)
  await untilTold('resize', 'archive')
  t.same([...told].sort(), ['archive', 'resize'], 'one waits; one runs, and its worker may be gone')
})

t.test('a paused queue wants no worker', async (t) => {
  const { add, idle, keysOf, queues, redis, told, untilTold } = await open(t)
  await queues.pause('resize')
  await add('resize')
  t.same([...(await idle.needy(names))], [])
  idle.watch(names)
  await add('transcode')
  await untilTold('transcode')
  t.same(told, ['transcode'])
  await queues.resume('resize')
  await untilTold('resize')
  await queues.pause('archive')
  await redis.lpush(keysOf('archive').active, 'archive_1')
  t.same([...(await idle.needy(names))].includes('archive'), true, 'unless something runs in it')
})

t.test('a delayed job is told of when it is due; its marker is given back by who leaves', async (t) => {
  const { add, idle, keysOf, redis, told, untilTold } = await open(t)
  const markerOf = async (name: string) => (await redis.zrange(keysOf(name).marker, '0', '-1', 'WITHSCORES'))[1]
  idle.watch(names)
  const start = Date.now()
  await add('archive', hour)
  await eventually('its marker is taken', async () => (await markerOf('archive')) === undefined)
  await add('resize', 50)
  await untilTold('resize')
  t.ok(Date.now() - start >= 50)
  t.same(told, ['resize'])
  idle.leave('archive')
  await eventually('it is given back', async () => Number(await markerOf('archive')) >= start + hour)
  idle.watch(['archive'])
  await eventually('and taken again', async () => (await markerOf('archive')) === undefined)
  await idle.close()
  await eventually('and given back at the end', async () => Number(await markerOf('archive')) >= start + hour)
})

t.test('it closes while Redis is away', async (t) => {
  const { server } = await open(t)
  const target = { kind: 'url', url: `unix://${server.socketPath}` } as const
  const beside = await openRedis({ settings: { target, db: 0, tls: false, prefix: '{jobgate}' }, log })
  t.after(() => beside.close())
  const client = beside.connect('worker')
  if (client.status !== 'ready') await once(client, 'ready')
  const jobTypes = createJobTypes(names.map(define))
  const queues = openQueues({ redis: client, prefix: '{jobgate}', log, jobTypes })
  const idle = openIdleQueues({
    connect: () => beside.connect('worker'),
    redis: client,
    queues,
    instanceId: 'beside',
    log,
    needsWorker() {},
  })
  idle.watch(names)
  const away = new Promise<void>((resolve) => client.once('reconnecting', () => resolve()))
  await server.redis.close()
  await away
  await idle.close()
  await queues.close()
})
