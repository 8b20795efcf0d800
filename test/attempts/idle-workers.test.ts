// Workers that come when a queue has work and go when it has none, with BullMQ's own: no job is left behind in between.

import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Type } from '@sinclair/typebox'
import { Worker } from 'bullmq'
import pino from 'pino'
import t from 'tap'
import { openQueueWorkers } from '../../src/attempts/queue-workers.js'
import { createAcceptance } from '../../src/bullmq/acceptance.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { openQueues } from '../../src/bullmq/queues.js'
import { openIdleQueues } from '../../src/bullmq/registered/idle-queues.js'
import { defineJobType, done } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import { eventually } from '../helpers/eventually.js'
import { startRedis } from '../helpers/start-redis.js'

const log = pino({ level: 'silent' })
const names = ['resize', 'transcode', 'archive']
/** Below the time after which a lost marker would be made up for. */
const wakeMsMax = 3000
const rounds = 80
/** About three milliseconds: as long as it takes to close a worker. */
const turnsMax = 20

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

t.test('jobs that come while workers come and go', async (t) => {
  const { redis: connections } = await startRedis(t)
  const redis = connections.connect('worker')
  if (redis.status !== 'ready') await once(redis, 'ready')
  const jobTypes = createJobTypes(names.map(define))
  const queues = openQueues({ redis, prefix: '{jobgate}', log, jobTypes })
  const accept = createAcceptance({ redis, maxDepth: 1000, claimTtlMs: 60_000, queues })
  const ended = new Set<string>()
  let opened = 0
  const workers = openQueueWorkers({
    jobTypes,
    log,
    idleMs: 0,
    open(name) {
      opened++
      const worker = new Worker(name, async ({ id }) => void ended.add(id as string), {
        connection: redis,
        prefix: '{jobgate}',
        skipVersionCheck: true,
      })
      worker.on('error', () => {})
      return { ready: worker.waitUntilReady(), idleSince: () => 0, close: (isCutOff) => worker.close(isCutOff) }
    },
    openIdle: (needsWorker) =>
      openIdleQueues({ connect: () => connections.connect('worker'), redis, queues, instanceId: 'test', log, needsWorker }),
  })
  t.after(async () => {
    await workers.close(false)
    await queues.close()
  })
  await workers.ready

  const add = async (queue: string) => {
    const id = mintJobId(queue)
    const options = JSON.stringify({ priority: 10 })
    const partition = queues.partitions.forSubmission(undefined)
    const job = { id, name: queue, timestamp: Date.now(), data: '{}', options, kind: 'prioritized' } as const
    await accept({ queue, partition, jobs: [job], tenant: 'default', indexMember: id })
    return id
  }
  let listeners = 0
  let slowest = 0
  for (let round = 0; round < rounds; round++) {
    const closing = workers.closeIdle()
    for (let turns = Math.random() * turnsMax; turns > 0; turns--) await setImmediate()
    if (round % 7 === 3) {
      const name = names[round % 3] as string
      jobTypes.remove(name)
      jobTypes.put(define(name))
    }
    const start = performance.now()
    const ids = await Promise.all(names.filter(() => Math.random() < 0.7).map(add))
    await closing
    await eventually(`all of round ${round} have run`, () => ids.every((id) => ended.has(id)), wakeMsMax)
    slowest = Math.max(slowest, performance.now() - start)
    if (round === 9) listeners = redis.listenerCount('error')
  }
  t.comment(`${opened} workers were opened; the slowest round took ${slowest.toFixed(0)} ms`)
  t.ok(opened > rounds / 2)
  t.ok(redis.listenerCount('error') <= listeners + names.length, 'nothing of those that went is left')
})
