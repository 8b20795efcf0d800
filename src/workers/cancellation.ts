// Ends running attempts: a client's cancellation from any instance, a time limit, a lost lock, a shutdown.

import type { Logger } from 'pino'
import type { QueueKeys } from '../queues/queue-keys.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/keys.js'
import { keepSubscribed } from '../redis/subscribe.js'
import { createStopper, type Stopper, type StopReason } from './stopper.js'

/** A running attempt. */
interface Running {
  readonly queue: QueueKeys
  readonly stopper: Stopper
}

/** The mark of a cancelled job is looked at this often, for messages that were lost. */
const lookIntervalMs = 5000
/** A cancellation may arrive before the worker has seen the job it is about: it is remembered this long. */
const rememberMs = 60_000
const rememberedMax = 10_000

/** Listens for cancellations until closed. `subscriber` becomes a subscriber connection; `redis` reads the marks. */
export const openCancellation = async ({
  subscriber,
  redis,
  keys,
  log,
}: {
  subscriber: RedisClient
  redis: RedisClient
  keys: Keys
  log: Logger
}) => {
  const running = new Map<string, Running>()
  const recent = new Map<string, number>()
  /** Set once all attempts are to stop: one that begins later, fetched a moment before, is no exception. */
  let stoppedAll: StopReason | null = null

  const stop = (jobId: string, reason: StopReason) => running.get(jobId)?.stopper.stop(reason)

  const remember = (jobId: string) => {
    const now = Date.now()
    for (const [id, at] of recent) {
      if (now - at < rememberMs && recent.size < rememberedMax) break
      recent.delete(id)
    }
    recent.set(jobId, now)
  }

  subscriber.on('message', (_channel: string, jobId: string) => {
    remember(jobId)
    stop(jobId, 'cancelled')
  })
  const unsubscribe = keepSubscribed({
    client: subscriber,
    channel: keys.cancelled,
    log,
    consequence: 'not subscribed to cancellations; running jobs are looked at instead',
  })

  const look = async () => {
    const all = [...running]
    const marks = await Promise.all(all.map(([id, { queue }]) => redis.hexists(queue.job(id), 'defa')))
    for (const [index, [id]] of all.entries()) if (marks[index]) stop(id, 'cancelled')
  }
  const timer = setInterval(() => {
    if (running.size === 0) return
    look().catch((error: Error) => log.warn({ error: error.message }, 'looking for cancelled jobs failed; the next look follows'))
  }, lookIntervalMs)

  return {
    /** Registers an attempt; it is told to stop at once when the job has just been cancelled. */
    begin(jobId: string, queue: QueueKeys): Stopper {
      const stopper = createStopper()
      running.set(jobId, { queue, stopper })
      if (recent.has(jobId)) stopper.stop('cancelled')
      else if (stoppedAll) stopper.stop(stoppedAll)
      return stopper
    },
    end(jobId: string) {
      running.delete(jobId)
      recent.delete(jobId)
    },
    stop,
    stopAll(reason: StopReason) {
      stoppedAll = reason
      for (const id of running.keys()) stop(id, reason)
    },
    running: () => running.size,
    close() {
      clearInterval(timer)
      unsubscribe()
      subscriber.disconnect()
    },
  }
}

export type Cancellation = Awaited<ReturnType<typeof openCancellation>>
