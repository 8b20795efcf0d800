// Row 32: jobs are cancelled while workers die and Redis is cut; one that was answered as cancelled is never started.

import { setTimeout as pause } from 'node:timers/promises'
import { startRedisProxy } from '../../helpers/redis-proxy.js'
import { adminKey } from '../../helpers/start-probe-process.js'
import type { Call } from '../checker.js'
import { openRedisServer } from '../redis-server.js'
import { killWorker, type Row, type World } from '../world.js'

const senders = 4
const faults = 6
const delayMaxMs = 600
/** Beyond the longest delay too: some are cancelled before they are due, some while they run, some when they are done. */
const cancelAfterMaxMs = 900
/** Cancelled jobs that are read again at the end. */
const readMax = 200
const headers = { authorization: `Bearer ${adminKey}` }

export const cancelRow: Row = {
  id: '32',
  fault: 'jobs cancelled, worker SIGKILL and Redis cut meanwhile',
  async run(world) {
    const { random, cancelled } = world
    const redis = await openRedisServer(world.scope)
    const proxy = await startRedisProxy(world.scope, { target: { port: redis.port } })
    const url = `redis://127.0.0.1:${proxy.port}`
    const env = { REDIS_URL: url, QUEUE_CONCURRENCY_EXTERNAL_API: '2', WORKER_LOCK_MS: '2000', WORKER_STALLED_INTERVAL_MS: '500' }
    const gateway = await world.gateway(env)
    const workers = await Promise.all([world.worker(env), world.worker(env)])
    const cancelling = startCancelling(world, gateway.url)
    for (let fault = 0; fault < faults; fault++) {
      await pause(random.between(200, 900))
      if (random.chance(0.5)) {
        // A lease may be lost with the connection that was to renew or to give it back.
        const settled = world.loseLeases()
        proxy.cut()
        settled(1000)
      } else {
        const index = random.between(0, workers.length)
        const heir = world.worker(env)
        await killWorker(world, workers[index] as (typeof workers)[number])
        workers[index] = await heir
      }
    }
    const statuses = await cancelling.stop()
    await world.sendAgain(gateway.url, [])
    await world.conclude(redis.client)

    const ids = random.sample([...cancelled.keys()], readMax)
    for (const id of ids) {
      const answer = await fetch(`${gateway.url}/v1/jobs/${id}`, { headers })
      const { state } = (await answer.json()) as { state?: string }
      world.check(`job ${id} was cancelled and is ${state}`, state === 'cancelled')
    }
    world.check('no job was cancelled before it was started', ids.length > 0)
    world.note(`cancellations answered: ${[...statuses].map(([status, count]) => `${count} with ${status}`).join(', ')}`)
  },
}

/** Submits jobs, half of them delayed, and cancels two thirds of them a little later. */
const startCancelling = ({ history, random, mayFail, cancelled, check }: World, url: string) => {
  const statuses = new Map<number, number>()
  const cancels: Promise<void>[] = []
  let stopped = false
  let count = 0

  const cancel = async ({ key, id }: Call) => {
    await pause(random.between(0, cancelAfterMaxMs))
    // Whatever is answered, it may have been heard.
    mayFail.add(key)
    const answer = await fetch(`${url}/v1/jobs/${id}`, { method: 'DELETE', headers, signal: AbortSignal.timeout(10_000) })
    await answer.body?.cancel()
    if (answer.status === 200) cancelled.set(id as string, Date.now())
    // 409: it had finished, or a command that was sent again found it cancelled.
    check(`a cancellation was answered with ${answer.status}`, [200, 202, 409, 503].includes(answer.status))
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
  }
  const run = async () => {
    while (!stopped) {
      const options = random.chance(0.5) ? { delayMs: random.between(1, delayMaxMs) } : undefined
      const call = await history.submit(url, { key: `c${count++}`, ...(options ? { options } : {}) })
      if (call.id !== null && random.chance(0.66)) cancels.push(cancel(call))
      await pause(5)
    }
  }
  const running = Promise.all(Array.from({ length: senders }, run))
  return {
    /** Resolves with how often each status was answered. */
    async stop() {
      stopped = true
      await running
      await Promise.all(cancels)
      return statuses
    },
  }
}
