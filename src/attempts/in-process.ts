// BullMQ workers for every queue, started and drained together; each process tells the others what it can do.

import { hostname } from 'node:os'
import { setTimeout as pause } from 'node:timers/promises'
import { Worker } from 'bullmq'
import type { Logger } from 'pino'
import { historyMinutesMax } from '../bullmq/queue-history.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import { assumeOldestRedis } from '../bullmq/redis-version.js'
import type { Config } from '../config/config.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import type { SensitiveData } from '../jobs/sensitive-data.js'
import type { RedisConnections } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { Tracing } from '../telemetry/spans.js'
import { canServe, type Integrations } from '../types/definition.js'
import type { JobErrorTable } from '../types/job-errors.js'
import { type QueueName, queueNames } from '../types/job-schema.js'
import type { JobTypes } from '../types/registry.js'
import { openCancellation } from './cancellation.js'
import type { SubmitFollowUps } from './follow-ups.js'
import { openHeartbeat } from './heartbeat.js'
import { createAttemptMetrics } from './metrics.js'
import { createRunJob } from './run-job.js'

/** A job whose worker died is handed out again this often before it counts as poison. */
const stalledCountMax = 4
/** Finished jobs that one finishing job removes at most. */
const removedAtOnceMax = 1000
/** Beyond the grace of running jobs, closing may take this long: Redis may go away in the middle of it. */
const closeMarginMs = 5000
/** At most one line in this time about errors of one worker: a lost Redis raises thousands. */
const errorLogIntervalMs = 5000

interface Deps {
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly integrations: Integrations
  readonly integrationVariables: Readonly<Record<string, string>>
  readonly jobErrors: JobErrorTable
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
  readonly queueKeys: Readonly<Record<QueueName, QueueKeys>>
  readonly redis: RedisConnections
  readonly sensitive: ReadonlyMap<string, SensitiveData>
  readonly submitFollowUps: SubmitFollowUps
  readonly tracing: Tracing | undefined
}

/**
 * Starts working at once. `close` stops taking jobs, lets running ones finish for `graceMs`,
 * then fires their signals and hands them back to the queue.
 */
export const openWorkerPool = async (deps: Deps) => {
  const { jobTypes, config, integrations, keys, log, queueKeys, redis } = deps
  assumeOldestRedis()
  const connection = redis.connect('worker')
  const cancellation = await openCancellation({ subscriber: redis.connect('events'), redis: connection, keys, log })
  const { queues } = config

  deps.metrics.onRender(() => {
    deps.metrics.attemptsRunning.of().value = cancellation.running()
  })
  const workers = queueNames.map((name) => {
    const metrics = createAttemptMetrics(deps.metrics, { jobErrors: deps.jobErrors, jobTypes, queue: name })
    const runJob = createRunJob({ ...deps, metrics, cancellation, redis: connection }, queueKeys[name])
    const worker = new Worker<JobEnvelope>(name, runJob, {
      connection,
      prefix: config.redis.prefix,
      name: config.instanceId,
      concurrency: queues.concurrency[name],
      lockDuration: queues.lockMs,
      stalledInterval: queues.stalledIntervalMs,
      maxStalledCount: stalledCountMax,
      skipVersionCheck: true,
      removeOnComplete: toKeep(queues.retentionCompletedMs, queues.removeOnComplete),
      removeOnFail: toKeep(queues.retentionFailedMs, queues.removeOnFail),
      metrics: { maxDataPoints: historyMinutesMax },
    })
    logErrors(worker, name, log)
    worker.on('lockRenewalFailed', (jobIds) => {
      for (const id of jobIds) cancellation.stop(id, 'lock_lost')
    })
    return worker
  })

  const heartbeat = openHeartbeat({
    redis: connection,
    keys,
    log,
    instance: {
      id: config.instanceId,
      host: hostname(),
      pid: process.pid,
      types: jobTypes.all.filter((type) => canServe(type, integrations)).map(({ name }) => name),
    },
  })
  const ready = Promise.all(workers.map((worker) => worker.waitUntilReady())).then(() => {
    log.info({ concurrency: queues.concurrency }, 'workers started')
  })
  // Closed before Redis was ever there: nobody has to hear of it.
  ready.catch(() => {})

  let closing: Promise<void> | undefined
  const close = async (graceMs: number) => {
    const handBack = setTimeout(() => cancellation.stopAll('shutdown'), graceMs)
    // Without Redis nothing can be finished or handed back: locks run out, and the jobs with them go to others.
    const isCutOff = connection.status !== 'ready'
    const closed = Promise.all(workers.map((worker) => worker.close(isCutOff)))
      .then(heartbeat.close)
      .then(() => true)
    if (!(await Promise.race([closed, pause(graceMs + closeMarginMs, false, { ref: false })]))) log.warn('workers did not stop in time')
    clearTimeout(handBack)
    cancellation.close()
  }
  return {
    running: cancellation.running,
    /** Settles once they take jobs, which is when Redis is there. */
    ready,
    close: (graceMs: number): Promise<void> => {
      closing ??= close(graceMs)
      return closing
    },
  }
}

export type WorkerPool = Awaited<ReturnType<typeof openWorkerPool>>

/** BullMQ counts ages in seconds. */
const toKeep = (ageMs: number, count: number | undefined) => ({
  age: Math.ceil(ageMs / 1000),
  limit: removedAtOnceMax,
  ...(count === undefined ? {} : { count }),
})

const logErrors = (worker: Worker, queue: QueueName, log: Logger) => {
  let quietUntil = 0
  let unlogged = 0
  worker.on('error', (error) => {
    const now = Date.now()
    if (now < quietUntil) {
      unlogged++
      return
    }
    log.warn({ queue, error: error.message, unlogged }, 'worker error')
    quietUntil = now + errorLogIntervalMs
    unlogged = 0
  })
}
