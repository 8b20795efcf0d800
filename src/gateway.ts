// Opens everything below HTTP, in order, and closes it in reverse.

import type { Logger } from 'pino'
import { createFollowUps } from './attempts/follow-ups.js'
import { openWorkerPool } from './attempts/in-process.js'
import { readWorkerInstances } from './attempts/worker-instances.js'
import { openApiKeys } from './auth/api-keys.js'
import { createBoardSessions } from './auth/board-sessions.js'
import { openFirstKey } from './auth/first-key.js'
import { integrationVariables, openIntegrations } from './builtin/integrations.js'
import { createAcceptance } from './bullmq/acceptance.js'
import { createBulkJobs } from './bullmq/bulk-jobs.js'
import { openJobEvents } from './bullmq/job-events.js'
import { createQueueCounts } from './bullmq/queue-counts.js'
import { createQueueHistory } from './bullmq/queue-history.js'
import { openQueues } from './bullmq/queues.js'
import { createJobReader } from './bullmq/read-jobs.js'
import type { Config } from './config/config.js'
import { createClaimReader } from './idempotency/claim.js'
import { createSubmit } from './jobs/accept.js'
import { createJobControl } from './jobs/control.js'
import { createJobFeed } from './jobs/event-stream.js'
import { createHasBegun } from './jobs/job-begun.js'
import { createJobIndex, openIndexSweep } from './jobs/job-index.js'
import { createJobList } from './jobs/list.js'
import { createJobRecordReader } from './jobs/record.js'
import { openRetention } from './jobs/retention.js'
import { createSensitiveDataByType } from './jobs/sensitive-data.js'
import { createJobLook } from './jobs/snapshot.js'
import { createJobViews } from './jobs/view.js'
import { createAwaitFinish } from './jobs/wait.js'
import { requireMailTemplates } from './mail/templates/templates.js'
import { createAudit } from './operations/audit.js'
import { createBoardQueues } from './operations/board-queues.js'
import { createDeadLetterList } from './operations/dead-letters.js'
import { openMetricsListener } from './operations/metrics-listener.js'
import { createQueueControl } from './operations/queue-control.js'
import { watchQueues, watchRedis } from './operations/queue-gauges.js'
import { createQueueMetrics } from './operations/queue-metrics.js'
import { openOperations } from './operations/runner.js'
import { openRedis, type RedisClient } from './redis/connect.js'
import { openDurability } from './redis/durability.js'
import { createLock } from './redis/lock.js'
import { createKeys } from './redis/redis-keys.js'
import { openScheduleClock } from './schedules/clock.js'
import { createSchedulePayloads } from './schedules/payload.js'
import { createScheduleAlign } from './schedules/reconcile.js'
import { createScheduleRecords } from './schedules/record.js'
import { createRefuseRun } from './schedules/refuse-run.js'
import { createSchedules } from './schedules/schedules.js'
import { createRunSchedule } from './schedules/tick.js'
import { openScheduleWorker } from './schedules/worker.js'
import { createMetrics } from './telemetry/metrics.js'
import { openTracing } from './telemetry/tracing.js'
import type { JobTypes } from './types/registry.js'

interface Options {
  readonly config: Config
  readonly jobTypes: JobTypes
  readonly log: Logger
}

/** Opens Redis and what gateway and workers both need. */
const openBase = async ({ config, jobTypes, log }: Options, share: boolean) => {
  const tracing = await openTracing({ settings: config.tracing, instanceId: config.instanceId, log })
  const redis = await openRedis({ settings: config.redis, log, share })
  const keys = createKeys(config.redis.prefix)
  const queues = openQueues({ redis: redis.request, prefix: config.redis.prefix, log })
  const sensitive = createSensitiveDataByType(jobTypes, config.encryptionKeys)
  return { redis, keys, queues, sensitive, metrics: createMetrics(), tracing }
}

type Base = Awaited<ReturnType<typeof openBase>>

/**
 * Submits over the given connection, and what schedules are made of.
 * WAIT holds up whatever follows on a connection: stronger durability wants one of its own.
 */
const openSubmission = ({ config, jobTypes, log }: Options, base: Base, role: 'request' | 'worker', redis: RedisClient) => {
  const { keys, metrics, queues, sensitive } = base
  const { durability: level, maxDepth, idempotencyTtlMs: claimTtlMs } = config.queues
  const writing = level === 'memory' ? redis : base.redis.connect(role)
  const durability = level === 'memory' ? undefined : openDurability({ redis: writing, key: config.redis.prefix, durability: level, log })
  const accept = createAcceptance({ redis: writing, maxDepth, claimTtlMs, durability, durations: metrics.storeDurations.of() })
  const views = createJobViews(sensitive)
  const readClaim = createClaimReader({ redis, writing, durability })
  const submit = createSubmit({ accept, jobTypes, config, keys, metrics, queueKeys: queues.keys, readClaim, redis, sensitive, views })
  const clock = openScheduleClock({ redis, prefix: config.redis.prefix })
  const records = createScheduleRecords({ redis, writing, keys, durability })
  return {
    accept,
    submit,
    clock,
    records,
    align: createScheduleAlign({ clock, records }),
    payloads: createSchedulePayloads({ jobTypes, config, sensitive }),
    durability,
    async close() {
      durability?.close()
      await clock.close()
    },
  }
}

/** Throws with one readable line when a Redis that answers at the start cannot keep what DURABILITY promises. */
const requireFit = async ({ durability, close }: ReturnType<typeof openSubmission>): Promise<void> => {
  await durability?.checked()
  const fault = durability?.fault()
  if (!fault) return
  await close()
  throw new Error(fault)
}

/** What workers call, and their connection. Throws with one readable line when a setting of an integration is wrong. */
const openWorkerTools = async ({ config, log }: Options, base: Base) => {
  const redis = base.redis.connect('worker')
  return { redis, integrations: await openIntegrations({ config, log, store: { redis, keys: base.keys } }) }
}

type WorkerTools = Awaited<ReturnType<typeof openWorkerTools>>

/** What `openServices` and `openWorkers` start when jobs are to be worked in this process. */
const openWorkerSide = async (options: Options, base: Base, { redis, integrations }: WorkerTools) => {
  const { config, jobTypes, log } = options
  const submission = openSubmission(options, base, 'worker', redis)
  await requireFit(submission)
  const { accept, align, records, submit } = submission
  const pool = await openWorkerPool({
    jobTypes,
    config,
    integrations: { ...integrations },
    integrationVariables,
    keys: base.keys,
    log,
    metrics: base.metrics,
    queueKeys: base.queues.keys,
    redis: base.redis,
    sensitive: base.sensitive,
    submitFollowUps: createFollowUps({ jobTypes, config, sensitive: base.sensitive, submit }),
    tracing: base.tracing,
  })
  const { keys, queues } = base
  const hasBegun = createHasBegun({ redis, queueKeys: queues.keys })
  const refuse = createRefuseRun({ accept, keys, queueKeys: queues.keys, redis })
  const scheduleWorker = openScheduleWorker({
    align,
    config,
    connection: redis,
    lock: createLock({ redis, keys }),
    log,
    records,
    runSchedule: createRunSchedule({ ...submission, config, hasBegun, keys, log, refuse }),
  })
  return {
    ready: Promise.all([pool.ready, scheduleWorker.ready]),
    async close() {
      await Promise.all([scheduleWorker.close(), pool.close(config.http.shutdownGraceMs)])
      await submission.close()
      await integrations.close()
    },
  }
}

/** Closing twice is harmless. */
const once = (close: () => Promise<void>): (() => Promise<void>) => {
  let closing: Promise<void> | undefined
  return () => (closing ??= close())
}

/** A start that fails leaves no Redis running. */
const closeAndThrow =
  ({ queues, redis, tracing }: Base) =>
  async (error: unknown): Promise<never> => {
    await queues.close()
    await redis.close()
    await tracing?.close()
    throw error
  }

/**
 * Services of a gateway, with workers when WORKERS_ENABLED says so.
 * Throws with one readable line when the embedded Redis or an integration cannot start;
 * an unreachable Redis is no error, everything heals once it is there.
 */
export const openServices = async (options: Options) => {
  const { config, jobTypes, log } = options
  // Submissions are checked against the operator's templates: a broken one stops the start, not the first e-mail.
  const emailTemplates = requireMailTemplates(config.email)
  const base = await openBase(options, false)
  const submission = openSubmission(options, base, 'request', base.redis.request)
  await requireFit(submission).catch(closeAndThrow(base))
  const tools = config.workersEnabled ? await openWorkerTools(options, base).catch(closeAndThrow(base)) : undefined
  const { redis, keys, metrics, queues, sensitive } = base
  const request = redis.request
  const firstKey = await openFirstKey({ adminApiKey: config.adminApiKey, dataDir: config.dataDir })
  const apiKeys = openApiKeys({ redis: request, events: redis.connect('events'), keys, log, firstKey: firstKey.key })
  const look = createJobLook({ readJob: createJobReader(request), views: createJobViews(sensitive), queueKeys: queues.keys })
  const events = openJobEvents({ connect: () => redis.connect('events'), request, queues, log })
  const index = createJobIndex({ redis: request, keys })
  const sweep = openIndexSweep({ index, redis: request, queueKeys: queues.keys, log })
  const retention = openRetention({ limits: config.queues, lock: createLock({ redis: request, keys }), log, queues, redis: request })
  // Workers wait for Redis as long as it takes; the gateway answers meanwhile.
  const workerSide = tools && openWorkerSide(options, base, tools)
  workerSide?.catch((error: Error) => log.error({ err: error }, 'workers did not start'))

  const audit = createAudit({ redis: request, keys, log })
  const control = createJobControl({ redis: request, keys, queues })
  const bulk = createBulkJobs(request)
  const operations = openOperations({ bulk, control, keys, log, queues, redis: request })
  const workerInstances = () => readWorkerInstances(request, keys)
  const queueMetrics = createQueueMetrics({
    count: createQueueCounts(request),
    history: createQueueHistory(queues),
    queueKeys: queues.keys,
    workerInstances,
  })
  watchRedis(metrics, request)
  watchQueues(metrics, { reader: queueMetrics, log })

  const closeWorkers = once(async () => (await workerSide?.catch(() => undefined))?.close())
  const close = once(async () => {
    await closeWorkers()
    await operations.close()
    sweep.close()
    await retention.close()
    await events.close()
    await submission.close()
    await queues.close()
    await redis.close()
    await base.tracing?.close()
  })
  return {
    config,
    jobTypes,
    log,
    redis,
    keys,
    emailTemplates,
    firstKey,
    apiKeys,
    boardSessions: createBoardSessions({ redis: request, keys, apiKeys }),
    boardQueues: createBoardQueues({ queues, sensitive }),
    submit: submission.submit,
    /** Why no submission can be as safe as DURABILITY says; null when it can be. */
    durabilityFault: () => submission.durability?.fault() ?? null,
    schedules: createSchedules({ ...submission, jobTypes, config }),
    queueKeys: queues.keys,
    events,
    look,
    feed: createJobFeed({ events, look }),
    awaitFinish: createAwaitFinish({ events, look }),
    control,
    operations,
    deadLetters: createDeadLetterList({ bulk, queueKeys: queues.keys }),
    list: createJobList({ index, look, redis: request, keys }),
    workerInstances,
    audit,
    queueControl: createQueueControl({ queues, audit }),
    readJobRecord: createJobRecordReader({ redis: request, queues }),
    metrics,
    queueMetrics,
    tracing: base.tracing,
    /** Settles once Redis answers and the workers of this process, if any, run. The gateway serves before that. */
    async ready(): Promise<void> {
      // Not `events.once`: an error on the way there is no reason to give up.
      if (request.status !== 'ready') await new Promise<void>((resolve) => request.once('ready', () => resolve()))
      await (await workerSide)?.ready
    },
    /** The workers of this process, if any, take no more jobs; running ones have SHUTDOWN_GRACE_MS. All else stays open. */
    closeWorkers,
    close,
  }
}

export type Services = Awaited<ReturnType<typeof openServices>>

/** Workers alone, without HTTP. Uses the embedded Redis of a gateway on the same DATA_DIR when no other is configured. */
export const openWorkers = async (options: Options) => {
  const { host, metrics: settings } = options.config
  const base = await openBase(options, true)
  const tools = await openWorkerTools(options, base).catch(closeAndThrow(base))
  const { metrics } = base
  watchRedis(metrics, base.redis.request)
  const listener =
    settings.workerPort === undefined
      ? undefined
      : await openMetricsListener({ host, port: settings.workerPort, token: settings.token, metrics, log: options.log })
  const side = await openWorkerSide(options, base, tools).catch(closeAndThrow(base))
  return {
    ready: side.ready,
    metrics,
    /** Where Prometheus reads; undefined without WORKER_METRICS_PORT. */
    metricsUrl: listener?.url,
    async close() {
      await side.close()
      await listener?.close()
      await base.queues.close()
      await base.redis.close()
      await base.tracing?.close()
    },
  }
}
