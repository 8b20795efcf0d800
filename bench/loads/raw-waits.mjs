// BullMQ alone: queue.add and waitUntilFinished, with a worker in a process of its own beside it.
// Arguments: socket, a second, seconds. Prints p50 and p99 in milliseconds.

import { Queue, QueueEvents } from 'bullmq'
import { Redis } from 'ioredis'
import { openLoop } from './open-loop.mjs'

const [path, rate, seconds] = process.argv.slice(2)
const connect = () => new Redis(path, { maxRetriesPerRequest: null })
const [redis, eventsRedis] = [connect(), connect()]
const queue = new Queue('noop', { connection: redis, prefix: '{raw}' })
const events = new QueueEvents('noop', { connection: eventsRedis, prefix: '{raw}' })
await Promise.all([queue.waitUntilReady(), events.waitUntilReady()])
const submit = async (n) => {
  const job = await queue.add('noop', { n }, { attempts: 1 })
  await job.waitUntilFinished(events)
}
process.stdout.write(JSON.stringify(await openLoop(submit, { rate: Number(rate), seconds: Number(seconds) })))
await events.close()
await queue.close()
redis.disconnect()
eventsRedis.disconnect()
