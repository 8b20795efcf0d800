// Drives attempts in this process: a BullMQ worker for every queue that is served here.

import { hostname } from 'node:os'
import { DelayedError, type Job, UnrecoverableError, WaitingError, Worker } from 'bullmq'
import type { Logger } from 'pino'
import { assumeOldestRedis, marker } from '../bullmq/facts.js'
import { toFinishedKept } from '../bullmq/finished-kept.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import { openIdleQueues } from '../bullmq/registered/idle-queues.js'
import { historyMinutesMax } from '../bullmq/statistics/queue-history.js'
import { concurrencyOf } from '../config/config.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import type { RedisClient, RedisConnections } from '../redis/connect.js'
import { withDeadline } from '../runtime/deadline.js'
import { createThrottledLog } from '../runtime/throttled-log.js'
import { runInSpan } from '../telemetry/spans.js'
import { canServe, isRunnable } from '../types/definition.js'
import { isBuiltinQueue, type QueueName } from '../types/queue-name.js'
import type { Attempt, HandedOutJob } from './attempt.js'
import { type Cancellation, openCancellation } from './cancellation.js'
import { createAttemptEngine, type EngineDeps } from './engine.js'
import { openHeartbeat } from './heartbeat.js'
import { openQueueWorkers, type QueueWorker } from './queue-workers.js'
import { type AttemptNotes, createRunHandler } from './run-handler.js'
import type { AttemptWriter } from './settle.js'

/** A job whose worker died is handed out again this often before it counts as poison. */
const stalledCountMax = 4
/** Beyond the grace of running jobs, closing may take this long: Redis may go away in the middle of it. */
const closeMarginMs = 5000

interface Deps extends Omit<EngineDeps, 'redis' | 'drives'> {
  readonly queues: QueuePlaces
  readonly redis: RedisConnections
}

/**
 * Starts working at once. `close` stops taking jobs, lets running ones finish for `graceMs`,
 * then fires their signals and releases them to the queue.
 */
export const openWorkerPool = async (deps: Deps) => {
  const { jobTypes, config, integrations, keys, log, redis } = deps
  assumeOldestRedis()
  const connection = redis.connect('worker')
  const cancellation = await openCancellation({ subscriber: redis.connect('events'), redis: connection, keys, log })
  const { partitions } = deps.queues
  const limits = config.queues
  const kept = toFinishedKept(limits, partitions)

  deps.metrics.onRender(() => {
    deps.metrics.attemptsRunning.set(cancellation.running())
  })
  const createProcessor = createProcessors({ ...deps, cancellation, redis: connection })
  const openPartition = (queue: QueueKeys): QueueWorker => {
    const { processor, idleSince } = isBuiltinQueue(queue.queue) ? alwaysUsed(createProcessor(queue)) : watchUse(createProcessor(queue))
    const worker = new Worker<JobEnvelope>(queue.queue, processor, {
      connection,
      prefix: queue.tag,
      name: config.instanceId,
      concurrency: partitions.share(concurrencyOf(limits.concurrency, queue.queue)),
      lockDuration: limits.lockMs,
      stalledInterval: limits.stalledIntervalMs,
      maxStalledCount: stalledCountMax,
      skipVersionCheck: true,
      removeOnComplete: kept.completed,
      removeOnFail: kept.failed,
      metrics: { maxDataPoints: historyMinutesMax },
    })
    logErrors(worker, queue.queue, log)
    worker.on('lockRenewalFailed', (jobIds) => {
      for (const id of jobIds) cancellation.abort(id, 'lost')
    })
    const ready = worker.waitUntilReady()
    // Closed before Redis was ever there: nobody has to hear of it.
    ready.catch(() => {})
    return { ready, idleSince, close: (isCutOff) => (isCutOff ? worker.close(true) : closeConnected(worker)) }
  }

  const open = (name: QueueName): QueueWorker => {
    const parts = deps.queues.partitionsOf(name).map(openPartition)
    const ready = Promise.all(parts.map((part) => part.ready))
    ready.catch(() => {})
    return {
      ready,
      idleSince: () => parts.map((part) => part.idleSince()).reduce((one, other) => one && other && Math.max(one, other)),
      close: (isCutOff) => Promise.all(parts.map((part) => part.close(isCutOff))),
    }
  }
  const openIdle = (needsWorker: (queue: QueueName) => void) => {
    const { instanceId } = config
    return openIdleQueues({ connect: () => redis.connect('worker'), redis: connection, queues: deps.queues, instanceId, log, needsWorker })
  }
  const workers = openQueueWorkers({ jobTypes, log, open, openIdle })
  const heartbeat = openHeartbeat({
    redis: connection,
    keys,
    log,
    instance: { id: config.instanceId, host: hostname(), pid: process.pid },
    serves: () => ({
      types: jobTypes.all.filter((type) => isRunnable(type) && canServe(type, integrations)).map(({ name }) => name),
      queues: workers.names(),
    }),
  })
  const stopFollowing = jobTypes.onChange(() => void heartbeat.beat())
  const ready = workers.ready.then(() => {
    log.info({ concurrency: limits.concurrency }, 'workers started')
  })
  // Closed before Redis was ever there: nobody has to hear of it.
  ready.catch(() => {})

  let closing: Promise<void> | undefined
  const close = async (graceMs: number) => {
    stopFollowing()
    const release = setTimeout(() => cancellation.abortAll('shutdown'), graceMs)
    // Without Redis nothing can be finished or released: locks run out, and the jobs with them go to others.
    const isCutOff = connection.status !== 'ready'
    const closed = workers
      .close(isCutOff)
      .then(heartbeat.close)
      .then(() => true)
    if (!(await withDeadline(closed, graceMs + closeMarginMs, false))) log.warn('workers did not stop in time')
    clearTimeout(release)
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

/** A worker of BullMQ 6.7 whose waiting connection is just being made again never closes: that is waited for first. */
const closeConnected = async (worker: Worker): Promise<void> => {
  await worker.backend.reconnectBlocking().catch(() => {})
  await worker.close()
}

/** Workers of built-in queues stay: nothing is counted for each of their attempts. */
const alwaysUsed = (processor: Process) => ({ processor, idleSince: () => null })

type Process = (job: Job<JobEnvelope>, token?: string) => Promise<unknown>

/** Tells since when nothing has been processed, in milliseconds since 1970; null while something is. */
const watchUse = (process: Process) => {
  let running = 0
  let since = Date.now()
  const processor: Process = async (job, token) => {
    running++
    try {
      return await process(job, token)
    } finally {
      running--
      since = Date.now()
    }
  }
  return { processor, idleSince: (): number | null => (running > 0 ? null : since) }
}

const logErrors = (worker: Worker, queue: QueueName, log: Logger) => {
  worker.on(
    'error',
    createThrottledLog((error: Error, unlogged) => log.warn({ queue, error: error.message, unlogged }, 'worker error')),
  )
}

/** Makes BullMQ's processors: each runs one attempt and tells BullMQ by its result, or by what it throws, how that ended. */
const createProcessors = (deps: Omit<EngineDeps, 'drives'> & { cancellation: Cancellation }) => {
  const { cancellation, config, integrations, log, redis } = deps
  const engine = createAttemptEngine({ ...deps, drives: isRunnable })
  const runHandler = createRunHandler({ integrations, markerTtlMs: config.queues.attemptMarkerMs, redis })

  const work = async (attempt: Attempt, held: HeldJob): Promise<unknown> => {
    const abort = cancellation.begin(held.id, held.key)
    try {
      const beginning = engine.begin(attempt)
      const begun = beginning instanceof Promise ? await beginning : beginning
      const report =
        begun.kind === 'begun'
          ? await runHandler({ attempt, input: begun, abort, notes: held })
          : begun.kind === 'decided'
            ? begun.outcome
            : begun
      await engine.settle(attempt, report, abort, held)
      return held.tellBullmq()
    } finally {
      // Not recorded as an end: what ended it was the loss of Redis.
      attempt.span?.end('unsettled')
      cancellation.end(held.id, abort)
    }
  }

  return (queue: QueueKeys) => {
    const source = { queue, redis, log }
    return (job: Job<JobEnvelope>, token?: string): Promise<unknown> => {
      const held = new HeldJob(job, token as string, source)
      const attempt = engine.open(held)
      return runInSpan(attempt.span, () => work(attempt, held))
    }
  }
}

/** Codes of BullMQ 6.7's errors about a job whose lock has run out (-2) or is another worker's (-6). */
const lockLostCodes: ReadonlySet<unknown> = new Set([-2, -6])

interface Source {
  readonly queue: QueueKeys
  readonly redis: RedisClient
  readonly log: Logger
}

/**
 * A job that BullMQ handed to this process, as the engine reads and writes it: one object for each attempt, hence a class.
 * BullMQ itself writes what is completed, failed or retried, fenced by its lock, once the processor has ended.
 */
class HeldJob implements HandedOutJob, AttemptNotes, AttemptWriter {
  readonly id: string
  readonly key: string
  readonly #job: Job<JobEnvelope>
  readonly #token: string
  readonly #source: Source
  #result: unknown
  #thrown: Error | undefined

  constructor(job: Job<JobEnvelope>, token: string, source: Source) {
    this.id = job.id as string
    this.key = source.queue.job(this.id)
    this.#job = job
    this.#token = token
    this.#source = source
  }

  get type() {
    return this.#job.name
  }
  get queue() {
    return this.#source.queue.queue
  }
  get markerKey() {
    return this.#source.queue.partition.keys.marker(this.id)
  }
  get envelope() {
    return this.#job.data
  }
  get createdAt() {
    return this.#job.timestamp
  }
  get attemptsMade() {
    return this.#job.attemptsMade
  }
  get attemptsStarted() {
    return this.#job.attemptsStarted
  }
  get attemptsMax() {
    return this.#job.opts.attempts ?? 1
  }

  appendLog(line: string) {
    return this.#job.log(line)
  }
  updateProgress(progress: number | Record<string, unknown>) {
    return this.#job.updateProgress(progress)
  }

  complete(result: unknown) {
    this.#result = result
    return true
  }
  fail(failedReason: string) {
    this.#thrown = withoutStack(new UnrecoverableError(failedReason))
    return true
  }
  retry(failedReason: string) {
    this.#thrown = withoutStack(new Error(failedReason))
    return true
  }
  delayUntil(at: number) {
    this.#thrown = new DelayedError()
    return written(this.#job.moveToDelayed(at, this.#token))
  }
  async release() {
    this.#thrown = new WaitingError()
    if (!(await written(this.#job.moveToWait(this.#token)))) return false
    const { log, queue, redis } = this.#source
    // BullMQ 6.7 wakes nobody for a job of a priority class: an idle worker would see it seconds later.
    await redis
      .zadd(queue.marker, marker.score, marker.member)
      .catch((error: Error) => log.debug({ error: error.message }, 'no worker was woken'))
    return true
  }
  /** BullMQ writes nothing for a job that says it waits already. */
  abandon() {
    this.#thrown = new WaitingError()
  }

  /** Called last, in the processor: what it returns or throws is what BullMQ writes. */
  tellBullmq(): unknown {
    if (this.#thrown) throw this.#thrown
    return this.#result
  }
}

/** Whether a move was made. */
const written = (move: Promise<unknown>): Promise<boolean> =>
  move.then(
    () => true,
    (error: Error & { code?: unknown }) => {
      if (lockLostCodes.has(error.code)) return false
      throw error
    },
  )

/** Expected outcomes have no stack worth keeping; BullMQ would store this file's own. */
const withoutStack = <E extends Error>(error: E): E => {
  error.stack = ''
  return error
}
