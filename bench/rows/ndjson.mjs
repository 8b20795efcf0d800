// One long NDJSON stream of keyed submissions, beside BullMQ's addBulk; and the memory that the gateway takes for it.

import { bestBulk } from '../best-bulk.mjs'
import { forgetPeak, memoryOf, openLab, runLoad } from '../lab.mjs'

const mib = 1024 * 1024
/** Streams of the full length take long: there are fewer rounds of them. */
const roundsMax = 3

export const title = 'NDJSON, one stream'

export const run = async ({ rounds, lines }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const bulk = await bestBulk(redis)
    // V8's young generation has grown to its size by then.
    await runLoad('ndjson', gateway.address, Math.ceil(lines / 5))
    const results = []
    for (let round = 1; round <= Math.min(rounds, roundsMax); round++) {
      await redis.client.flushdb()
      const before = memoryOf(gateway.pid).now
      forgetPeak(gateway.pid)
      const { rate } = await runLoad('ndjson', gateway.address, lines)
      const grown = memoryOf(gateway.pid).peak - before
      await redis.client.flushdb()
      const raw = await runLoad('raw-bulk', redis.path, bulk.chunk, bulk.inFlight, `${lines}jobs`)
      results.push({ rate, grown, raw: raw.rate })
      process.stderr.write(`round ${round} of ${Math.min(rounds, roundsMax)}\n`)
    }
    return [
      { name: `gateway, ${lines} lines, jobs a second`, values: results.map((each) => each.rate) },
      { name: `raw addBulk, ${bulk.chunk} at once, ${bulk.inFlight} in flight, jobs per second`, values: results.map((each) => each.raw) },
      { name: 'gateway / raw addBulk', values: results.map((each) => each.rate / each.raw), digits: 2, must: 0.55, goal: 0.8 },
      {
        name: 'memory growth at peak, MiB',
        values: results.map((each) => each.grown / mib),
        digits: 1,
        must: 64,
        goal: 64,
        atMost: true,
      },
    ]
  } finally {
    await lab.close()
  }
}
