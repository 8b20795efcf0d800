// BullMQ's queue.add alone. Arguments: socket, how many at once, seconds. Prints jobs a second.

import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { verificationData } from '../lab.mjs'

const [path, concurrency, seconds] = process.argv.slice(2)
const redis = new Redis(path, { maxRetriesPerRequest: null })
const queue = new Queue('email', { connection: redis, prefix: '{raw}' })
await queue.waitUntilReady()
let added = 0
const started = performance.now()
const end = started + Number(seconds) * 1000
const adder = async () => {
  for (; performance.now() < end; added++) await queue.add('send-verification-email', verificationData, { attempts: 3 })
}
await Promise.all(Array.from({ length: Number(concurrency) }, adder))
process.stdout.write(JSON.stringify({ rate: (added / (performance.now() - started)) * 1000 }))
await queue.close()
redis.disconnect()
