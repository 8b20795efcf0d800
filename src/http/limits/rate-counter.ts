// Counts requests per subject and window: at once in this process, and a moment later in Redis for all instances together.

import { hash } from 'node:crypto'
import type { RedisClient } from '../../redis/connect.js'
import { classifyRedisError } from '../../redis/failures.js'
import type { Keys } from '../../redis/redis-keys.js'

/** What is known of one subject in the current window. */
interface Count {
  readonly redisKey: string
  /** Total of all instances, as Redis told it last. */
  confirmed: number
  /** Counted here and not sent yet. */
  pending: number
  /** Sent, answer outstanding. */
  sent: number
  /** Sent without an answer: perhaps in Redis, so never sent again, but still counted here. */
  unanswered: number
}

/** Redis is told at most this often: each time is one more write and one more answer. */
const reportPauseMs = 10
/** Subjects that go to Redis in one pipeline. */
const batchMax = 1000
/** Addresses are the caller's to choose: beyond these, the new ones of a window share one count. */
const addressesMax = 20_000

/**
 * Fixed windows aligned to the wall clock, so that instances agree on them.
 * One instance is exact; several are exact but for what is on its way to Redis, which is told every 10 ms. Without Redis each counts alone.
 * In: `redis` of the limiter role; `windowMs`; `now`, milliseconds since 1970.
 * Subjects are `key:<id>` or `address:<ip>`; Redis sees their digest.
 */
export const createRateCounter = (deps: { redis: RedisClient; keys: Keys; windowMs: number; now?: () => number }) => {
  const { redis, keys, windowMs, now = Date.now } = deps
  let window = -1
  let counts = new Map<string, Count>()
  let addresses = 0
  const unreported = new Set<Count>()
  let reporting = false
  /** On the monotonic clock. */
  let nextReportAt = 0

  /** Enters the window of this moment; what belongs to an older one is dropped. */
  const enterWindow = (at: number) => {
    const current = Math.floor(at / windowMs)
    if (current === window) return
    window = current
    counts = new Map()
    addresses = 0
    unreported.clear()
  }

  const countOf = (subject: string): Count => {
    const found = counts.get(subject)
    if (found) return found
    const isAddress = subject.startsWith('address:')
    if (isAddress && addresses >= addressesMax && subject !== 'address:*') return countOf('address:*')
    if (isAddress) addresses++
    const redisKey = keys.rateLimit(hash('sha256', subject).slice(0, 32), window)
    const count: Count = { redisKey, confirmed: 0, pending: 0, sent: 0, unanswered: 0 }
    counts.set(subject, count)
    return count
  }

  const report = async () => {
    const batch: { count: Count; amount: number }[] = []
    const pipeline = redis.pipeline()
    for (const count of unreported) {
      if (batch.length === batchMax) break
      unreported.delete(count)
      batch.push({ count, amount: count.pending })
      pipeline.incrby(count.redisKey, count.pending).pexpire(count.redisKey, windowMs * 2)
      count.sent += count.pending
      count.pending = 0
    }
    const replies = await pipeline.exec().catch((error: Error) => error)
    for (const [index, { count, amount }] of batch.entries()) {
      settle(count, amount, replies instanceof Error ? [replies, null] : (replies?.[index * 2] ?? [new Error('no reply'), null]))
    }
    reporting = false
    if (unreported.size > 0) scheduleReport()
  }

  /** One pipeline at a time: a Redis that hangs is not given more and more to do. */
  const scheduleReport = () => {
    if (reporting || redis.status !== 'ready') return
    reporting = true
    const at = performance.now()
    const wait = nextReportAt - at
    nextReportAt = Math.max(at, nextReportAt) + reportPauseMs
    // The requests of this turn of the event loop go together; on a busy instance, those of some turns.
    if (wait <= 0) setImmediate(report)
    else setTimeout(report, wait).unref()
  }

  const settle = (count: Count, amount: number, [error, total]: [Error | null, unknown]) => {
    count.sent -= amount
    if (error === null) count.confirmed = Math.max(count.confirmed, Number(total))
    // Refused for certain: it goes with the next report. Counting twice would be worse than counting alone.
    else if (classifyRedisError(error) === 'refused') count.pending += amount
    else count.unanswered += amount
  }

  const totalOf = (count: Count) => count.confirmed + count.pending + count.sent + count.unanswered

  return {
    /** Counts one request, unless the subject is already above `max`. Out: its total with this request, and what is left of the window. */
    add(subject: string, max: number): { total: number; leftMs: number } {
      const at = now()
      enterWindow(at)
      const count = countOf(subject)
      if (totalOf(count) <= max) {
        count.pending++
        unreported.add(count)
        scheduleReport()
      }
      return { total: totalOf(count), leftMs: (window + 1) * windowMs - at }
    },
    /** As `add`, counting nothing. */
    read(subject: string): { total: number; leftMs: number } {
      const at = now()
      enterWindow(at)
      const count =
        counts.get(subject) ?? (addresses >= addressesMax && subject.startsWith('address:') ? counts.get('address:*') : undefined)
      return { total: count ? totalOf(count) : 0, leftMs: (window + 1) * windowMs - at }
    },
  }
}

export type RateCounter = ReturnType<typeof createRateCounter>
