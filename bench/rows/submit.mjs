// One keyed submission a request: authenticated, rate limited, validated, stored.

import { connections, inSeries, load, openLab, runLoad } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'

export const title = `One submission per request, ${connections} connections`

export const run = async ({ rounds, seconds }) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    const bare = await lab.startServer('bare')
    const minimal = await lab.startServer('minimal', { REDIS_PATH: redis.path })
    const submitTo = ({ address, key }) => load(`${address}/v1/jobs`, 'submit.lua', { seconds, key }).rate
    const results = await inRounds(
      rounds,
      {
        gateway: () => submitTo(gateway),
        bare: () => submitTo(bare),
        raw: async () => (await runLoad('raw-add', redis.path, connections, seconds)).rate,
        minimal: () => submitTo(minimal),
      },
      { before: () => lab.empty(redis, gateway) },
    )
    const floor = ({ bare, raw }) => inSeries(bare, raw)
    return [
      { name: 'gateway, per second', values: results.map((each) => each.gateway) },
      { name: '(a) bare Fastify route, validated, per second', values: results.map((each) => each.bare) },
      { name: '(b) raw queue.add, per second', values: results.map((each) => each.raw) },
      { name: '(c) serial floor 1/(1/a+1/b), per second', values: results.map(floor) },
      { name: '(d) minimal gateway (SET NX, queue.add), per second', values: results.map((each) => each.minimal) },
      { name: 'gateway / (a)', values: results.map((each) => each.gateway / each.bare), digits: 2 },
      { name: 'gateway / (b)', values: results.map((each) => each.gateway / each.raw), digits: 2 },
      { name: 'gateway / (c)', values: results.map((each) => each.gateway / floor(each)), digits: 2, must: 0.85, goal: 0.95 },
      { name: '(d) / (c)', values: results.map((each) => each.minimal / floor(each)), digits: 2 },
      { name: 'gateway / (d)', values: results.map((each) => each.gateway / each.minimal), digits: 2 },
    ]
  } finally {
    await lab.close()
  }
}
