// Ends running attempts: a client's cancellation from any instance, a time limit, a lost lock, a shutdown.

import type { Logger } from 'pino'
import { endMark, marksCancelled } from '../bullmq/cancelled.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { keepSubscribed } from '../redis/subscribe.js'
import { openDuty } from '../runtime/duty.js'
import { AbortHandle, type AbortReason } from './abort-handle.js'

/** A running attempt. */
interface Running {
  /** The Redis key of its job's hash. */
  readonly key: string
  readonly abort: AbortHandle
}

/** Jobs are checked for the mark of a cancellation this often, for messages that were lost. */
const checkIntervalMs = 5000
/** A message may arrive before the attempt that it is about has begun: it is remembered this long. */
const rememberMs = 60_000
const rememberedMax = 10_000

/**
 * Listens for cancellations until closed. `subscriber` becomes a subscriber connection; `redis` reads the marks.
 * A message is a hint to check at once; the mark in the job is the truth. The job may have ended and been retried since.
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
  let abortedAll: AbortReason | null = null

  const abort = (jobId: string, reason: AbortReason) => running.get(jobId)?.abort.abort(reason)

  const remember = (jobId: string) => {
    const now = Date.now()
    for (const [id, at] of recent) {
      if (now - at < rememberMs && recent.size < rememberedMax) break
      recent.delete(id)
    }
    recent.set(jobId, now)
  }

  const check = async (attempts: Iterable<Running>) => {
    const checked = [...attempts]
    const marks = await Promise.all(checked.map(({ key }) => redis.hget(key, endMark)))
    for (const [index, { abort }] of checked.entries()) if (marksCancelled(marks[index] as string | null)) abort.abort('cancelled')
  }
  const checkSafely = (attempts: Iterable<Running>) => {
    check(attempts).catch((error: Error) => log.warn({ error: error.message }, 'checking for cancelled jobs failed; retrying'))
  }

  subscriber.on('message', (_channel: string, jobId: string) => {
    const attempt = running.get(jobId)
    if (attempt) checkSafely([attempt])
    else remember(jobId)
  })
  const unsubscribe = keepSubscribed({
    client: subscriber,
    channel: keys.cancelled,
    log,
    consequence: 'cannot subscribe to cancellations; polling running jobs instead',
  })

  const duty = openDuty(
    {
      name: 'cancellation',
      everyMs: checkIntervalMs,
      run: () => (running.size > 0 ? check(running.values()) : undefined),
      failure: 'checking for cancelled jobs failed',
    },
    { log },
  )

  return {
    /** Registers an attempt; `key` is that of its job's hash. When the job has just been cancelled it is told to stop as soon as that is sure. */
    begin(jobId: string, key: string): AbortHandle {
      const attempt = { key, abort: new AbortHandle() }
      running.set(jobId, attempt)
      if (recent.delete(jobId)) checkSafely([attempt])
      if (abortedAll) attempt.abort.abort(abortedAll)
      return attempt.abort
    },
    /** Another attempt of the same job may have begun here after this one was lost: that stays. */
    end(jobId: string, abort: AbortHandle) {
      if (running.get(jobId)?.abort === abort) running.delete(jobId)
    },
    abort,
    abortAll(reason: AbortReason) {
      abortedAll = reason
      for (const { abort } of running.values()) abort.abort(reason)
    },
    running: () => running.size,
    close() {
      void duty.close()
      unsubscribe()
      subscriber.disconnect()
    },
  }
}

export type Cancellation = Awaited<ReturnType<typeof openCancellation>>
