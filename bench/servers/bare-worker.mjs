// A bare BullMQ worker with an empty handler. REDIS_PATH, BENCH_CONCURRENCY.

import { Worker } from 'bullmq'
import { Redis } from 'ioredis'

const connection = new Redis(process.env.REDIS_PATH, { maxRetriesPerRequest: null })
const worker = new Worker('noop', async () => null, {
  connection,
  prefix: '{raw}',
  concurrency: Number(process.env.BENCH_CONCURRENCY),
})
await worker.waitUntilReady()
process.stdout.write(`${JSON.stringify({ address: 'none' })}\n`)
