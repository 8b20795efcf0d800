// Serves the clock of schedules: submits what is due.

import type { Logger } from 'pino'
import { openSchedulerWorker } from '../bullmq/scheduler/scheduler-worker.js'
import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import { openLiveness } from '../redis/liveness.js'
import { nextCronRun, type TickData } from './clock.js'
import type { RunSchedule } from './tick.js'

interface Deps {
  readonly config: Config
  readonly connection: RedisClient
  readonly log: Logger
  readonly runSchedule: RunSchedule
}

/** Works at once, until closed. */
export const openScheduleWorker = ({ config, connection, log, runSchedule }: Deps) => {
  const liveness = openLiveness({ redis: connection, log })
  const worker = openSchedulerWorker<TickData>({
    connection,
    prefix: config.redis.prefix,
    name: config.instanceId,
    log,
    next: nextCronRun,
    async serve({ key, at, data }) {
      const outcome = await runSchedule({ key, at, print: data.print, awakeSince: liveness.since() })
      if (outcome.kind === 'waits') throw new Error(outcome.reason)
    },
  })
  return {
    /** Settles once it serves ticks, which is when Redis is there. */
    ready: worker.ready,
    async close() {
      await Promise.all([worker.close(), liveness.close()])
    },
  }
}
