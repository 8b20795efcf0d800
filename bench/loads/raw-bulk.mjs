// BullMQ's addBulk alone. Arguments: socket, jobs a call, calls in flight, seconds or `<n>jobs`. Prints jobs a second.

import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { verificationData } from '../lab.mjs'

const [path, chunk, inFlight, until] = process.argv.slice(2)
const redis = new Redis(path, { maxRetriesPerRequest: null })
const queue = new Queue('email', { connection: redis, prefix: '{raw}' })
await queue.waitUntilReady()
const jobs = Array.from({ length: Number(chunk) }, () => ({
  name: 'send-verification-email',
  data: verificationData,
  opts: { attempts: 3 },
}))
let begun = 0
let added = 0
const started = performance.now()
const most = until.endsWith('jobs') ? Number.parseInt(until, 10) : Number.POSITIVE_INFINITY
const end = most === Number.POSITIVE_INFINITY ? started + Number(until) * 1000 : Number.POSITIVE_INFINITY
const adder = async () => {
  while (performance.now() < end && begun < most) {
    begun += jobs.length
    await queue.addBulk(jobs)
    added += jobs.length
  }
}
await Promise.all(Array.from({ length: Number(inFlight) }, adder))
process.stdout.write(JSON.stringify({ rate: (added / (performance.now() - started)) * 1000 }))
await queue.close()
redis.disconnect()
