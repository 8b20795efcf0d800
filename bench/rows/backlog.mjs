// Submissions and status reads with very many jobs waiting, beside an empty queue.

import { load, openLab, runLoad } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'
import { prepareJobs } from './status.mjs'

const clients = 8

export const title = `With a long queue, ${clients} connections, ms`

export const run = async ({ rounds, seconds, lines }) => {
  const lab = await openLab()
  /** A gateway on a Redis of its own, with that many jobs waiting. */
  const open = async (waiting) => {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis)
    if (waiting > 0) await runLoad('ndjson', gateway.address, waiting)
    return { gateway, redis, prepared: await prepareJobs(lab, redis, gateway) }
  }
  try {
    const [empty, full] = [await open(0), await open(lines)]
    const submit = ({ gateway }) => load(`${gateway.address}/v1/jobs`, 'submit.lua', { seconds, clients, key: gateway.key })
    const read = ({ gateway, prepared }) =>
      load(gateway.address, 'status.lua', { seconds, clients, key: gateway.key, env: { BENCH_IDS: prepared.idFile } })
    const results = await inRounds(rounds, {
      emptySubmit: () => submit(empty),
      fullSubmit: () => submit(full),
      emptyRead: () => read(empty),
      fullRead: () => read(full),
    })
    const figures = (what, before, after) => [
      { name: `${what} p50, empty`, values: results.map((each) => each[before].p50), digits: 2 },
      { name: `${what} p50, ${lines} waiting`, values: results.map((each) => each[after].p50), digits: 2 },
      { name: `${what} p99, empty`, values: results.map((each) => each[before].p99), digits: 2 },
      { name: `${what} p99, ${lines} waiting`, values: results.map((each) => each[after].p99), digits: 2 },
      {
        name: `${what} p50, ${lines} waiting / empty`,
        values: results.map((each) => each[after].p50 / each[before].p50),
        digits: 2,
        must: 1.3,
        goal: 1.1,
        atMost: true,
      },
    ]
    return [...figures('submission', 'emptySubmit', 'fullSubmit'), ...figures('status read', 'emptyRead', 'fullRead')]
  } finally {
    await lab.close()
  }
}
