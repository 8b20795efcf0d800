// Opens what reads, follows and controls jobs for clients, and what tidies up behind them.

import type { Logger } from 'pino'
import { createFinishedJobs } from '../bullmq/finished-jobs.js'
import { createJobExists } from '../bullmq/job-begun.js'
import { openJobEvents } from '../bullmq/job-events.js'
import { createJobIndex } from '../bullmq/job-index.js'
import type { Queues } from '../bullmq/queues.js'
import { createJobReader, createKindReader } from '../bullmq/read-jobs.js'
import type { Config } from '../config/config.js'
import type { RedisConnections } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import { createJobControl } from './control.js'
import { createCursors } from './cursor.js'
import { createEventStreams } from './event-stream.js'
import { createFindJob } from './find-job.js'
import { createJobList } from './list.js'
import { createIndexSweep } from './maintenance/index-sweep.js'
import { createRetention } from './maintenance/retention.js'
import { createJobRecordReader } from './record.js'
import type { SensitiveDataByType } from './sensitive-data.js'
import { createSnapshotReader } from './snapshot.js'
import { createJobViews } from './view.js'
import { createAwaitFinish } from './wait.js'

interface Deps {
  readonly config: Config
  readonly follower: Parameters<typeof createFindJob>[0]['types']
  readonly keys: Keys
  readonly log: Logger
  readonly queues: Queues
  readonly redis: RedisConnections
  readonly sensitive: SensitiveDataByType
}

/** Closed with `scope`. */
export const openJobs = async ({ config, follower, keys, log, queues, redis: connections, sensitive }: Deps, scope: Scope) => {
  const redis = connections.request
  const views = createJobViews(sensitive)
  const readSnapshot = createSnapshotReader({ readJob: createJobReader(redis), views, queues })
  const cursors = createCursors({ redis, keys })
  const index = createJobIndex({ redis, keys, partitions: queues.partitions })
  const events = await scope.open('job events', () =>
    openJobEvents({ connect: () => connections.connect('events'), request: redis, queues, log }),
  )
  return {
    events,
    readSnapshot,
    findJob: createFindJob({ readKind: createKindReader(redis), readSnapshot, queues, types: follower }),
    views,
    eventStreams: createEventStreams({ events, readSnapshot }),
    awaitFinish: createAwaitFinish({ events, readSnapshot }),
    control: createJobControl({ redis, keys, queues }),
    list: createJobList({ index, queues, readSnapshot, cursors }),
    duties: [
      createIndexSweep({ index, jobExists: createJobExists({ redis, queues }), keys, redis, log }),
      createRetention({ finished: createFinishedJobs({ redis, queues }), limits: config.queues, log }),
    ],
    readJobRecord: createJobRecordReader({ redis, queues }),
  }
}
