// Counts a queue's jobs at a cost that does not grow with them.

import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import type { QueueName } from '../../types/queue-name.js'
import { delayedScoresPerMs, metaFields, scoresPerPriority } from '../facts.js'
import type { QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'
import { priorityNumbers } from '../stored-options.js'

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
 * Counts the jobs of queues. What is empty costs next to nothing.
 * KEYS: for each queue in the order of `keysOf`: 1 wait, 2 paused, 3 prioritized, 4 active, 5 delayed, 6 completed, 7 failed,
 * 8 waiting-children, 9 and 10 BullMQ's metrics of completed and of failed jobs, 11 meta.
 * ARGV: 1 number of keys of a queue, 2 score of delayed jobs that are due now, 3 a minute ago in ms, 4 number of priority classes;
 * for each of these its lowest and highest score; then for each queue the prefix of its keys.
 * Returns for each queue the counts, whether it is paused, since when (ms) the job that waits longest has waited, or -1, and the totals.
 */
const countsScript = `
local width, due, minuteAgo, classes = tonumber(ARGV[1]), ARGV[2], ARGV[3], tonumber(ARGV[4])

local function oldestOf(key, base)
  local heads = { redis.call('LINDEX', key(1), -1), redis.call('LINDEX', key(2), -1) }
  for class = 1, classes do
    local reply = redis.call('ZRANGE', key(3), ARGV[3 + 2 * class], ARGV[4 + 2 * class], 'BYSCORE', 'LIMIT', 0, 1)
    heads[#heads + 1] = reply[1] or false
  end
  local oldest = -1
  for _, id in ipairs(heads) do
    if id then
      local job = redis.call('HMGET', base .. id, 'timestamp', 'opts', 'processedOn', 'jg:retriedOn')
      if job[1] then
        local decoded, options = pcall(cjson.decode, job[2] or '{}')
        local delay = decoded and tonumber(options.delay) or 0
        local since = math.max(tonumber(job[1]) + delay, tonumber(job[3] or 0), tonumber(job[4] or 0))
        if oldest < 0 or since < oldest then oldest = since end
      end
    end
  end
  return oldest
end

local results = {}
for at = 0, #KEYS / width - 1 do
  local function key(number) return KEYS[at * width + number] end
  local paused = redis.call('HEXISTS', key(11), '${metaFields.paused}')
  local counts = { 0, 0, 0, 0, 0, 0, paused, 0, 0, 0, -1, 0, 0 }
  if redis.call('EXISTS', unpack(KEYS, at * width + 1, at * width + 10)) > 0 then
    counts = {
      redis.call('LLEN', key(1)) + redis.call('LLEN', key(2)) + redis.call('ZCARD', key(3)),
      redis.call('LLEN', key(4)), redis.call('ZCARD', key(6)), redis.call('ZCARD', key(7)), redis.call('ZCARD', key(5)),
      redis.call('ZCARD', key(8)), paused, redis.call('ZCOUNT', key(5), '-inf', due),
      redis.call('ZCOUNT', key(6), minuteAgo, '+inf'), redis.call('ZCOUNT', key(7), minuteAgo, '+inf'),
      oldestOf(key, ARGV[5 + 2 * classes + at]),
      tonumber(redis.call('HGET', key(9), 'count') or 0), tonumber(redis.call('HGET', key(10), 'count') or 0)
    }
  end
  results[#results + 1] = counts
end
return results
`

const keysOf = (queue: QueueKeys): string[] => [
  queue.wait,
  queue.paused,
  queue.prioritized,
  queue.active,
  queue.delayed,
  queue.completed,
  queue.failed,
  queue.waitingChildren,
  queue.metricsCompleted,
  queue.metricsFailed,
  queue.meta,
]
const keysOfQueue = 11

const classBounds = Object.values(priorityNumbers).flatMap((priority) => [
  priority * scoresPerPriority,
  (priority + 1) * scoresPerPriority - 1,
])

/** Queues that one script counts: it blocks Redis for about a millisecond when all of them hold jobs. */
const queuesPerScript = 50

/**
 * Counts queues that are there, each partition of each in one atomic step and many in one script, and gives them in the same order.
 * Rejects with the error of Redis.
 */
export const createQueueCounts = ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'in' | 'partitions'> }) => {
  const runCountsScript = defineScript<number[][]>(redis, countsScript)

  const countPlaces = async (places: readonly QueueKeys[], now: number): Promise<QueueCounts[]> => {
    const common = [keysOfQueue, now * delayedScoresPerMs, now - minuteMs, classBounds.length / 2, ...classBounds]
    const rows = await runCountsScript(places.flatMap(keysOf), [...common, ...places.map(({ base }) => base)])
    return rows.map((row) => toCounts(row, now))
  }

  return async (names: readonly QueueName[]): Promise<QueueCounts[]> => {
    const now = Date.now()
    const ofPartitions = await Promise.all(
      queues.partitions.all.map(async (partition) => {
        const places = names.map((name) => queues.in(name, partition))
        const parts: Promise<QueueCounts[]>[] = []
        for (let at = 0; at < places.length; at += queuesPerScript) parts.push(countPlaces(places.slice(at, at + queuesPerScript), now))
        return (await Promise.all(parts)).flat()
      }),
    )
    return ofPartitions.reduce((sums, counts) => sums.map((sum, at) => addCounts(sum, counts[at] as QueueCounts)))
  }
}

const toCounts = (row: readonly number[], now: number): QueueCounts => {
  const [ready = 0, active = 0, completed = 0, failed = 0, delayed = 0, waitingChildren = 0, paused = 0, overdue = 0] = row
  const [done = 0, lost = 0, oldest = -1, completedTotal = 0, failedTotal = 0] = row.slice(8)
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

/** The counts of two partitions, or of two queues, as those of one: paused where both are. */
export const addCounts = (a: QueueCounts, b: QueueCounts): QueueCounts => ({
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

export type CountQueues = ReturnType<typeof createQueueCounts>
