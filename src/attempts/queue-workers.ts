// Which queues this process takes jobs from: each has a worker, which comes and goes with the job types that are run here.

import type { Logger } from 'pino'
import type { IdleQueues } from '../bullmq/registered/idle-queues.js'
import { openDuty } from '../runtime/duty.js'
import { isRunnable } from '../types/definition.js'
import { builtinQueues, isBuiltinQueue, type QueueName } from '../types/queue-name.js'
import type { JobTypes } from '../types/registry.js'

/** Takes jobs from a queue from when it is opened. */
export interface QueueWorker {
  /** Settles once it does, which is when Redis is there. */
  readonly ready: Promise<unknown>
  /** Since when it has had nothing to do, in milliseconds since 1970; null while it runs a job. */
  idleSince(): number | null
  /** Takes no more jobs; resolves when those that run have ended. `isCutOff` waits for none: Redis is gone. */
  close(isCutOff: boolean): Promise<unknown>
}

/** A worker that has had nothing to do for this long is closed until its queue has work again. */
const idleMsMax = 30_000
/** How often workers are looked at for that. */
const lookMs = 5000

interface Deps {
  readonly jobTypes: Pick<JobTypes, 'all' | 'onChange'>
  readonly log: Logger
  readonly open: (queue: QueueName) => QueueWorker
  /** Watches the queues whose workers are closed; `needsWorker` is to be called when one needs its own again. */
  readonly openIdle: (needsWorker: (queue: QueueName) => void) => Pick<IdleQueues, 'watch' | 'leave' | 'needy' | 'close'>
  /** For tests. */
  readonly idleMs?: number
}

/**
 * Opens workers at once, and more or fewer whenever the registry changes. A worker costs a connection, timers and a few commands a
 * second: built-in queues always have theirs, all others only while there is something to do, so that hundreds of them cost little.
 */
export const openQueueWorkers = ({ jobTypes, log, open, openIdle, idleMs = idleMsMax }: Deps) => {
  let served: ReadonlySet<QueueName> = new Set()
  const workers = new Map<QueueName, QueueWorker>()
  /** Workers that are being closed, by queue. */
  const leaving = new Map<QueueName, { readonly worker: QueueWorker; readonly closed: Promise<void> }>()
  let isClosed = false

  const openWorker = (queue: QueueName): void => {
    // One that is not closed yet still takes part in the queue's concurrency; what it leaves is taken up afterwards.
    if (!isClosed && served.has(queue) && !workers.has(queue) && !leaving.has(queue)) workers.set(queue, open(queue))
  }
  const idle = openIdle(openWorker)

  const closeWorker = (queue: QueueName, worker: QueueWorker): void => {
    workers.delete(queue)
    const closed = worker
      .close(false)
      .catch((error: Error) => log.warn({ queue, error: error.message }, 'a worker did not close'))
      .then(() => {
        leaving.delete(queue)
        follow()
      })
    leaving.set(queue, { worker, closed })
  }

  /** Every queue that is served has a worker, is watched, or is about to be. */
  const follow = (): void => {
    if (isClosed) return
    served = servedQueues(jobTypes)
    for (const [queue, worker] of workers) if (!served.has(queue)) closeWorker(queue, worker)
    for (const queue of builtinQueues) openWorker(queue)
    idle.watch([...served].filter((queue) => !workers.has(queue) && !leaving.has(queue)))
  }

  const closeIdle = async (): Promise<void> => {
    const until = Date.now() - idleMs
    const isIdle = (worker: QueueWorker): boolean => (worker.idleSince() ?? Number.POSITIVE_INFINITY) <= until
    const candidates = [...workers].filter(([queue, worker]) => !isBuiltinQueue(queue) && isIdle(worker))
    if (candidates.length === 0) return
    const needy = await idle.needy(candidates.map(([queue]) => queue))
    for (const [queue, worker] of candidates) {
      if (workers.get(queue) === worker && isIdle(worker) && !needy.has(queue)) closeWorker(queue, worker)
    }
  }

  follow()
  const duty = openDuty(
    { name: 'idle-workers', everyMs: lookMs, run: closeIdle, failure: 'looking for idle workers failed', canEnd: () => false },
    { log },
  )
  const stopFollowing = jobTypes.onChange(() => {
    const before = served
    follow()
    for (const queue of before) if (!served.has(queue)) idle.leave(queue)
  })

  return {
    /** Queues that jobs are taken from now. */
    names: (): QueueName[] => [...served],
    /** Settles once those that were opened at first take jobs. */
    ready: Promise.all([...workers.values()].map(({ ready }) => ready)),
    /** Closes workers that are idle. */
    closeIdle,
    async close(isCutOff: boolean): Promise<void> {
      isClosed = true
      stopFollowing()
      const left = [...leaving.values()].map(({ worker, closed }) => (isCutOff ? worker.close(true) : closed))
      await Promise.all([duty.close(), idle.close(), ...left, ...[...workers.values()].map((worker) => worker.close(isCutOff))])
    },
  }
}

/** Those of the types that are run here; and the built-in ones, in which a job of a type that this version does not know has to fail. */
const servedQueues = ({ all }: Pick<JobTypes, 'all'>): ReadonlySet<QueueName> =>
  new Set([...builtinQueues, ...all.filter(isRunnable).map(({ queue }) => queue)])
