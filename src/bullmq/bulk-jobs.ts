// Changes very many jobs in steps that each block Redis for a moment only: looks at some, acts on those that were chosen.

import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
import { createRemoveJobFunction, promoteFunction, reprocessJobFunction } from './bullmq-scripts.js'
import type { QueueKeys } from './queue-keys.js'

/** `retry` sends a failed job back with all its attempts; `promote` lets a delayed one run now. */
export type BulkAct = 'remove' | 'retry' | 'promote'
export type BulkSet = 'delayed' | 'prioritized' | 'wait' | 'paused' | 'waitingChildren' | 'completed' | 'failed'

/** Jobs that one step looks at: removing as many blocks Redis for some 8 ms. */
export const jobsPerStep = 100

/** Where in a set a walk has come to: a score, and how many of the jobs from there on it has left behind. Lists have no scores. */
export interface BulkPosition {
  readonly score: string
  readonly skip: number
}

/** What a choice is made by. Times are milliseconds since 1970. */
export interface ScannedJob {
  readonly id: string
  readonly score: string
  readonly type: string
  readonly createdAt: number
  readonly processedAt: number | null
  readonly finishedAt: number | null
  readonly failedReason: string | null
  readonly attemptsMade: number
  /** BullMQ's options as JSON. */
  readonly options: string
  /** How often an operator sent it back. */
  readonly sentBack: number
  /** When it was last sent back, by an operator or a client. */
  readonly retriedAt: number | null
  /** The next run of a schedule: without it the schedule would end. */
  readonly isNextOfSchedule: boolean
}

/** A step goes on only for the holder of the operation's lease; what it did is counted in the same step. */
export interface BulkStep {
  readonly leaseKey: string
  readonly leaseToken: string
  readonly leaseMs: number
  readonly operationKey: string
  /** Stored with the count, for whoever takes over. */
  readonly cursor: string
  readonly scanned: number
}

export type BulkOutcome =
  /** `affected` counts all steps of the operation so far. */
  { readonly kind: 'done'; readonly affected: number } | { readonly kind: 'cancel-requested' } | { readonly kind: 'lease-lost' }

const isList = (set: BulkSet): boolean => set === 'wait' || set === 'paused'

/**
 * Reads some jobs of a set.
 * KEYS: 1 the set, 2 schedules (BullMQ's `repeat`).
 * ARGV: 1 prefix of the queue's keys, 2 `list`, `up`, `down` or `ids`, 3 score to begin with, 4 score to end with, 5 skip, 6 count;
 * for `ids` then the ids.
 * Returns for each job: id, score, the members of its hash, '1' for the next run of a schedule.
 */
const scanScript = `
local base, mode, from, to, skip, count = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local found = {}
if mode == 'list' then
  local ids = redis.call('LRANGE', KEYS[1], -skip - count, -skip - 1)
  for at = #ids, 1, -1 do found[#found + 1] = { ids[at], '' } end
elseif mode == 'ids' then
  for at = 7, #ARGV do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[at])
    if score then found[#found + 1] = { ARGV[at], score } end
  end
else
  local reply
  if mode == 'up' then
    reply = redis.call('ZRANGE', KEYS[1], from, to, 'BYSCORE', 'LIMIT', skip, count, 'WITHSCORES')
  else
    reply = redis.call('ZRANGE', KEYS[1], from, to, 'BYSCORE', 'REV', 'LIMIT', skip, count, 'WITHSCORES')
  end
  for at = 1, #reply, 2 do found[#found + 1] = { reply[at], reply[at + 1] } end
end
local results = {}
for _, each in ipairs(found) do
  local id = each[1]
  local job = redis.call('HMGET', base .. id, 'name', 'timestamp', 'processedOn', 'finishedOn', 'failedReason', 'atm', 'opts', 'jg:sentBack',
    'jg:retriedOn', 'rjk')
  local next = '0'
  if job[10] then
    local due = redis.call('ZSCORE', KEYS[2], job[10])
    if due and id == 'repeat:' .. job[10] .. ':' .. due then next = '1' end
  end
  results[#results + 1] = { id, each[2], job[1], job[2], job[3], job[4], job[5], job[6], job[7], job[8], job[9], next }
end
return results
`

/**
 * Acts on some jobs of a set, and counts them.
 * KEYS: 1 lease, 2 operation, 3 the set, 4 events, 5 wait, 6 meta, 7 active, 8 marker, 9 prioritized, 10 pc, 11 paused.
 * ARGV: 1 token of the lease, 2 its length in ms, 3 act, 4 'list' or 'set', 5 prefix of the queue's keys, 6 now in ms,
 * 7 cursor, 8 jobs looked at, then ids.
 * Returns -1 when the lease is lost, -2 when the operation is to stop, else how many jobs it has changed in all.
 *
 * An id that is no longer in the set is left alone; one whose job is gone leaves the set uncounted.
 * A job that is sent back keeps, in jg:history, how it ended the last ten times.
 */
const actScript = `
${reprocessJobFunction}
${promoteFunction}
${createRemoveJobFunction}
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return -1 end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if redis.call('HEXISTS', KEYS[2], 'cancel') == 1 then return -2 end
local act, base = ARGV[3], ARGV[5]
local removeJob = createRemoveJob(base)
local function take(id)
  if ARGV[4] == 'list' then return redis.call('LREM', KEYS[3], -1, id) == 1 end
  return redis.call('ZREM', KEYS[3], id) == 1
end
local function sendBack(id)
  local key = base .. id
  local before = redis.call('HMGET', key, 'failedReason', 'atm', 'finishedOn', 'jg:history')
  local outcome = reprocessJob({ key, KEYS[4], KEYS[3], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10] },
    { id, 'LPUSH', 'failedReason', 'failed', '1', '1' })
  if outcome ~= 1 then return false end
  local history = before[4] and cjson.decode(before[4]) or {}
  history[#history + 1] = { at = tonumber(ARGV[6]), attempts = tonumber(before[2] or 0), finishedOn = tonumber(before[3] or 0),
    reason = before[1] or '' }
  while #history > 10 do table.remove(history, 1) end
  redis.call('HDEL', key, 'defa', 'stc', 'jg:deferrals', 'jg:handedBack', 'jg:deferredOn', 'jg:byHand')
  redis.call('HSET', key, 'jg:retriedOn', ARGV[6], 'jg:history', cjson.encode(history))
  redis.call('HINCRBY', key, 'jg:sentBack', 1)
  return true
end
local changed = 0
for at = 9, #ARGV do
  local id = ARGV[at]
  local worked = false
  if redis.call('EXISTS', base .. id) == 0 then
    take(id)
  elseif act == 'remove' then
    worked = take(id)
    if worked then removeJob(id) end
  elseif act == 'retry' then
    worked = sendBack(id)
  else
    worked = promote({ KEYS[3], KEYS[5], KEYS[11], KEYS[6], KEYS[9], KEYS[7], KEYS[10], KEYS[4], KEYS[8] }, { base, id }) == 0
  end
  if worked then changed = changed + 1 end
end
redis.call('HSET', KEYS[2], 'cursor', ARGV[7])
redis.call('HINCRBY', KEYS[2], 'scanned', ARGV[8])
return redis.call('HINCRBY', KEYS[2], 'affected', changed)
`

/** All reject with the error of Redis, and all may be repeated: a job is changed and counted once. */
export const createBulkJobs = (redis: RedisClient) => {
  const runScanScript = defineScript<(string | null)[][]>(redis, scanScript)
  const runActScript = defineScript<number>(redis, actScript)

  const scan = async (queue: QueueKeys, set: BulkSet, ...values: (string | number)[]): Promise<ScannedJob[]> =>
    (await runScanScript([queue[set], queue.repeat], [queue.base, ...values])).map(toScannedJob)

  return {
    /** The next `count` jobs of a set, oldest first, up to the score `to`; fewer at its end. */
    walk: (queue: QueueKeys, set: BulkSet, { score, skip }: BulkPosition, to: number | '+inf', count: number): Promise<ScannedJob[]> =>
      scan(queue, set, isList(set) ? 'list' : 'up', score || '-inf', to, skip, count),

    /** The same from the newest back, down to the score `to`. Not for lists. */
    walkBack: (queue: QueueKeys, set: BulkSet, { score, skip }: BulkPosition, to: number | '-inf', count: number): Promise<ScannedJob[]> =>
      scan(queue, set, 'down', score || '+inf', to, skip, count),

    /** Those of the ids that are in the set. */
    find: (queue: QueueKeys, set: BulkSet, ids: readonly string[]): Promise<ScannedJob[]> => scan(queue, set, 'ids', '', '', 0, 0, ...ids),

    /** Acts on those of the ids that are in the set; at most `jobsPerStep`. */
    async act(queue: QueueKeys, set: BulkSet, act: BulkAct, ids: readonly string[], step: BulkStep): Promise<BulkOutcome> {
      const result = await runActScript(
        [
          step.leaseKey,
          step.operationKey,
          queue[set],
          queue.events,
          queue.wait,
          queue.meta,
          queue.active,
          queue.marker,
          queue.prioritized,
          queue.pc,
          queue.paused,
        ],
        [step.leaseToken, step.leaseMs, act, isList(set) ? 'list' : 'set', queue.base, Date.now(), step.cursor, step.scanned, ...ids],
      )
      if (result === -1) return { kind: 'lease-lost' }
      return result === -2 ? { kind: 'cancel-requested' } : { kind: 'done', affected: result }
    },

    /** How many jobs the sets hold together. */
    async size(queue: QueueKeys, sets: readonly BulkSet[]): Promise<number> {
      const sizes = await Promise.all(sets.map((set) => (isList(set) ? redis.llen(queue[set]) : redis.zcard(queue[set]))))
      return sizes.reduce((sum, each) => sum + each, 0)
    },
  }
}

export type BulkJobs = ReturnType<typeof createBulkJobs>

/** Where a walk goes on after `scanned`, of which those in `taken` are no longer in the set. */
export const advance = (from: BulkPosition, scanned: readonly ScannedJob[], taken: ReadonlySet<string>): BulkPosition => {
  const last = scanned.at(-1)
  if (!last) return from
  const left = scanned.filter(({ id, score }) => score === last.score && !taken.has(id)).length
  return { score: last.score, skip: last.score === from.score ? from.skip + left : left }
}

const toScannedJob = (row: readonly (string | null)[]): ScannedJob => ({
  id: row[0] as string,
  score: row[1] as string,
  type: row[2] ?? '',
  createdAt: Number(row[3] ?? 0),
  processedAt: row[4] ? Number(row[4]) : null,
  finishedAt: row[5] ? Number(row[5]) : null,
  failedReason: row[6] ?? null,
  attemptsMade: Number(row[7] ?? 0),
  options: row[8] ?? '{}',
  sentBack: Number(row[9] ?? 0),
  retriedAt: row[10] ? Number(row[10]) : null,
  isNextOfSchedule: row[11] === '1',
})
