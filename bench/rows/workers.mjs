// Workers on an empty handler, beside a bare BullMQ worker.

import { setTimeout as pause } from 'node:timers/promises'
import { Queue } from 'bullmq'
import { openLab, post } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

const jobs = 40_000
/** Often enough, and too seldom to take anything from what is measured. */
const pollMs = 5
const jobsPerCall = 1000
export const concurrency = '16'

export const title = `Workers, empty handler, concurrency ${concurrency}`

/** Fills with `jobs` jobs, starts a worker, and resolves with its rate between the first tenth and the end. `finished`: a sorted set. */
export const measureWorker = async (redis, { fill, start, finished }) => {
  await fill()
  const worker = await start()
  try {
    const untilFinished = async (least) => {
      for (;;) {
        const count = await redis.client.zcard(finished)
        if (count >= least) return { count, at: performance.now() }
        await pause(pollMs)
      }
    }
    const from = await untilFinished(jobs / 10)
    const to = await untilFinished(jobs)
    return ((to.count - from.count) / (to.at - from.at)) * 1000
  } finally {
    await worker.close()
    await redis.client.flushdb()
  }
}

const calls = Array.from({ length: jobs / jobsPerCall }, (_, call) =>
  Array.from({ length: jobsPerCall }, (_, index) => ({ n: call * jobsPerCall + index })),
)

/** Submits `jobs` jobs of the empty handler. */
export const fillNoop = async ({ address }) => {
  for (const data of calls) await post(`${address}/v1/jobs/batch`, { items: data.map((each) => ({ type: 'noop', data: each })) })
}

export const run = async ({ rounds }) => {
  const lab = await openLab()
  const redis = await lab.startRedis()
  const queue = new Queue('noop', { connection: redis.client, prefix: '{raw}' })
  try {
    const gateway = await lab.startGateway(redis, { server: 'noop-gateway' })
    const results = await inRounds(rounds, {
      gateway: () =>
        measureWorker(redis, {
          fill: () => fillNoop(gateway),
          start: () =>
            lab.startGateway(redis, { server: 'noop-gateway', WORKER_ONLY: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: concurrency }),
          finished: '{jobgate}:external-api:completed',
        }),
      raw: () =>
        measureWorker(redis, {
          fill: async () => {
            for (const data of calls) await queue.addBulk(data.map((each) => ({ name: 'noop', data: each, opts: { attempts: 1 } })))
          },
          start: () => lab.startServer('bare-worker', { REDIS_PATH: redis.path, BENCH_CONCURRENCY: concurrency }),
          finished: '{raw}:noop:completed',
        }),
    })
    return [
      { name: 'gateway, jobs per second', values: results.map((each) => each.gateway) },
      { name: 'bare Worker, jobs per second', values: results.map((each) => each.raw) },
      { name: 'gateway / bare Worker', values: results.map((each) => each.gateway / each.raw), digits: 2, must: 0.9, goal: 0.97 },
    ]
  } finally {
    await queue.close()
    await lab.close()
  }
}
