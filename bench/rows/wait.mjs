// From POST to finished with `Prefer: wait`, beside queue.add and waitUntilFinished.

import { openLab, runLoad } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

const aSecond = 200
const concurrency = '50'

export const title = `POST to finished, ${aSecond} per second, empty handler, ms`

export const run = async ({ rounds, seconds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis, {
      server: 'noop-gateway',
      WORKERS_ENABLED: 'true',
      QUEUE_CONCURRENCY_EXTERNAL_API: concurrency,
    })
    await lab.startServer('bare-worker', { REDIS_PATH: redis.path, BENCH_CONCURRENCY: concurrency })
    const results = await inRounds(rounds, {
      gateway: () => runLoad('waits', gateway.address, aSecond, seconds),
      raw: () => runLoad('raw-waits', redis.path, aSecond, seconds),
    })
    return [
      { name: 'gateway, p50', values: results.map((each) => each.gateway.p50), digits: 2 },
      { name: 'gateway, p99', values: results.map((each) => each.gateway.p99), digits: 2 },
      { name: 'raw add and waitUntilFinished, p50', values: results.map((each) => each.raw.p50), digits: 2 },
      { name: 'raw add and waitUntilFinished, p99', values: results.map((each) => each.raw.p99), digits: 2 },
      { name: 'p50, gateway / raw', values: results.map((each) => each.gateway.p50 / each.raw.p50), digits: 2 },
      {
        name: 'p99, gateway / raw',
        values: results.map((each) => each.gateway.p99 / each.raw.p99),
        digits: 2,
        must: 2,
        goal: 1.3,
        atMost: true,
      },
    ]
  } finally {
    await lab.close()
  }
}
