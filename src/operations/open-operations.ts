// Opens what operators work with: queues, dead letters, long operations, the audit log and the metrics of queues.

import type { Logger } from 'pino'
import { readWorkerInstances } from '../attempts/worker-instances.js'
import { createBulkJobs } from '../bullmq/bulk-jobs.js'
import { createFinishedJobs } from '../bullmq/finished-jobs.js'
import type { Queues } from '../bullmq/queues.js'
import { createQueueCounts } from '../bullmq/statistics/queue-counts.js'
import { createQueueHistory } from '../bullmq/statistics/queue-history.js'
import type { JobControl } from '../jobs/control.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { RemoteWorkers } from '../leases/remote-workers.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import type { Metrics } from '../telemetry/metrics.js'
import { createMetricNames } from '../types/metric-names.js'
import type { JobTypes } from '../types/registry.js'
import { createAudit } from './audit.js'
import { createBoardQueues } from './board-queues.js'
import { createDeadLetterList } from './dead-letters.js'
import { createQueueControl } from './queue-control.js'
import { watchQueues, watchRedis } from './queue-gauges.js'
import { createQueueMetrics } from './queue-metrics.js'
import { openOperations } from './runner.js'

interface Deps {
  readonly control: JobControl
  readonly jobTypes: JobTypes
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
  readonly queues: Queues
  readonly redis: RedisClient
  readonly remoteWorkers: RemoteWorkers['present']
  readonly sensitive: SensitiveDataByType
}

/** Closed with `scope`. */
export const openOperating = async (
  { control, jobTypes, keys, log, metrics, queues, redis, remoteWorkers, sensitive }: Deps,
  scope: Scope,
) => {
  const bulk = createBulkJobs({ redis, queues })
  const audit = createAudit({ redis, keys, log })
  const workerInstances = () => readWorkerInstances(redis, keys)
  const queueMetrics = createQueueMetrics({
    count: createQueueCounts({ redis, queues }),
    history: createQueueHistory({ redis, queues }),
    queues,
    workerInstances,
    remoteWorkers: async () =>
      (await remoteWorkers()).map(({ types }) => ({ queues: types.flatMap((type) => jobTypes.find(type)?.queue ?? []) })),
  })
  const operations = await scope.open('operations', () => openOperations({ bulk, control, keys, log, queues, redis }))
  watchRedis(metrics, redis)
  watchQueues(metrics, { reader: queueMetrics, names: createMetricNames(jobTypes), log })
  return {
    audit,
    boardQueues: createBoardQueues({ queues, sensitive }),
    deadLetters: createDeadLetterList(bulk),
    duties: [operations.duty],
    operations,
    queueControl: createQueueControl({ audit, finished: createFinishedJobs({ redis, queues }), queues }),
    queueMetrics,
    workerInstances,
  }
}
