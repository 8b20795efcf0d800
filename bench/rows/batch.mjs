// JSON batches of 1,000 keyed submissions, beside BullMQ's addBulk.

import { bestBulk } from '../best-bulk.mjs'
import { load, openLab, runLoad } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

const itemsPerBatch = 1000
const clients = 4

export const title = `JSON batches of ${itemsPerBatch}, ${clients} connections`

export const run = async ({ rounds, seconds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const bulk = await bestBulk(redis)
    const results = await inRounds(
      rounds,
      {
        gateway: () => load(`${gateway.address}/v1/jobs/batch`, 'batch.lua', { seconds, clients, key: gateway.key }).rate * itemsPerBatch,
        raw: async () => (await runLoad('raw-bulk', redis.path, bulk.chunk, bulk.inFlight, seconds)).rate,
      },
      { before: () => lab.empty(redis, gateway) },
    )
    return [
      { name: 'gateway, jobs per second', values: results.map((each) => each.gateway) },
      { name: `raw addBulk, ${bulk.chunk} at once, ${bulk.inFlight} in flight, jobs per second`, values: results.map((each) => each.raw) },
      { name: 'gateway / raw addBulk', values: results.map((each) => each.gateway / each.raw), digits: 2, must: 0.65, goal: 0.9 },
    ]
  } finally {
    await lab.close()
  }
}
