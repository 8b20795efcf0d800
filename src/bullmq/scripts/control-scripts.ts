// The scripts that cancel, retry and promote a job, each in one atomic step.
// A connection that breaks may have its command sent again: `jg:act` in the job tells by whom it was changed last, so that
// what arrives once more is answered as it was at first.

import { randomUUID } from 'node:crypto'
import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import type { QueueName } from '../../types/queue-name.js'
import { cancelledReason } from '../cancelled.js'
import { jobFields, jobKeyEndings } from '../facts.js'
import { childIndex, idOfKey } from '../job-id.js'
import type { Queues } from '../queues.js'
import { fingerprintChars } from './accept-script.js'
import { promoteFunction, releaseParentFunction, reprocessJobFunction } from './bullmq-functions.js'

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
  redis.call('HDEL', key, '${jobFields.deferredFailure}')
  redis.call('ZADD', KEYS[3], ARGV[2], id)
  redis.call('XADD', KEYS[10], '*', 'event', 'failed', 'jobId', id, 'failedReason', ARGV[3], 'prev', 'waiting')
  local parentKey = redis.call('HGET', key, 'parentKey')
  if parentKey and redis.call('SREM', parentKey .. '${jobKeyEndings.dependencies}', key) == 1 then
    local parentId = string.match(parentKey, '[^:]+$')
    redis.call('HSET', parentKey .. '${jobKeyEndings.failed}', key, ARGV[3])
    releaseParentIfNoPendingDependencies({ parentKey, parentKey .. '${jobKeyEndings.dependencies}' }, { ARGV[5], parentId, ARGV[2] })
    if redis.call('HGET', parentKey, '${jobFields.deferredFailure}') == ARGV[3] then cancelWaiting(parentKey, parentId) end
  end
  return true
end
redis.call('HSET', KEYS[1], 'jg:act', ARGV[6])
if cancelWaiting(KEYS[1], ARGV[1]) then return 'cancelled' end
redis.call('HSET', KEYS[1], '${jobFields.deferredFailure}', ARGV[3])
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
redis.call('HDEL', KEYS[1], '${jobFields.deferredFailure}', '${jobFields.stalledCount}', 'stacktrace', 'jg:deferrals', 'jg:handedBack', 'jg:deferredOn')
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

/** What makes a repeated retry harmless. */
export interface RetryClaim {
  /** Of tenant and key. */
  readonly digest: string
  /** 43 characters, base64url. */
  readonly fingerprint: string
  readonly ttlMs: number
  /** What a replay is answered with. */
  readonly answer: string
}

/**
 * Acts on single jobs where they lie; `channel` tells workers of running jobs that are to stop. A job whose queue went is missing.
 * All reject with the error of Redis.
 */
export const createControlScripts = ({ redis, queues, channel }: { redis: RedisClient; queues: Queues; channel: string }) => {
  const runCancelScript = defineScript<CancelOutcome>(redis, cancelScript)
  const runRetryScript = defineScript<[RetryOutcome['kind'], string?]>(redis, retryScript)
  const runPromoteScript = defineScript<PromoteOutcome>(redis, promoteScript)

  return {
    /** Cancels one job; `act` names the request for it. */
    async cancel(name: QueueName, id: string, act: string): Promise<CancelOutcome> {
      const queue = queues.holding(name, id)
      if (!queue) return 'missing'
      const { completed, failed, delayed, prioritized, active, wait, paused, waitingChildren, events } = queue
      return runCancelScript(
        [queue.job(id), completed, failed, delayed, prioritized, active, wait, paused, waitingChildren, events],
        [id, Date.now(), cancelledReason, channel, queue.qualifiedName, act],
      )
    },

    /** Ids of a parent's children that have not ended. */
    async pendingChildren(name: QueueName, id: string): Promise<string[]> {
      const queue = queues.holding(name, id)
      return queue ? (await redis.smembers(queue.dependencies(id))).map(idOfKey) : []
    },

    /** Ids of a parent's children in the order of their recipients. */
    async children(name: QueueName, id: string): Promise<string[]> {
      const queue = queues.holding(name, id)
      if (!queue) return []
      const [pending, processed, failed] = await Promise.all([
        redis.smembers(queue.dependencies(id)),
        redis.hkeys(queue.processed(id)),
        redis.hkeys(queue.failedChildren(id)),
      ])
      return [...pending, ...processed, ...failed].map(idOfKey).sort((a, b) => childIndex(a) - childIndex(b))
    },

    async retry(name: QueueName, id: string, claim?: RetryClaim): Promise<RetryOutcome> {
      const queue = queues.holding(name, id)
      if (!queue) return { kind: 'missing' }
      const claimKey = claim ? queue.partition.keys.idempotency(claim.digest) : queue.job(id)
      const { events, failed, wait, meta, active, marker, prioritized, pc } = queue
      const [kind, answer = ''] = await runRetryScript(
        [queue.job(id), events, failed, wait, meta, active, marker, prioritized, pc, claimKey],
        [id, Date.now(), claim?.fingerprint ?? '', claim?.ttlMs ?? 0, claim?.answer ?? '', randomUUID()],
      )
      return kind === 'replayed' ? { kind, answer } : { kind }
    },

    async promote(name: QueueName, id: string): Promise<PromoteOutcome> {
      const queue = queues.holding(name, id)
      if (!queue) return 'missing'
      const { delayed, wait, paused, meta, prioritized, active, pc, events, marker } = queue
      return runPromoteScript(
        [queue.job(id), delayed, wait, paused, meta, prioritized, active, pc, events, marker],
        [id, queue.base, randomUUID()],
      )
    },

    /** What the handler logged, oldest first, and how much there is. */
    async logs(name: QueueName, id: string, start: number, end: number): Promise<{ logs: string[]; count: number }> {
      const queue = queues.holding(name, id)
      return queue ? queues.bullmqQueue(queue).getJobLogs(id, start, end) : { logs: [], count: 0 }
    },
  }
}
