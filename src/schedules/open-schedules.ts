// Opens schedules: for clients in a gateway, for their ticks in a worker.

import type { Logger } from 'pino'
import { createHasBegun } from '../bullmq/job-begun.js'
import type { Queues } from '../bullmq/queues.js'
import type { Config } from '../config/config.js'
import { createCursors } from '../jobs/cursor.js'
import type { Submissions } from '../jobs/open-submissions.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import type { JobTypes } from '../types/registry.js'
import { openScheduleClock } from './clock.js'
import { createSchedulePayloads } from './payload.js'
import { createReconcile, createReconcileDuty } from './reconcile.js'
import { createScheduleRecords } from './record.js'
import { createRefuseRun } from './refuse-run.js'
import { createSchedules } from './schedules.js'
import { createRunSchedule } from './tick.js'
import { openScheduleWorker } from './tick-worker.js'

interface Deps {
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly keys: Keys
  readonly log: Logger
  readonly queues: Queues
  readonly sensitive: SensitiveDataByType
}

interface Over {
  /** The connection that reads, and what submits over it. */
  readonly connection: RedisClient
  readonly submissions: Submissions
}

const openParts = async ({ jobTypes, config, keys, sensitive }: Deps, { connection: redis, submissions }: Over, scope: Scope) => {
  const { accept, durability, writing } = submissions
  const clock = await scope.open('schedule clock', () => openScheduleClock({ redis, prefix: config.redis.prefix }))
  const records = createScheduleRecords({ redis, writing, keys, durability })
  const reconcile = createReconcile({ clock, records })
  return { reconcile, clock, payloads: createSchedulePayloads({ jobTypes, sensitive }), records, accept }
}

/** Schedules as clients handle them; closed with `scope`. */
export const openSchedules = async (deps: Deps, over: Over, scope: Scope) => {
  const cursors = createCursors({ redis: over.connection, keys: deps.keys })
  return createSchedules({ ...(await openParts(deps, over, scope)), cursors, jobTypes: deps.jobTypes, config: deps.config })
}

/** Serves the clock at once; closed with `scope`. */
export const openTicks = async (deps: Deps, over: Over, scope: Scope) => {
  const { config, jobTypes, keys, log, queues } = deps
  const { connection, submissions } = over
  const parts = await openParts(deps, over, scope)
  const hasBegun = createHasBegun({ redis: connection, queues })
  const refuse = createRefuseRun({ store: submissions.store, jobTypes, keys, queues, redis: connection })
  const runSchedule = createRunSchedule({ ...parts, config, hasBegun, log, queues, refuse })
  const worker = await scope.open('schedule worker', () => openScheduleWorker({ config, connection, log, runSchedule }))
  return { ...worker, duties: [createReconcileDuty({ ...parts, connection, log })] }
}
