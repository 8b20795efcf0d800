// Which chunk size and how many calls in flight make raw addBulk fastest on this machine.

import { runLoad } from './lab.mjs'

const secondsEach = 1

/** Resolves with the fastest `{ chunk, inFlight, rate }`. */
export const bestBulk = async (redis) => {
  let best = { rate: 0 }
  for (const chunk of [50, 100, 250, 500, 1000]) {
    for (const inFlight of [1, 2, 4]) {
      await redis.client.flushdb()
      const { rate } = await runLoad('raw-bulk', redis.path, chunk, inFlight, secondsEach)
      if (rate > best.rate) best = { chunk, inFlight, rate }
    }
  }
  await redis.client.flushdb()
  return best
}
