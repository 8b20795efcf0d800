// Serves the clock of schedules: submits what is due.

import { Worker } from 'bullmq'
import type { Logger } from 'pino'
import { assumeOldestRedis } from '../bullmq/facts.js'
import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import { openLiveness } from '../redis/liveness.js'
import { createThrottledLog } from '../runtime/throttled-log.js'
import { momentOfTick, repeatStrategy, scheduleQueue, type TickData } from './clock.js'
import type { RunSchedule } from './tick.js'

/** A tick takes a few round trips to Redis. */
const ticksAtOnce = 50
/** A worker that dies with a tick leaves it to others after this time and one more look. */
const lockMs = 5000
const stalledIntervalMs = 2500
/** BullMQ wakes one worker for a new tick; should that one die, the others look again after this time. */
const idleSeconds = 1

interface Deps {
  readonly config: Config
  readonly connection: RedisClient
  readonly log: Logger
  readonly runSchedule: RunSchedule
}

/** Works at once, until closed. */
export const openScheduleWorker = ({ config, connection, log, runSchedule }: Deps) => {
  assumeOldestRedis()
  const liveness = openLiveness({ redis: connection, log })
  const worker = new Worker<TickData>(
    scheduleQueue,
    async ({ data, id = '', repeatJobKey = '' }) => {
      const tick = { key: repeatJobKey, at: momentOfTick(id), print: data.print, awakeSince: liveness.since() }
      const outcome = await runSchedule(tick)
      // BullMQ brings it back after its backoff.
      if (outcome.kind === 'full') throw new Error('the queue is full')
    },
    {
      connection,
      prefix: config.redis.prefix,
      name: config.instanceId,
      concurrency: ticksAtOnce,
      lockDuration: lockMs,
      stalledInterval: stalledIntervalMs,
      drainDelay: idleSeconds,
      skipVersionCheck: true,
      settings: { repeatStrategy },
    },
  )
  logErrors(worker, log)

  const ready = worker.waitUntilReady()
  // Closed before Redis was ever there: nobody has to hear of it.
  ready.catch(() => {})

  return {
    /** Settles once it serves ticks, which is when Redis is there. */
    ready,
    async close() {
      // Without Redis nothing can be submitted: locks expire, and ticks go to others.
      await Promise.all([worker.close(connection.status !== 'ready'), liveness.close()])
    },
  }
}

const logErrors = (worker: Worker, log: Logger) => {
  const note = createThrottledLog((error: Error, unlogged) =>
    log.warn({ queue: scheduleQueue, error: error.message, unlogged }, 'schedule worker error'),
  )
  worker.on('error', note)
  worker.on('failed', (_job, error) => note(error))
}
