// Serves the clock of schedules: hands in what is due, and heals schedules that were left half changed.

import { Worker } from 'bullmq'
import type { Logger } from 'pino'
import { assumeOldestRedis } from '../bullmq/redis-version.js'
import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import { openPulse } from '../redis/liveness.js'
import type { Lock } from '../redis/lock.js'
import { momentOfTick, repeatStrategy, scheduleQueue, type TickData } from './clock.js'
import type { ScheduleAlign } from './reconcile.js'
import type { ScheduleRecords } from './record.js'
import type { RunSchedule } from './tick.js'

/** A tick takes a few round trips to Redis. */
const ticksAtOnce = 50
/** A worker that dies with a tick leaves it to others after this time and one more look. */
const lockMs = 5000
const stalledIntervalMs = 2500
/** BullMQ wakes one worker for a new tick; should that one die, the others look again after this time. */
const idleSeconds = 1
/** One worker at a time looks at every schedule this often. */
const healIntervalMs = 30_000
/** At most one line in this time about errors: a lost Redis raises thousands. */
const errorLogIntervalMs = 5000

interface Deps {
  readonly align: ScheduleAlign
  readonly config: Config
  readonly connection: RedisClient
  readonly lock: Lock
  readonly log: Logger
  readonly records: ScheduleRecords
  readonly runSchedule: RunSchedule
}

/** Works at once, until closed. */
export const openScheduleWorker = ({ align, config, connection, lock, log, records, runSchedule }: Deps) => {
  assumeOldestRedis()
  const pulse = openPulse(connection)
  const worker = new Worker<TickData>(
    scheduleQueue,
    async ({ data, id = '', repeatJobKey = '' }) => {
      const tick = { key: repeatJobKey, at: momentOfTick(id), print: data.print, awakeSince: pulse.since() }
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

  const heal = async () => {
    // Not given back: it is free again for the next round.
    if (!(await lock('schedules', healIntervalMs - 1000))) return
    for await (const keys of records.all()) {
      for (const key of keys) {
        const done = await align(key)
        if (done !== 'kept') log.debug({ schedule: key, done }, 'schedule looked after')
      }
    }
  }
  let healing = Promise.resolve()
  const healSafely = () => {
    healing = healing
      .then(heal)
      .catch((error: Error) => log.warn({ error: error.message }, 'looking after schedules failed; the next round follows'))
  }
  const timer = setInterval(healSafely, healIntervalMs)
  const ready = worker.waitUntilReady().then(() => {
    healSafely()
  })
  // Closed before Redis was ever there: nobody has to hear of it.
  ready.catch(() => {})

  return {
    /** Settles once it serves ticks, which is when Redis is there. */
    ready,
    async close() {
      clearInterval(timer)
      pulse.close()
      // Without Redis nothing can be handed in: locks run out, and ticks go to others.
      const isCutOff = connection.status !== 'ready'
      await worker.close(isCutOff)
      if (!isCutOff) await healing
    },
  }
}

const logErrors = (worker: Worker, log: Logger) => {
  let quietUntil = 0
  const note = (text: string) => {
    if (Date.now() < quietUntil) return
    log.warn({ queue: scheduleQueue, error: text }, 'schedule worker error')
    quietUntil = Date.now() + errorLogIntervalMs
  }
  worker.on('error', (error) => note(error.message))
  worker.on('failed', (_job, error) => note(error.message))
}
