// Serves the ticks of BullMQ job schedulers.

import { Worker } from 'bullmq'
import type { Logger } from 'pino'
import type { RedisClient } from '../../redis/connect.js'
import { createThrottledLog } from '../../runtime/throttled-log.js'
import { assumeOldestRedis } from '../facts.js'
import { type NextCronRun, schedulerQueue, toRepeatStrategy } from './scheduler-queue.js'

/** A tick takes a few round trips to Redis. */
const ticksAtOnce = 50
/** A worker that dies with a tick leaves it to others after this time and one more check. */
const lockMs = 5000
const stalledIntervalMs = 2500
/** BullMQ wakes one worker for a new tick; should that one die, the others check again after this time. */
const idleSeconds = 1

interface Deps<D> {
  readonly connection: RedisClient
  readonly prefix: string
  /** Names this process. */
  readonly name: string
  readonly log: Logger
  readonly next: NextCronRun
  /** Serves one tick; `at` is its moment. When it rejects, the tick comes back after a while. */
  readonly serve: (tick: { readonly key: string; readonly at: number; readonly data: D }) => Promise<void>
}

/** Works at once, until closed. */
export const openSchedulerWorker = <D>({ connection, prefix, name, log, next, serve }: Deps<D>) => {
  assumeOldestRedis()
  const worker = new Worker<D>(
    schedulerQueue,
    ({ data, id = '', repeatJobKey = '' }) => serve({ key: repeatJobKey, at: momentOfTick(id), data }),
    {
      connection,
      prefix,
      name,
      concurrency: ticksAtOnce,
      lockDuration: lockMs,
      stalledInterval: stalledIntervalMs,
      drainDelay: idleSeconds,
      skipVersionCheck: true,
      settings: { repeatStrategy: toRepeatStrategy(next) },
    },
  )
  const note = createThrottledLog((error: Error, unlogged) =>
    log.warn({ queue: schedulerQueue, error: error.message, unlogged }, 'schedule worker error'),
  )
  worker.on('error', note)
  worker.on('failed', (_job, error) => note(error))
  const ready = worker.waitUntilReady()
  // Closed before Redis was ever there: nobody has to hear of it.
  ready.catch(() => {})

  return {
    /** Settles once it serves ticks, which is when Redis is there. */
    ready,
    /** Without Redis nothing can be submitted: locks expire, and ticks go to others. */
    close: (): Promise<void> => worker.close(connection.status !== 'ready'),
  }
}

/** The moment of a tick, from BullMQ's `repeat:<key>:<milliseconds>`. */
const momentOfTick = (id: string): number => Number(id.slice(id.lastIndexOf(':') + 1))
