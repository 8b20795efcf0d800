// Cancels, retries and promotes jobs, each in one atomic step.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/keys.js'
import type { QueueName } from '../schemas/job.js'
import { fingerprintChars } from './accept-script.js'
import { releaseParentFunction, reprocessJobFunction } from './bullmq-scripts.js'
import { encodeJobError } from './job-error.js'
import { childIndex } from './job-id.js'
import { idOfKey } from './job-view.js'
import type { QueueKeys } from './queue-keys.js'
import type { Queues } from './registry.js'

/**
 * KEYS: 1 job, 2 completed, 3 failed, 4 delayed, 5 prioritized, 6 active, 7 wait, 8 paused, 9 waiting-children, 10 events.
 * ARGV: 1 job id, 2 now in ms, 3 failedReason, 4 channel for running jobs, 5 the queue's name with prefix.
 * Returns `missing`, `finished`, `running` or `cancelled`.
 *
 * A job that has not started goes to `failed` without ever being handed out. A running one is marked with BullMQ's
 * deferred failure, which ends it the next time a worker looks at it, and its worker is told; the mark comes first,
 * so that a lost message costs time and not truth.
 */
const cancelScript = `
${releaseParentFunction}
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) or redis.call('ZSCORE', KEYS[3], ARGV[1]) then return 'finished' end
local waited = redis.call('ZREM', KEYS[5], ARGV[1]) == 1
  or redis.call('ZREM', KEYS[4], ARGV[1]) == 1
  or redis.call('LREM', KEYS[7], 1, ARGV[1]) == 1
  or redis.call('LREM', KEYS[8], 1, ARGV[1]) == 1
if waited then
  redis.call('HSET', KEYS[1], 'failedReason', ARGV[3], 'finishedOn', ARGV[2])
  redis.call('ZADD', KEYS[3], ARGV[2], ARGV[1])
  redis.call('XADD', KEYS[10], '*', 'event', 'failed', 'jobId', ARGV[1], 'failedReason', ARGV[3], 'prev', 'waiting')
  local parentKey = redis.call('HGET', KEYS[1], 'parentKey')
  if parentKey and redis.call('SREM', parentKey .. ':dependencies', KEYS[1]) == 1 then
    redis.call('HSET', parentKey .. ':failed', KEYS[1], ARGV[3])
    releaseParentIfNoPendingDependencies({ parentKey, parentKey .. ':dependencies' },
      { ARGV[5], string.match(parentKey, '[^:]+$'), ARGV[2] })
  end
  return 'cancelled'
end
redis.call('HSET', KEYS[1], 'defa', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 'running'
`

/**
 * KEYS: 1 job, 2 events, 3 failed, 4 wait, 5 meta, 6 active, 7 marker, 8 prioritized, 9 pc, 10 claim (the job again without one).
 * ARGV: 1 job id, 2 now in ms, 3 fingerprint ('' without claim), 4 ttl in ms.
 * Returns `retried`, `replayed`, `reused`, `missing` or `conflict`.
 */
const retryScript = `
${reprocessJobFunction}
if ARGV[3] ~= '' then
  local held = redis.call('GET', KEYS[10])
  if held then return string.sub(held, 1, ${fingerprintChars}) == ARGV[3] and 'replayed' or 'reused' end
end
local outcome = reprocessJob({ KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9] },
  { ARGV[1], 'LPUSH', 'failedReason', 'failed', '1', '1' })
if outcome == -1 then return 'missing' end
if outcome ~= 1 then return 'conflict' end
redis.call('HDEL', KEYS[1], 'defa', 'stc', 'stacktrace', 'jg:deferrals', 'jg:handedBack', 'jg:deferredOn')
redis.call('HSET', KEYS[1], 'jg:retriedOn', ARGV[2], 'jg:byHand', '1')
if ARGV[3] ~= '' then redis.call('SET', KEYS[10], ARGV[3], 'PX', ARGV[4]) end
return 'retried'
`

export type CancelOutcome = 'missing' | 'finished' | 'running' | 'cancelled'
export type RetryOutcome = 'retried' | 'replayed' | 'reused' | 'missing' | 'conflict'

type Script<R> = (...keysAndArguments: (string | number)[]) => Promise<R>

/** Children that are cancelled at once with their parent. */
const childrenAtOnce = 100

export const createJobControl = ({ redis, keys, queues }: { redis: RedisClient; keys: Keys; queues: Queues }) => {
  redis.defineCommand('jobgateCancel', { lua: cancelScript, numberOfKeys: 10 })
  redis.defineCommand('jobgateRetry', { lua: retryScript, numberOfKeys: 10 })
  const scripts = redis as unknown as { jobgateCancel: Script<CancelOutcome>; jobgateRetry: Script<RetryOutcome> }
  const reason = encodeJobError('cancelled', 'The job was cancelled by a client.')

  const cancelOne = (queue: QueueKeys, id: string): Promise<CancelOutcome> =>
    scripts.jobgateCancel(
      queue.job(id),
      queue.completed,
      queue.failed,
      queue.delayed,
      queue.prioritized,
      queue.active,
      queue.wait,
      queue.paused,
      queue.waitingChildren,
      queue.events,
      id,
      Date.now(),
      reason,
      keys.cancelled,
      queue.qualifiedName,
    )

  return {
    /**
     * `cancelled`: it had not started and never will. `running`: its handler is told to stop.
     * A parent of several jobs is marked, and those of its children that have not started are cancelled.
     */
    async cancel(name: QueueName, id: string): Promise<CancelOutcome> {
      const queue = queues.keys[name]
      const outcome = await cancelOne(queue, id)
      if (outcome !== 'running') return outcome
      const children = await redis.smembers(queue.dependencies(id))
      for (let start = 0; start < children.length; start += childrenAtOnce) {
        await Promise.all(children.slice(start, start + childrenAtOnce).map((key) => cancelOne(queue, idOfKey(key))))
      }
      return outcome
    },

    /** Runs a failed job again with all its attempts. `claim` makes a repeated request harmless. */
    retry(name: QueueName, id: string, claim?: { key: string; fingerprint: string; ttlMs: number }): Promise<RetryOutcome> {
      const queue = queues.keys[name]
      return scripts.jobgateRetry(
        queue.job(id),
        queue.events,
        queue.failed,
        queue.wait,
        queue.meta,
        queue.active,
        queue.marker,
        queue.prioritized,
        queue.pc,
        claim?.key ?? queue.job(id),
        id,
        Date.now(),
        claim?.fingerprint ?? '',
        claim?.ttlMs ?? 0,
      )
    },

    /** Lets a delayed job run now. */
    async promote(name: QueueName, id: string): Promise<'promoted' | 'missing' | 'conflict'> {
      const job = await queues.queues[name].getJob(id)
      if (!job) return 'missing'
      try {
        await job.promote()
        return 'promoted'
      } catch (error) {
        // BullMQ 6.7: "Job x is not in the delayed state. promote", code -3.
        if ((error as { code?: number }).code === -3) return 'conflict'
        throw error
      }
    },

    /** What the handler logged, oldest first, and how much there is. */
    async logs(name: QueueName, id: string, start: number, end: number): Promise<{ logs: string[]; count: number }> {
      return queues.queues[name].getJobLogs(id, start, end)
    },

    /** Ids of a parent's children in the order of their recipients. */
    async children(name: QueueName, id: string): Promise<string[]> {
      const queue = queues.keys[name]
      const key = queue.job(id)
      const [pending, processed, failed] = await Promise.all([
        redis.smembers(`${key}:dependencies`),
        redis.hkeys(`${key}:processed`),
        redis.hkeys(`${key}:failed`),
      ])
      return [...pending, ...processed, ...failed].map(idOfKey).sort((a, b) => childIndex(a) - childIndex(b))
    },
  }
}

export type JobControl = ReturnType<typeof createJobControl>
