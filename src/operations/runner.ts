// Runs operators' long work in small steps; when the instance that runs it dies, another goes on where it stopped.

import type { Logger } from 'pino'
import { type BulkJobs, type BulkPosition, jobsPerStep, type ScannedJob } from '../bullmq/bulk-jobs.js'
import type { Queues } from '../bullmq/queues.js'
import type { JobControl } from '../jobs/control.js'
import type { RedisClient } from '../redis/connect.js'
import { classifyRedisError } from '../redis/failures.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Duty } from '../runtime/duty.js'
import type { QueueName } from '../types/queue-name.js'
import { operationPlans } from './plans.js'
import { createOperationRecords, type Operation, type OperationState, operationLeaseMs } from './records.js'

export type OperationWanted = Pick<Operation, 'by' | 'kind' | 'queue' | 'request'>

export type StartOutcome =
  | { readonly kind: 'started'; readonly operation: Operation }
  /** One of its kind is under way in this queue. */
  | { readonly kind: 'running'; readonly id: string }
  /** Jobs run, and the operation was not told to stop them. */
  | { readonly kind: 'busy'; readonly active: number }

/** What an operation would change now. `isExact` is false when there was more than could be looked at. */
export interface Estimate {
  readonly affected: number
  readonly isExact: boolean
}

/** Where an operation has come to: a set, or a place among the ids that it was given, and a position in it. */
interface Cursor extends BulkPosition {
  readonly step: number
}

/** How often each instance looks for operations that nobody runs. */
const lookIntervalMs = 2000
/** Jobs that a dry run looks at. */
const estimatedMax = 20_000
/** What a slow step makes it wait at most. */
const restMsMax = 100
/** An operation that fails this often for a reason of its own is given up. */
const faultsMax = 3
/** An operation whose queue this instance does not know is left to others for this long, and then given up: the queue is gone. */
const unknownMsMax = 600_000
/** Running jobs that are told to stop together. */
const stoppedAtOnce = 100

export const openOperations = ({
  bulk,
  control,
  keys,
  log,
  queues,
  redis,
}: {
  bulk: BulkJobs
  control: JobControl
  keys: Keys
  log: Logger
  queues: Queues
  redis: RedisClient
}) => {
  const records = createOperationRecords({ redis, keys })
  const running = new Map<string, Promise<void>>()
  const stop = new AbortController()

  /** The next jobs to look at, and the cursor behind them given which of them leave their set; null at the end. */
  const lookAt = async (operation: Pick<Operation, 'createdAt' | 'kind' | 'queue' | 'request'>, cursor: Cursor, count: number) => {
    const { queue } = operation
    const { sets, endsAtCreation } = operationPlans[operation.kind]
    const { ids } = operation.request
    const set = ids ? 'failed' : sets[cursor.step]
    if (set === undefined || (ids && cursor.skip >= ids.length)) return null
    if (ids) {
      const some = ids.slice(cursor.skip, cursor.skip + count)
      const jobs = await bulk.find(queue, set, some)
      return { set, jobs, scanned: some.length, after: (): Cursor => ({ ...cursor, skip: cursor.skip + some.length }) }
    }
    const { step, ...position } = cursor
    const { jobs, next } = await bulk.walk(queue, set, position, endsAtCreation ? operation.createdAt : '+inf', count)
    const after = (taken: ReadonlySet<string>): Cursor => {
      const onward = next(taken)
      return onward ? { step, ...onward } : { step: step + 1, score: '', skip: 0 }
    }
    return { set, jobs, scanned: jobs.length, after }
  }

  const runSteps = async (operation: Operation, token: string): Promise<OperationState | 'left'> => {
    const { act, chooses } = operationPlans[operation.kind]
    const rate = operation.request.ratePerSecond
    const count = rate === undefined ? jobsPerStep : Math.min(jobsPerStep, rate)
    let cursor = readCursor(operation.cursor)
    while (!stop.signal.aborted) {
      const start = performance.now()
      const found = await lookAt(operation, cursor, count)
      if (!found) return 'completed'
      const chosen = found.jobs.filter((job) => chooses(job, operation))
      cursor = found.after(new Set(idsOf(chosen)))
      const step = {
        leaseKey: keys.operationLease(operation.id),
        leaseToken: token,
        leaseMs: operationLeaseMs,
        operationKey: keys.operation(operation.id),
        cursor: JSON.stringify(cursor),
        scanned: found.scanned,
      }
      const outcome = await bulk.act(operation.queue, found.set, act, chosen, step)
      if (outcome.kind === 'cancel-requested') return 'cancelled'
      if (outcome.kind === 'lease-lost') return 'left'
      // Without a rate every second moment is left to others: Redis does one thing at a time.
      const restMs = rate === undefined ? Math.min(performance.now() - start, restMsMax) : (chosen.length / rate) * 1000
      await pause(restMs, stop.signal)
    }
    return 'left'
  }

  const runLeased = async (operation: Operation, token: string): Promise<void> => {
    const { queue } = operation
    let resumes = false
    if (operation.kind === 'obliterate') {
      // No job begins while its queue is taken away. Noted before it is done, so that no crash leaves the queue paused.
      resumes = await records.noteResumes(operation.id, !(await queues.isPaused(queue)))
      await queues.pause(queue)
    }
    const end = await runSteps(operation, token)
    if (end === 'left') return
    if (resumes) await queues.resume(queue)
    if (await records.finish(operation, token, end)) logEnd(operation, end)
  }

  const logEnd = ({ id, kind, queue, by }: Operation, state: OperationState) =>
    log.info({ operationId: id, kind, queue, by, state }, 'operation finished')

  const handleFault = async (operation: Operation, token: string, error: unknown): Promise<void> => {
    const context = { operationId: operation.id, kind: operation.kind, queue: operation.queue }
    if (classifyRedisError(error)) {
      log.warn({ ...context, error: (error as Error).message }, 'an operation was interrupted; it continues when Redis is back')
      return
    }
    log.error({ ...context, err: error }, 'an operation failed unexpectedly')
    if ((await records.noteFault(operation.id)) < faultsMax) return
    if (operation.resumes) {
      await queues.resume(operation.queue).catch((failure: unknown) => {
        if (classifyRedisError(failure)) throw failure
        log.error({ ...context, err: failure }, 'the queue of a failed operation could not be resumed and remains paused')
      })
    }
    if (await records.finish(operation, token, 'failed')) logEnd(operation, 'failed')
  }

  const leaveUnknown = async (operation: Operation, token: string): Promise<void> => {
    if (Date.now() - operation.createdAt < unknownMsMax) return
    if (await records.finish(operation, token, 'cancelled')) logEnd(operation, 'cancelled')
  }

  /** Runs an operation unless another instance does. */
  const run = async (slot: string, id: string): Promise<void> => {
    const token = await records.lease(id)
    if (token === null) return
    try {
      const operation = await records.read(id)
      if (operation === null) return await records.forget(slot)
      if (operation.state !== 'running') return
      if (!queues.has(operation.queue)) return await leaveUnknown(operation, token)
      await runLeased(operation, token).catch(async (error: unknown) => {
        await handleFault((await records.read(id)) ?? operation, token, error)
      })
    } finally {
      // A lease that cannot be released ends by itself.
      await records.release(id, token).catch(() => undefined)
    }
  }

  const start = (slot: string, id: string): void => {
    if (running.has(id) || stop.signal.aborted) return
    const under = run(slot, id)
      .catch((error: Error) => log.warn({ operationId: id, error: error.message }, 'running an operation failed; retrying'))
      .finally(() => running.delete(id))
    running.set(id, under)
  }

  /** Takes up what nobody runs. */
  const resumeOpen = async (): Promise<void> => {
    for (const [slot, id] of Object.entries(await records.open())) start(slot, id)
  }
  const duty: Duty = {
    name: 'operations',
    everyMs: lookIntervalMs,
    unref: true,
    run: resumeOpen,
    failure: 'looking for operations failed',
    failureLevel: 'debug',
  }

  /** Tells the jobs that run now to stop; they end as cancelled. */
  const stopActive = async (queue: QueueName): Promise<void> => {
    const ids = await bulk.active(queue)
    for (let at = 0; at < ids.length; at += stoppedAtOnce) {
      await Promise.all(ids.slice(at, at + stoppedAtOnce).map((id) => control.cancel(queue, id)))
    }
  }

  return {
    /**
     * Begins an operation and leaves it to run. `force` lets `obliterate` stop running jobs.
     * Rejects with the error of Redis.
     */
    async start(wanted: OperationWanted, { force = false }: { force?: boolean } = {}): Promise<StartOutcome> {
      const { queue } = wanted
      if (wanted.kind === 'obliterate') {
        const active = await bulk.size(queue, ['active'])
        if (active > 0 && !force) return { kind: 'busy', active }
      }
      const total = wanted.request.ids?.length ?? (await bulk.size(queue, operationPlans[wanted.kind].sets))
      const { id, isNew } = await records.begin({ ...wanted, total })
      if (!isNew) return { kind: 'running', id }
      if (wanted.kind === 'obliterate' && force) await stopActive(queue)
      const operation = await records.read(id)
      if (operation === null) throw new Error(`The record of operation ${id} disappeared right after it was written`)
      log.info({ operationId: id, kind: wanted.kind, queue: wanted.queue, by: wanted.by, total }, 'operation requested')
      start(`${wanted.queue}:${wanted.kind}`, id)
      return { kind: 'started', operation }
    },

    /** Looks without changing anything. */
    async estimate({ kind, queue, request }: OperationWanted): Promise<Estimate> {
      const { chooses } = operationPlans[kind]
      const operation = { kind, queue, request, createdAt: Date.now() }
      let cursor: Cursor = readCursor(null)
      let affected = 0
      for (let scanned = 0; scanned < estimatedMax; ) {
        const found = await lookAt(operation, cursor, jobsPerStep)
        if (!found) return { affected, isExact: true }
        affected += found.jobs.filter((job) => chooses(job, operation)).length
        scanned += found.scanned
        cursor = found.after(new Set())
      }
      return { affected, isExact: false }
    },

    read: records.read,
    list: records.list,

    /** Lets an operation stop after the step it is at; the outcome `missing` covers those whose record is no longer kept. */
    async cancel(id: string, by: string) {
      const operation = await records.read(id)
      return operation === null ? ('missing' as const) : records.cancel(operation, by)
    },

    resumeOpen,
    duty,

    /** Leaves its operations, after the step they are at, for another instance. */
    async close(): Promise<void> {
      stop.abort()
      await Promise.all(running.values())
    },
  }
}

export type Operations = ReturnType<typeof openOperations>

const readCursor = (cursor: string | null): Cursor => (cursor === null ? { step: 0, score: '', skip: 0 } : (JSON.parse(cursor) as Cursor))

const idsOf = (jobs: readonly ScannedJob[]): string[] => jobs.map(({ id }) => id)

/** Ends early when `signal` fires. */
const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (ms <= 0 || signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
