// Counts a queue's jobs at a cost that does not grow with them.

import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
import type { QueueName } from '../types/job-schema.js'
import { delayedScoresPerMs, metaFields, scoresPerPriority } from './facts.js'
import type { QueueKeys } from './queue-keys.js'
import type { QueuePlaces } from './queues.js'
import { priorityNumbers } from './stored-options.js'

/** One moment of one queue. Counts are jobs, ages milliseconds. */
export interface QueueCounts {
  /** 0 while the queue is paused: what waits then is counted in `paused`. */
  readonly waiting: number
  readonly active: number
  /** Those still kept. */
  readonly completed: number
  /** Those still kept; cancelled jobs are stored among them. */
  readonly failed: number
  readonly delayed: number
  readonly paused: number
  readonly waitingChildren: number
  readonly isPaused: boolean
  /** Delayed jobs that are due; a worker that lives moves them within moments. */
  readonly overdue: number
  /** How long the job that waits longest has been ready to run; null when none waits. */
  readonly oldestWaitingMs: number | null
  /** Of the jobs still kept, those that ended in the last minute. */
  readonly completedLastMinute: number
  readonly failedLastMinute: number
  /** All that workers have finished since the queue was made, kept or not. Jobs cancelled before they ran are in neither. */
  readonly completedTotal: number
  readonly failedTotal: number
}

const minuteMs = 60_000

/**
 * Counts the jobs of a queue.
 * KEYS: 1 wait, 2 paused, 3 prioritized, 4 active, 5 delayed, 6 completed, 7 failed, 8 waiting-children, 9 meta,
 * 10 and 11 BullMQ's metrics of completed and of failed jobs.
 * ARGV: 1 prefix of the queue's keys, 2 score of delayed jobs that are due now, 3 a minute ago in ms, then for each priority
 * class its lowest and highest score.
 * Returns the counts, whether the queue is paused, since when (ms) the job that waits longest has waited, or -1, and the totals.
 */
const countsScript = `
local function first(reply) return reply[1] end
local heads = { redis.call('LINDEX', KEYS[1], -1), redis.call('LINDEX', KEYS[2], -1) }
for at = 4, #ARGV, 2 do
  heads[#heads + 1] = first(redis.call('ZRANGE', KEYS[3], ARGV[at], ARGV[at + 1], 'BYSCORE', 'LIMIT', 0, 1)) or false
end
local oldest = -1
for _, id in ipairs(heads) do
  if id then
    local job = redis.call('HMGET', ARGV[1] .. id, 'timestamp', 'opts', 'processedOn', 'jg:retriedOn')
    if job[1] then
      local decoded, options = pcall(cjson.decode, job[2] or '{}')
      local delay = decoded and tonumber(options.delay) or 0
      local since = math.max(tonumber(job[1]) + delay, tonumber(job[3] or 0), tonumber(job[4] or 0))
      if oldest < 0 or since < oldest then oldest = since end
    end
  end
end
return {
  redis.call('LLEN', KEYS[1]) + redis.call('LLEN', KEYS[2]) + redis.call('ZCARD', KEYS[3]),
  redis.call('LLEN', KEYS[4]), redis.call('ZCARD', KEYS[6]), redis.call('ZCARD', KEYS[7]), redis.call('ZCARD', KEYS[5]),
  redis.call('ZCARD', KEYS[8]), redis.call('HEXISTS', KEYS[9], '${metaFields.paused}'), redis.call('ZCOUNT', KEYS[5], '-inf', ARGV[2]),
  redis.call('ZCOUNT', KEYS[6], ARGV[3], '+inf'), redis.call('ZCOUNT', KEYS[7], ARGV[3], '+inf'), oldest,
  tonumber(redis.call('HGET', KEYS[10], 'count') or 0), tonumber(redis.call('HGET', KEYS[11], 'count') or 0)
}
`

const classBounds = Object.values(priorityNumbers).flatMap((priority) => [
  priority * scoresPerPriority,
  (priority + 1) * scoresPerPriority - 1,
])

/** Counts one queue, each partition of it in one atomic step. Rejects with the error of Redis. */
export const createQueueCounts = ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'partitionsOf'> }) => {
  const runCountsScript = defineScript<number[]>(redis, countsScript)

  const countPartition = async (queue: QueueKeys): Promise<QueueCounts> => {
    const now = Date.now()
    const [
      ready = 0,
      active = 0,
      completed = 0,
      failed = 0,
      delayed = 0,
      waitingChildren = 0,
      paused = 0,
      overdue = 0,
      done = 0,
      lost = 0,
      oldest = -1,
      completedTotal = 0,
      failedTotal = 0,
    ] = await runCountsScript(
      [
        queue.wait,
        queue.paused,
        queue.prioritized,
        queue.active,
        queue.delayed,
        queue.completed,
        queue.failed,
        queue.waitingChildren,
        queue.meta,
        queue.metricsCompleted,
        queue.metricsFailed,
      ],
      [queue.base, now * delayedScoresPerMs, now - minuteMs, ...classBounds],
    )
    return {
      waiting: paused ? 0 : ready,
      active,
      completed,
      failed,
      delayed,
      paused: paused ? ready : 0,
      waitingChildren,
      isPaused: paused === 1,
      overdue,
      // A job that was promoted by hand waits although it is not due yet.
      oldestWaitingMs: oldest < 0 ? null : Math.max(0, now - oldest),
      completedLastMinute: done,
      failedLastMinute: lost,
      completedTotal,
      failedTotal,
    }
  }

  return async (queue: QueueName): Promise<QueueCounts> =>
    (await Promise.all(queues.partitionsOf(queue).map(countPartition))).reduce(addCounts)
}

/** The counts of two partitions as those of one. */
const addCounts = (a: QueueCounts, b: QueueCounts): QueueCounts => ({
  waiting: a.waiting + b.waiting,
  active: a.active + b.active,
  completed: a.completed + b.completed,
  failed: a.failed + b.failed,
  delayed: a.delayed + b.delayed,
  paused: a.paused + b.paused,
  waitingChildren: a.waitingChildren + b.waitingChildren,
  isPaused: a.isPaused && b.isPaused,
  overdue: a.overdue + b.overdue,
  oldestWaitingMs: a.oldestWaitingMs === null ? b.oldestWaitingMs : Math.max(a.oldestWaitingMs, b.oldestWaitingMs ?? 0),
  completedLastMinute: a.completedLastMinute + b.completedLastMinute,
  failedLastMinute: a.failedLastMinute + b.failedLastMinute,
  completedTotal: a.completedTotal + b.completedTotal,
  failedTotal: a.failedTotal + b.failedTotal,
})

export type CountQueue = ReturnType<typeof createQueueCounts>
