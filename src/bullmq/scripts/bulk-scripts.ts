// The scripts of long operations: one looks at some jobs of a set, one acts on some.

import { jobFields, schedulerJobIdStart } from '../facts.js'
import { createRemoveJobFunction, promoteFunction, reprocessJobFunction } from './bullmq-functions.js'

/**
 * Reads some jobs of a set.
 * KEYS: 1 the set, 2 schedules (BullMQ's `repeat`).
 * ARGV: 1 prefix of the queue's keys, 2 `list`, `up`, `down` or `ids`, 3 score to begin with, 4 score to end with, 5 skip, 6 count;
 * for `ids` then the ids.
 * Returns for each job: id, score, the members of its hash, '1' for the next run of a schedule.
 */
export const scanScript = `
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
  local job = redis.call('HMGET', base .. id, 'name', 'timestamp', 'processedOn', 'finishedOn', 'failedReason',
    '${jobFields.attemptsMade}', 'opts', 'jg:sentBack', 'jg:retriedOn', '${jobFields.schedulerKey}')
  local next = '0'
  if job[10] then
    local due = redis.call('ZSCORE', KEYS[2], job[10])
    if due and id == '${schedulerJobIdStart}' .. job[10] .. ':' .. due then next = '1' end
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
export const actScript = `
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
  local before = redis.call('HMGET', key, 'failedReason', '${jobFields.attemptsMade}', 'finishedOn', 'jg:history')
  local outcome = reprocessJob({ key, KEYS[4], KEYS[3], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10] },
    { id, 'LPUSH', 'failedReason', 'failed', '1', '1' })
  if outcome ~= 1 then return false end
  local history = before[4] and cjson.decode(before[4]) or {}
  history[#history + 1] = { at = tonumber(ARGV[6]), attempts = tonumber(before[2] or 0), finishedOn = tonumber(before[3] or 0),
    reason = before[1] or '' }
  while #history > 10 do table.remove(history, 1) end
  redis.call('HDEL', key, '${jobFields.deferredFailure}', '${jobFields.stalledCount}', 'jg:deferrals', 'jg:handedBack', 'jg:deferredOn',
    'jg:byHand')
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
