// This checkout beside another one, such as the commit before: every rate of both in turn, and their ratio; and the processor time of a
// gateway for each request, which says more where other work runs on the machine.
// `npm run bench -- beside --other ../before`; build the other checkout first (`npm ci && npm run build`).

import { cpuSecondsOf, load, openLab } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'
import { prepareJobs } from './status.mjs'
import { concurrency, fillNoop, measureWorker } from './workers.mjs'

const batchClients = 4

export const title = 'This checkout beside another'

/** What is measured of one checkout, with a Redis of its own. */
const openSide = async (lab, root, seconds) => {
  const redis = await lab.startRedis()
  const gateway = await lab.startGateway(redis, {}, root)
  const readRedis = await lab.startRedis()
  const reader = await lab.startGateway(readRedis, {}, root)
  const { idFile } = await prepareJobs(lab, readRedis, reader)
  const workRedis = await lab.startRedis()
  const filler = await lab.startGateway(workRedis, { server: 'noop-gateway' }, root)
  const worker = { server: 'noop-gateway', WORKER_ONLY: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: concurrency }
  const finished = '{jobgate}:external-api:completed'
  const measure = ({ pid }, run) => {
    const before = cpuSecondsOf(pid)
    const { rate } = run()
    return { rate, cpu: (cpuSecondsOf(pid) - before) / (rate * seconds) }
  }
  return {
    submit: async () => {
      await lab.empty(redis, gateway)
      return measure(gateway, () => load(`${gateway.address}/v1/jobs`, 'submit.lua', { seconds, key: gateway.key }))
    },
    batch: async () => {
      await lab.empty(redis, gateway)
      return measure(gateway, () =>
        load(`${gateway.address}/v1/jobs/batch`, 'batch.lua', { seconds, clients: batchClients, key: gateway.key }),
      )
    },
    status: () => measure(reader, () => load(reader.address, 'status.lua', { seconds, key: reader.key, env: { BENCH_IDS: idFile } })),
    workers: async () => ({
      rate: await measureWorker(workRedis, {
        fill: () => fillNoop(filler),
        start: () => lab.startGateway(workRedis, worker, root),
        finished,
      }),
    }),
  }
}

export const run = async ({ rounds, seconds, other }) => {
  if (other === undefined) throw new Error('say which checkout to compare with: --other DIR')
  const lab = await openLab()
  try {
    const here = await openSide(lab, undefined, seconds)
    const there = await openSide(lab, other, seconds)
    const measures = Object.keys(here).flatMap((name) => [
      [`${name} here`, here[name]],
      [`${name} there`, there[name]],
    ])
    const results = await inRounds(rounds, Object.fromEntries(measures), { alternates: true })
    const ratios = (name, value) => results.map((each) => each[`${name} here`][value] / each[`${name} there`][value])
    const rates = Object.keys(here).map((name) => ({
      name: `${name}: here / there`,
      values: ratios(name, 'rate'),
      digits: 3,
      must: 0.98,
      goal: 1,
    }))
    const costs = ['submit', 'batch', 'status'].map((name) => ({
      name: `${name}: processor time of a request, here / there`,
      values: ratios(name, 'cpu'),
      digits: 3,
      must: 1.02,
      goal: 1,
      atMost: true,
    }))
    return [...rates, ...costs]
  } finally {
    await lab.close()
  }
}
