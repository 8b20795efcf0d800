// (b) BullMQ's queue.add alone, at the same concurrency. Prints jobs a second.

import { Queue } from 'bullmq'
import { Redis } from 'ioredis'

const [path, concurrency, seconds] = process.argv.slice(2)
const redis = new Redis(path, { maxRetriesPerRequest: null })
const queue = new Queue('email', { connection: redis, prefix: '{raw}' })
await queue.waitUntilReady()
const data = { to: 'user@example.com', verificationCode: '123456' }
let added = 0
const started = performance.now()
const end = started + Number(seconds) * 1000
const adder = async () => {
  for (; performance.now() < end; added++) await queue.add('send-verification-email', data, { attempts: 3 })
}
await Promise.all(Array.from({ length: Number(concurrency) }, adder))
process.stdout.write(`${Math.round((added / (performance.now() - started)) * 1000)}\n`)
await queue.close()
redis.disconnect()
