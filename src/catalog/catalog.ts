// What registers job types at run time, put together.

import type { Queues } from '../bullmq/queues.js'
import { createQueueGate } from '../bullmq/registered/queue-gate.js'
import { createTypeRecords } from '../bullmq/registered/type-records.js'
import { createVersionsInUse } from '../bullmq/registered/versions.js'
import { createQueueCounts } from '../bullmq/statistics/queue-counts.js'
import type { Config } from '../config/config.js'
import type { Submissions } from '../jobs/open-submissions.js'
import { auditKept, toAuditFields } from '../operations/audit.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { createScheduleRecords } from '../schedules/record.js'
import type { JobTypes } from '../types/registry.js'
import type { TypeFollower } from './follow.js'
import { createRegister } from './register.js'
import { createLeftoversDuty, createRemove, createRemoveLeftovers } from './remove.js'
import { createTypeUsage } from './usage.js'

interface Deps {
  readonly config: Config
  readonly follower: TypeFollower
  readonly jobTypes: JobTypes
  readonly keys: Keys
  readonly queues: Queues
  readonly redis: RedisClient
  /** Types are as safe as submissions. */
  readonly submissions: Pick<Submissions, 'durability' | 'writing'>
}

export const createCatalog = ({ config, follower, jobTypes, keys, queues, redis, submissions }: Deps) => {
  const { writing, durability } = submissions
  const gate = createQueueGate({ redis: writing, queues })
  const records = createTypeRecords({ redis, writing, durability, keys, gate })
  const schedules = createScheduleRecords({ redis, writing, keys })
  const usage = createTypeUsage({
    count: createQueueCounts({ redis, queues }),
    queues,
    schedules,
    versionsInUse: createVersionsInUse({ redis, queues }),
  })
  const removeLeftovers = createRemoveLeftovers({ gate, records })
  const note = (by: string, act: 'job-type.registered' | 'job-type.removed', details: Readonly<Record<string, unknown>>) => [
    ...['MAXLEN', '~', auditKept, '*'],
    ...toAuditFields({ by, act, queue: null, details }),
  ]
  const common = { follower, gate, jobTypes, records, removeLeftovers, usage, note }
  return {
    register: createRegister({ ...common, typesMax: config.jobTypesMax }),
    remove: createRemove({ ...common, schedules }),
    readVersion: records.readVersion,
    readVersionNumbers: records.readVersionNumbers,
    readHead: records.readHead,
    isLoaded: follower.isLoaded,
    loadWithin: follower.loadWithin,
    lookAgain: follower.lookAgain,
    duties: [createLeftoversDuty({ records, removeLeftovers })],
  }
}

export type Catalog = ReturnType<typeof createCatalog>
