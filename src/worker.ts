// What works jobs, opened in order and closed in reverse: a process of its own (`jobgate worker`), or a part of a gateway.

import type { Logger } from 'pino'
import { createFollowUps } from './attempts/follow-ups.js'
import { openWorkerPool } from './attempts/in-process-worker.js'
import type { BuiltinConfig } from './builtin/config.js'
import { integrationVariables, openIntegrations } from './builtin/integrations.js'
import { builtinErrors } from './builtin/job-errors.js'
import { openQueues } from './bullmq/queues.js'
import { createCatalog } from './catalog/catalog.js'
import { openTypeFollower } from './catalog/follow.js'
import { createCompletion, openModuleRegistration } from './catalog/modules.js'
import { openSubmissions } from './jobs/open-submissions.js'
import { createSensitiveDataByType } from './jobs/sensitive-data.js'
import { openMetricsListener } from './operations/metrics-listener.js'
import { watchRedis } from './operations/queue-gauges.js'
import { openRedis } from './redis/connect.js'
import { createLock } from './redis/lock.js'
import { createKeys } from './redis/redis-keys.js'
import { openDuties } from './runtime/duty.js'
import { closeOnFailure, createScope, type Scope } from './runtime/scope.js'
import { openTicks } from './schedules/open-schedules.js'
import { createMetrics } from './telemetry/metrics.js'
import { openTracing } from './telemetry/tracing.js'
import { forgetGoneNames } from './types/metric-names.js'
import type { DeclaredType } from './types/modules/declare.js'
import type { JobTypes } from './types/registry.js'

export interface StartOptions {
  readonly config: BuiltinConfig
  readonly jobTypes: JobTypes
  readonly log: Logger
  /** What the modules of JOB_TYPES_DIR declare. */
  readonly modules?: readonly DeclaredType[]
  /** Everything is opened in it: closed here when the start fails, else by the caller. */
  readonly scope?: Scope
}

/** A start waits this long for Redis: after a restart, jobs of registered types are accepted at once. */
const typesMsMax = 1000

/** Opens what a gateway and a worker both begin with. `share` takes the embedded Redis of another process. */
export const openBase = async ({ config, jobTypes, log, modules = [] }: StartOptions, { share }: { share: boolean }, scope: Scope) => {
  const { prefix } = config.redis
  for (const warning of config.warnings) log.warn(warning)
  const tracing = await scope.open('tracing', () => openTracing({ settings: config.tracing, instanceId: config.instanceId, log }))
  const redis = await scope.open('redis', () => openRedis({ settings: config.redis, log, share }))
  const queues = await scope.open('queues', () => openQueues({ redis: redis.request, prefix, log, jobTypes }))
  const sensitive = createSensitiveDataByType(jobTypes, config.encryptionKeys)
  const metrics = createMetrics()
  forgetGoneNames(metrics, jobTypes)
  const keys = createKeys(prefix)
  const follower = await scope.open('job types', () =>
    openTypeFollower({ redis: redis.request, keys, jobTypes, log, complete: createCompletion(modules) }),
  )
  await follower.loadWithin(typesMsMax)
  return {
    config,
    follower,
    jobTypes,
    modules,
    jobErrors: builtinErrors,
    log,
    tracing,
    redis,
    keys,
    queues,
    sensitive,
    metrics,
  }
}

export type Base = Awaited<ReturnType<typeof openBase>>

/** What job types call, and the connection of workers. Throws with one readable line when a setting of an integration is wrong. */
export const openTools = async ({ config, keys, log, redis }: Base, scope: Scope) => {
  const connection = redis.connect('worker')
  const store = { redis: connection, keys }
  return { connection, integrations: await scope.open('integrations', () => openIntegrations({ config, log, store })) }
}

export type Tools = Awaited<ReturnType<typeof openTools>>

/** Works jobs and serves schedules at once; closing gives running jobs SHUTDOWN_GRACE_MS. `ready` settles once Redis is there. */
export const openWorking = async (base: Base, { connection, integrations }: Tools, scope: Scope) => {
  const { config, keys, log } = base
  const { shutdownGraceMs } = config.http
  const submissions = await openSubmissions(base, { role: 'worker', connection }, scope)
  await openModuleRegistration({ ...base, catalog: createCatalog({ ...base, redis: base.redis.request, submissions }) }, scope)
  const submitFollowUps = createFollowUps({ ...base, accept: submissions.accept })
  const { close: _close, ...called } = integrations
  const ticks = await openTicks(base, { connection, submissions }, scope)
  await openDuties(ticks.duties, { log, lock: createLock({ redis: connection, keys }) }, scope)
  const pool = await scope.open(
    'worker pool',
    () => openWorkerPool({ ...base, integrations: called, integrationVariables, submitFollowUps }),
    (opened) => opened.close(shutdownGraceMs),
  )
  // Side by side: neither takes anything new while the other ends.
  scope.defer('workers', () => Promise.all([ticks.close(), pool.close(shutdownGraceMs)]))
  return { ready: Promise.all([pool.ready, ticks.ready]) }
}

/** Workers alone, without HTTP. Uses the embedded Redis of a gateway on the same DATA_DIR when no other is configured. */
export const openWorkers = async (options: StartOptions) => {
  const { scope = createScope() } = options
  return closeOnFailure(scope, async () => {
    const base = await openBase(options, { share: true }, scope)
    const { config, log, metrics, redis } = base
    const { host, metrics: settings } = config
    const { token, workerPort: port } = settings
    const tools = await openTools(base, scope)
    watchRedis(metrics, redis.request)
    // Closed after the workers: their last figures are read while they drain.
    const listener =
      port === undefined ? undefined : await scope.open('metrics listener', () => openMetricsListener({ host, port, token, metrics, log }))
    const { ready } = await openWorking(base, tools, scope)
    return {
      ready,
      metrics,
      /** Where Prometheus reads; undefined without WORKER_METRICS_PORT. */
      metricsUrl: listener?.url,
      close: scope.close,
    }
  })
}
