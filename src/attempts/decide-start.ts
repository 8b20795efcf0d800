// Whether an attempt may begin: limits of the job's age and of lost workers.

import type { Job } from 'bullmq'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { Config } from '../config/config.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { fail, type JobOutcome } from '../types/definition.js'
import { type JobErrorCode, jobErrors } from '../types/job-errors.js'

/** A job may be handed out this often beyond its finished attempts, that is, after workers died or stalled with it. */
const lostRunsMax = 4

/** Whether an attempt begins; `isExpired` is what its handler is told. */
export type Start = { readonly kind: 'starts'; readonly isExpired: boolean } | { readonly kind: 'refused'; readonly outcome: JobOutcome }

const inTime: Start = { kind: 'starts', isExpired: false }
const late: Start = { kind: 'starts', isExpired: true }
const refuse = (code: JobErrorCode): Start => ({ kind: 'refused', outcome: fail(code, jobErrors[code].meaning) })

/**
 * Decides for one queue. The usual case costs no round trip; else rejects with the error of Redis.
 *
 * BullMQ counts in `attemptsStarted` how often a job was handed out. What came to no end was put off by its handler
 * (`jg:deferrals`), handed back after it had begun (`jg:handedBack`), or lost with its worker: that is the rest.
 */
export const createDecideStart = ({ config, keys, redis }: { config: Config; keys: Keys; redis: RedisClient }, queue: QueueKeys) => {
  const { maxJobAgeMs } = config.queues

  return async (job: Job<JobEnvelope>): Promise<Start> => {
    const now = Date.now()
    const { runAt, expiresAt, fanOut } = job.data
    const key = queue.job(job.id as string)
    const unended = job.attemptsStarted - job.attemptsMade - 1
    let hadStarted = false
    if (unended > 0) {
      const [deferrals, handedBack] = await redis.hmget(key, 'jg:deferrals', 'jg:handedBack')
      const begun = unended - Number(deferrals)
      if (begun - Number(handedBack) > lostRunsMax) return refuse('worker_lost')
      hadStarted = begun > 0
    }
    if (job.attemptsMade > 0 || fanOut) return inTime
    const isExpired = expiresAt !== undefined && now > expiresAt
    // A job that was put off, or whose worker died, had started in time.
    const isTooOld = job.attemptsStarted === 1 && now - Math.max(job.timestamp, runAt ?? 0) > maxJobAgeMs
    if (!isExpired && !isTooOld) return inTime
    // A client that retries a job by hand wants it now, however old it is; an operator who sends many back wants none that came to nothing.
    const [retriedOn, retriedByHand] = await redis.hmget(key, 'jg:retriedOn', 'jg:byHand')
    if (!isExpired || retriedByHand) return retriedOn ? inTime : refuse('too_old')
    // What was begun may have been done: only its handler can find out.
    if (unended > 0 && (await redis.exists(keys.marker(job.id as string))) === 1) return late
    return hadStarted ? inTime : refuse('expired')
  }
}
