// Ends running attempts: a client's cancellation from any instance, a time limit, a lost lock, a shutdown.

import type { Logger } from 'pino'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { keepSubscribed } from '../redis/subscribe.js'
import { createStopper, type Stopper, type StopReason } from './abort-handle.js'

/** A running attempt. */
interface Running {
  readonly queue: QueueKeys
  readonly stopper: Stopper
}

/** The mark of a cancelled job is looked at this often, for messages that were lost. */
const lookIntervalMs = 5000
/** A message may arrive before the attempt that it is about has begun: it is remembered this long. */
const rememberMs = 60_000
const rememberedMax = 10_000

/**
 * Listens for cancellations until closed. `subscriber` becomes a subscriber connection; `redis` reads the marks.
 * A message is a hint to look at once; the mark in the job is the truth. The job may have ended and been retried since.
 */
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

  const look = async (attempts: readonly (readonly [string, Running])[]) => {
    const marks = await Promise.all(attempts.map(([id, { queue }]) => redis.hexists(queue.job(id), 'defa')))
    for (const [index, [, { stopper }]] of attempts.entries()) if (marks[index]) stopper.stop('cancelled')
  }
  const lookSafely = (attempts: readonly (readonly [string, Running])[]) => {
    look(attempts).catch((error: Error) => log.warn({ error: error.message }, 'looking for cancelled jobs failed; the next look follows'))
  }

  subscriber.on('message', (_channel: string, jobId: string) => {
    const attempt = running.get(jobId)
    if (attempt) lookSafely([[jobId, attempt]])
    else remember(jobId)
  })
  const unsubscribe = keepSubscribed({
    client: subscriber,
    channel: keys.cancelled,
    log,
    consequence: 'not subscribed to cancellations; running jobs are looked at instead',
  })

  const timer = setInterval(() => {
    if (running.size > 0) lookSafely([...running])
  }, lookIntervalMs)

  return {
    /** Registers an attempt. When the job has just been cancelled it is told to stop as soon as that is sure. */
    begin(jobId: string, queue: QueueKeys): Stopper {
      const attempt = { queue, stopper: createStopper() }
      running.set(jobId, attempt)
      if (recent.delete(jobId)) lookSafely([[jobId, attempt]])
      if (stoppedAll) attempt.stopper.stop(stoppedAll)
      return attempt.stopper
    },
    end(jobId: string) {
      running.delete(jobId)
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
