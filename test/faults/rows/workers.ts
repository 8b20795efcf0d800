// Rows 12 and 16: workers die with jobs in their hands, and jobs that kill every worker.

import { setTimeout as pause } from 'node:timers/promises'
import { until } from '../../helpers/until.js'
import { openQueue, openRedisServer } from '../redis-server.js'
import { killWorker, type Row } from '../world.js'

/** Long enough that a worker which a busy machine lets wait keeps its leases. */
const lockMs = 3000
const stalledIntervalMs = 500
/** What is promised, and what a busy machine may add until the job has started. */
const recoveryPromisedMs = lockMs + 2 * stalledIntervalMs
const recoveryMarginMs = 1000
/** The first hand-out and those after four lost workers. */
const handOutsMax = 5

const workersKilled: Row = {
  id: '12',
  fault: 'worker SIGKILL ×10 under load, one frozen',
  async run(world) {
    const { random, history } = world
    const redis = await openRedisServer(world.scope)
    const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: String(lockMs), WORKER_STALLED_INTERVAL_MS: String(stalledIntervalMs) }
    const gateway = await world.gateway(env)
    const workers = await Promise.all([world.worker(env), world.worker(env), world.worker(env)])
    const load = world.startLoad({ url: () => gateway.url, senders: 8, pauseMs: 5 })
    const kills = world.short ? 3 : 10
    for (let kill = 0; kill < kills; kill++) {
      await pause(random.between(100, 600))
      // The next one starts while the others go on.
      const heir = world.worker(env)
      const index = random.between(0, workers.length)
      const victim = workers[index] as (typeof workers)[number]
      if (kill === 1) {
        const settled = world.loseLeases(victim.pid)
        process.kill(victim.pid, 'SIGSTOP')
        await pause(recoveryPromisedMs + 500)
        process.kill(victim.pid, 'SIGCONT')
        settled(1000)
      }
      await killWorker(world, victim)
      workers[index] = await heir
    }
    // One whose job certainly runs when its worker dies, so that the time of recovery is measured.
    const held = await history.submit(gateway.url, { key: 'held', type: 'block' })
    await world.runs.started('held')
    const [first] = await world.runs.starts('held')
    const holder = workers.find(({ pid }) => pid === first?.pid)
    if (holder) await killWorker(world, holder)
    const killedAt = Date.now()
    await world.runs.started('held', 2)
    const again = (await world.runs.starts('held'))[1]
    const recovery = (again?.at ?? Number.NaN) - killedAt
    world.note(`job ${held.id} ran again ${recovery} ms after its worker died; promised are ${recoveryPromisedMs}`)
    world.check(`recovery took ${recovery} ms`, recovery <= recoveryPromisedMs + recoveryMarginMs)
    for (const worker of workers) worker.release('held')
    await load.stop()
    await world.sendAgain(gateway.url, load.left)
    const { ranTwice } = await world.conclude(redis.client)
    world.note(`${ranTwice} jobs were started again`)
  },
}

const poison: Row = {
  id: '16',
  fault: 'poison job, plain, delayed and scheduled',
  async run(world) {
    const { history, runs } = world
    const redis = await openRedisServer(world.scope)
    const env = { REDIS_URL: redis.url, WORKER_LOCK_MS: '1000', WORKER_STALLED_INTERVAL_MS: String(stalledIntervalMs) }
    const gateway = await world.gateway(env)
    const kinds = world.short ? (['plain'] as const) : world.random.shuffle(['plain', 'delayed', 'scheduled'] as const)
    for (const [index, kind] of kinds.entries()) {
      const key = `poison ${kind}`
      world.mayFail.add(key)
      let watching = true
      /** A worker that dies is followed by another, as a supervisor would have it. */
      const supervise = async () => {
        while (watching) {
          const worker = await world.worker(env).catch(() => null)
          await Promise.race([worker?.exited, until('the end', () => !watching, 120_000)])
          if (!watching && worker) await killWorker(world, worker)
        }
      }
      const supervised = Promise.all([supervise(), supervise()])
      if (kind === 'scheduled') {
        const queue = openQueue(world.scope, redis)
        const envelope = { data: { label: key }, tenant: 'admin', correlationId: 'scheduled', timeoutMs: 60_000 }
        // Due at once, and not again within this test. BullMQ's own cap on lost workers leaves such jobs out.
        await queue.upsertJobScheduler('poison', { every: 3_600_000, limit: 1 }, { name: 'poison', data: envelope, opts: { attempts: 3 } })
        history.calls.push({ key, label: key, start: Date.now(), end: Date.now(), outcome: 'unknown', status: null, id: null })
      } else {
        await history.submit(gateway.url, { key, type: 'poison', ...(kind === 'delayed' ? { options: { delayMs: 300 } } : {}) })
      }
      const failed = async () => (await redis.client.zcard('{jobgate}:external-api:failed')) > index
      await until(`${key} has failed`, failed, 90_000)
      const after = await history.submit(gateway.url, { key: `after ${kind}` })
      await until('the queue goes on', async () => (await runs.ends(`after ${kind}`)).length === 1)
      world.check(`${kind}: the next job was not accepted`, after.outcome === 'ok')
      watching = false
      await supervised
      const starts = await runs.starts(key)
      // It took each of its workers along, with whatever else they ran.
      for (const { pid, at } of starts) world.loseLeases(pid, at)
      const handOuts = starts.length
      world.note(`${kind}: handed out ${handOuts} times`)
      world.check(`${kind} was handed out ${handOuts} times`, handOuts === handOutsMax)
    }
    await world.conclude(redis.client)
  },
}

export const workerRows: readonly Row[] = [workersKilled, poison]
