// This checkout beside another one, such as the commit before: every rate of both in turn, and their ratio; and the processor time of a
// gateway for each request, which says more where other work runs on the machine.
// `npm run bench -- beside --other ../before`; build the other checkout first (`npm ci && npm run build`).

import { cpuSecondsOf, load, openLab } from '../lab.mjs'
import { inRounds } from '../rounds.mjs'
import { prepareJobs } from './status.mjs'
import { concurrency, fillNoop, measureWorker } from './workers.mjs'

const batchClients = 4
const warmSeconds = 2

export const title = 'This checkout beside another'

/**
 * What is measured of one checkout, in processes that are new: of two processes with the same code one may be a fifth slower as long as
 * it lives, by what the compiler saw first.
 */
const measureSide = async (root, seconds) => {
  const lab = await openLab()
  try {
    const redis = await lab.startRedis()
    const gateway = await lab.startGateway(redis, {}, root)
    const ofGateway = (run) => {
      run(warmSeconds)
      const before = cpuSecondsOf(gateway.pid)
      const { rate } = run(seconds)
      return { rate, cpu: (cpuSecondsOf(gateway.pid) - before) / (rate * seconds) }
    }
    const ofLoad = (path, script, more) =>
      ofGateway((length) => load(`${gateway.address}${path}`, script, { seconds: length, key: gateway.key, ...more }))
    const submit = ofLoad('/v1/jobs', 'submit.lua')
    const batch = ofLoad('/v1/jobs/batch', 'batch.lua', { clients: batchClients })
    await lab.empty(redis, gateway)
    const { idFile } = await prepareJobs(lab, redis, gateway)
    const status = ofLoad('', 'status.lua', { env: { BENCH_IDS: idFile } })
    return { submit, batch, status, workers: { rate: await measureWorkers(lab, root) } }
  } finally {
    await lab.close()
  }
}

const measureWorkers = async (lab, root) => {
  const redis = await lab.startRedis()
  const filler = await lab.startGateway(redis, { server: 'noop-gateway' }, root)
  const worker = { server: 'noop-gateway', WORKER_ONLY: 'true', QUEUE_CONCURRENCY_EXTERNAL_API: concurrency }
  return measureWorker(redis, {
    fill: () => fillNoop(filler),
    start: () => lab.startGateway(redis, worker, root),
    finished: '{jobgate}:external-api:completed',
  })
}

export const run = async ({ rounds, seconds, other }) => {
  if (other === undefined) throw new Error('say which checkout to compare with: --other DIR')
  const sides = { here: () => measureSide(undefined, seconds), there: () => measureSide(other, seconds) }
  const results = await inRounds(rounds, sides, { alternates: true })
  const ratios = (name, value) => results.map(({ here, there }) => here[name][value] / there[name][value])
  const rates = ['submit', 'batch', 'status', 'workers'].map((name) => ({
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
}
