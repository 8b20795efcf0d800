// Limits of a job's attempts: whether one may begin, and whether its job may be deferred once more.
// What came to no end of its own is counted in the job: `jg:deferrals`, and `jg:handedBack` for what was released after it had
// begun. The names are those of stored data.

import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import { type JobErrorCode, jobErrors } from '../types/job-errors.js'
import { dueAt, type HandedOutJob } from './attempt.js'
import type { Refusal } from './outcome.js'

/** A job may be handed out this often beyond its finished attempts, that is, after workers died or stalled with it. */
const lostRunsMax = 4

/** Whether an attempt begins; `isExpired` is what its handler is told. */
export type Admission = { readonly kind: 'admitted'; readonly isExpired: boolean } | Refusal

const inTime: Admission = { kind: 'admitted', isExpired: false }
const late: Admission = { kind: 'admitted', isExpired: true }
const refuse = (code: JobErrorCode): Refusal => ({ kind: 'refused', code, message: jobErrors[code].meaning })

/** All reject with the error of Redis. */
export const createAttemptLimits = ({ config, redis }: { config: Config; redis: RedisClient }) => {
  const { maxJobAgeMs } = config.queues

  /**
   * `attemptsStarted` counts how often the job was handed out. What came to no end was deferred by its handler,
   * released after it had begun, or lost with its worker: that is the rest.
   */
  const admitAgain = async (job: HandedOutJob, unended: number): Promise<Admission> => {
    const [deferrals, releases] = await redis.hmget(job.key, 'jg:deferrals', 'jg:handedBack')
    const begun = unended - Number(deferrals)
    if (begun - Number(releases) > lostRunsMax) return refuse('worker_lost')
    return admitInTime(job, begun > 0)
  }

  /** A first attempt in the usual case needs nothing of Redis. */
  const admitInTime = (job: HandedOutJob, hadStarted: boolean): Admission | Promise<Admission> => {
    const { expiresAt, fanOut } = job.envelope
    if (job.attemptsMade > 0 || fanOut) return inTime
    const now = Date.now()
    const isExpired = expiresAt !== undefined && now > expiresAt
    // A job that was deferred, or whose worker died, had started in time.
    const isTooOld = job.attemptsStarted === 1 && now - dueAt(job) > maxJobAgeMs
    return isExpired || isTooOld ? admitLate(job, { isExpired, hadStarted }) : inTime
  }

  const admitLate = async (
    job: HandedOutJob,
    { isExpired, hadStarted }: { isExpired: boolean; hadStarted: boolean },
  ): Promise<Admission> => {
    // A client that retries a job by hand wants it now, however old it is; an operator who sends many back wants none that came to nothing.
    const [retriedOn, retriedByHand] = await redis.hmget(job.key, 'jg:retriedOn', 'jg:byHand')
    if (!isExpired || retriedByHand) return retriedOn ? inTime : refuse('too_old')
    // What was begun may have been done: only its handler can find out.
    if (job.attemptsStarted > 1 && (await redis.exists(job.markerKey)) === 1) return late
    return hadStarted ? inTime : refuse('expired')
  }

  return {
    /** Decides at once, without a round trip, in the usual case. */
    admit(job: HandedOutJob): Admission | Promise<Admission> {
      const unended = job.attemptsStarted - job.attemptsMade - 1
      return unended > 0 ? admitAgain(job, unended) : admitInTime(job, false)
    },

    /**
     * Counts a deferral; a job that only waits for room for its follow-ups had begun.
     * Out: whether it may: a job that asks to come back later for as long as one may wait to start then fails like any other.
     */
    async countDeferral({ key }: HandedOutJob, code: string): Promise<boolean> {
      const now = Date.now()
      const [, , first] = await Promise.all([
        redis.hincrby(key, code === 'follow_up_delayed' ? 'jg:handedBack' : 'jg:deferrals', 1),
        redis.hsetnx(key, 'jg:deferredOn', now),
        redis.hget(key, 'jg:deferredOn'),
      ])
      return now - Number(first) <= maxJobAgeMs
    },

    countRelease: ({ key }: HandedOutJob): Promise<unknown> => redis.hincrby(key, 'jg:handedBack', 1),
  }
}

export type AttemptLimits = ReturnType<typeof createAttemptLimits>
