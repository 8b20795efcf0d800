// Cancels, retries and promotes jobs, each in one atomic step.
// A connection that breaks may have its command sent again: `jg:act` in the job tells by whom it was changed last, so that
// what arrives once more is answered as it was at first.

import { randomUUID } from 'node:crypto'
import { fingerprintChars } from '../bullmq/accept-script.js'
import { promoteFunction, releaseParentFunction, reprocessJobFunction } from '../bullmq/bullmq-scripts.js'
import { cancelledReason } from '../bullmq/cancelled.js'
import { childIndex } from '../bullmq/job-id.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { Queues } from '../bullmq/queues.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { defineScript } from '../redis/script.js'
import type { QueueName } from '../types/job-schema.js'
import { idOfKey } from './view.js'

/**
 * Cancels a job.
 * KEYS: 1 job, 2 completed, 3 failed, 4 delayed, 5 prioritized, 6 active, 7 wait, 8 paused, 9 waiting-children, 10 events.
 * ARGV: 1 job id, 2 now in ms, 3 failedReason, 4 channel for running jobs, 5 the queue's name with prefix, 6 act.
 * Returns `missing`, `finished`, `running` or `cancelled`.
 *
 * A job that has not started goes to `failed` without ever being handed out. A running one is marked with BullMQ's
 * deferred failure, which ends it the next time a worker looks at it, and its worker is told; the mark comes first,
 * so that a lost message costs time and not truth. A marked parent that its last child releases is cancelled with it.
 */
const cancelScript = `
${releaseParentFunction}
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return 'finished' end
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  local job = redis.call('HMGET', KEYS[1], 'jg:act', 'failedReason')
  return job[1] == ARGV[6] and job[2] == ARGV[3] and 'cancelled' or 'finished'
end
local function cancelWaiting(key, id)
  local waited = redis.call('ZREM', KEYS[5], id) == 1
    or redis.call('ZREM', KEYS[4], id) == 1
    or redis.call('LREM', KEYS[7], 1, id) == 1
    or redis.call('LREM', KEYS[8], 1, id) == 1
  if not waited then return false end
  redis.call('HSET', key, 'failedReason', ARGV[3], 'finishedOn', ARGV[2])
  redis.call('HDEL', key, 'defa')
  redis.call('ZADD', KEYS[3], ARGV[2], id)
  redis.call('XADD', KEYS[10], '*', 'event', 'failed', 'jobId', id, 'failedReason', ARGV[3], 'prev', 'waiting')
  local parentKey = redis.call('HGET', key, 'parentKey')
  if parentKey and redis.call('SREM', parentKey .. ':dependencies', key) == 1 then
    local parentId = string.match(parentKey, '[^:]+$')
    redis.call('HSET', parentKey .. ':failed', key, ARGV[3])
    releaseParentIfNoPendingDependencies({ parentKey, parentKey .. ':dependencies' }, { ARGV[5], parentId, ARGV[2] })
    if redis.call('HGET', parentKey, 'defa') == ARGV[3] then cancelWaiting(parentKey, parentId) end
  end
  return true
end
redis.call('HSET', KEYS[1], 'jg:act', ARGV[6])
if cancelWaiting(KEYS[1], ARGV[1]) then return 'cancelled' end
redis.call('HSET', KEYS[1], 'defa', ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 'running'
`

/**
 * Runs a failed job again.
 * KEYS: 1 job, 2 events, 3 failed, 4 wait, 5 meta, 6 active, 7 marker, 8 prioritized, 9 pc, 10 claim (the job again without one).
 * ARGV: 1 job id, 2 now in ms, 3 fingerprint ('' without claim), 4 ttl in ms, 5 answer to store behind the fingerprint, 6 act.
 * Returns `retried`, `reused`, `missing` or `conflict`, or `replayed` and the answer that was stored.
 */
const retryScript = `
${reprocessJobFunction}
if redis.call('HGET', KEYS[1], 'jg:act') == ARGV[6] then return { 'retried' } end
if ARGV[3] ~= '' then
  local held = redis.call('GET', KEYS[10])
  if held and string.sub(held, 1, ${fingerprintChars}) == ARGV[3] then return { 'replayed', string.sub(held, ${fingerprintChars + 1}) } end
  if held then return { 'reused' } end
end
local outcome = reprocessJob({ KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9] },
  { ARGV[1], 'LPUSH', 'failedReason', 'failed', '1', '1' })
if outcome == -1 then return { 'missing' } end
if outcome ~= 1 then return { 'conflict' } end
redis.call('HDEL', KEYS[1], 'defa', 'stc', 'stacktrace', 'jg:deferrals', 'jg:handedBack', 'jg:deferredOn')
redis.call('HSET', KEYS[1], 'jg:retriedOn', ARGV[2], 'jg:byHand', '1', 'jg:act', ARGV[6])
if ARGV[3] ~= '' then redis.call('SET', KEYS[10], ARGV[3] .. ARGV[5], 'PX', ARGV[4]) end
return { 'retried' }
`

/**
 * Lets a delayed job run now.
 * KEYS: 1 job, 2 delayed, 3 wait, 4 paused, 5 meta, 6 prioritized, 7 active, 8 pc, 9 events, 10 marker.
 * ARGV: 1 job id, 2 prefix of the queue's keys, 3 act.
 * Returns `promoted`, `missing` or `conflict`.
 */
const promoteScript = `
${promoteFunction}
if redis.call('EXISTS', KEYS[1]) == 0 then return 'missing' end
if redis.call('HGET', KEYS[1], 'jg:act') == ARGV[3] then return 'promoted' end
local outcome = promote({ KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10] }, { ARGV[2], ARGV[1] })
if outcome ~= 0 then return 'conflict' end
redis.call('HSET', KEYS[1], 'jg:act', ARGV[3])
return 'promoted'
`

export type CancelOutcome = 'missing' | 'finished' | 'running' | 'cancelled'
export type PromoteOutcome = 'missing' | 'conflict' | 'promoted'
export type RetryOutcome =
  | { readonly kind: 'retried' }
  | { readonly kind: 'missing' | 'conflict' }
  /** The key was used for another request. */
  | { readonly kind: 'reused' }
  /** The key was used for the same request: `answer` is what was said to it. */
  | { readonly kind: 'replayed'; readonly answer: string }

export type EarlierRetry = Extract<RetryOutcome, { kind: 'replayed' | 'reused' }>

/** What makes a repeated retry harmless. */
export interface RetryClaim {
  readonly key: string
  /** 43 characters, base64url. */
  readonly fingerprint: string
  readonly ttlMs: number
  /** What a replay is answered with. */
  readonly answer: string
}

/** Children that are cancelled at once with their parent. */
const childrenAtOnce = 100

export const createJobControl = ({ redis, keys, queues }: { redis: RedisClient; keys: Keys; queues: Queues }) => {
  const runCancelScript = defineScript<CancelOutcome>(redis, cancelScript)
  const runRetryScript = defineScript<[RetryOutcome['kind'], string?]>(redis, retryScript)
  const runPromoteScript = defineScript<PromoteOutcome>(redis, promoteScript)

  const cancelOne = (queue: QueueKeys, id: string, act: string): Promise<CancelOutcome> =>
    runCancelScript(
      [
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
      ],
      [id, Date.now(), cancelledReason, keys.cancelled, queue.qualifiedName, act],
    )

  return {
    /**
     * `cancelled`: it had not started and never will. `running`: its handler is told to stop.
     * A parent of several jobs is marked, and those of its children that have not started are cancelled; if none runs, so is it.
     */
    async cancel(name: QueueName, id: string): Promise<CancelOutcome> {
      const queue = queues.keys[name]
      const act = randomUUID()
      const outcome = await cancelOne(queue, id, act)
      if (outcome !== 'running') return outcome
      const children = await redis.smembers(queue.dependencies(id))
      const outcomes: CancelOutcome[] = []
      for (let start = 0; start < children.length; start += childrenAtOnce) {
        const some = children.slice(start, start + childrenAtOnce)
        outcomes.push(...(await Promise.all(some.map((key) => cancelOne(queue, idOfKey(key), act)))))
      }
      // With the last of those that waited it was cancelled too.
      return children.length === 0 || outcomes.includes('running') ? outcome : cancelOne(queue, id, act)
    },

    /** The outcome of an earlier retry under this key; null when it is new. */
    async earlierRetry({ key, fingerprint }: Pick<RetryClaim, 'key' | 'fingerprint'>): Promise<EarlierRetry | null> {
      const held = await redis.get(key)
      if (held === null) return null
      return held.startsWith(fingerprint) ? { kind: 'replayed', answer: held.slice(fingerprintChars) } : { kind: 'reused' }
    },

    /** Runs a failed job again with all its attempts. */
    async retry(name: QueueName, id: string, claim?: RetryClaim): Promise<RetryOutcome> {
      const queue = queues.keys[name]
      const [kind, answer = ''] = await runRetryScript(
        [
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
        ],
        [id, Date.now(), claim?.fingerprint ?? '', claim?.ttlMs ?? 0, claim?.answer ?? '', randomUUID()],
      )
      return kind === 'replayed' ? { kind, answer } : { kind }
    },

    /** Lets a delayed job run now. */
    promote(name: QueueName, id: string): Promise<PromoteOutcome> {
      const queue = queues.keys[name]
      return runPromoteScript(
        [
          queue.job(id),
          queue.delayed,
          queue.wait,
          queue.paused,
          queue.meta,
          queue.prioritized,
          queue.active,
          queue.pc,
          queue.events,
          queue.marker,
        ],
        [id, queue.base, randomUUID()],
      )
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
