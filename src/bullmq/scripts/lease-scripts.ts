// The scripts of leases: jobs that programs elsewhere hold. Each hand-out has a lock of its own, whose token is the fence: what comes with
// another one changes nothing. A job's hash tells of its lease in `jg:lease` (when its attempt is over, and for how long it is held at a
// time, both in ms), of what came with earlier ones in `jg:settled`, and of where the next attempt begins in `jg:checkpoint`.

import { jobFields, jobKeyEndings, marker } from '../facts.js'
import { endHoldFunctions, moveToActiveFunction, noteFunctions } from './bullmq-functions.js'

/** Characters of a lock's token, and of the digest by which a settlement is known again. */
export const tokenChars = 22
export const digestChars = 22
/** Behind the digest stands one letter that tells what was said. */
const markChars = digestChars + 1
/** A job's hash remembers this many settlements, the latest: more than it can have attempts. */
const settledMax = 32
/** A job's own log keeps this many lines. */
const logLinesMax = 1000
/** What a job may take that says nothing of it. */
const timeoutMsMax = 86_400_000

/**
 * Lua: `toRow(id, fields, lockMs)` gives what is read of a job, in the order of `toLeasedJob`; `fields` are those of its hash by name.
 * `readFields(key)` reads them.
 */
const rowFunctions = `
local names = { 'name', 'data', 'opts', 'timestamp', 'priority', 'progress', '${jobFields.attemptsMade}', '${jobFields.attemptsStarted}',
  '${jobFields.deferredFailure}', 'jg:checkpoint', 'parentKey', 'failedReason', 'processedOn', '${jobFields.processedBy}', 'jg:lease' }
local function toRow(id, fields, lockMs)
  local row = { id, tostring(lockMs) }
  for _, name in ipairs(names) do row[#row + 1] = fields[name] or '' end
  return row
end
local function readFields(key)
  local values = redis.call('HMGET', key, unpack(names))
  local fields = {}
  for at, name in ipairs(names) do fields[name] = values[at] or nil end
  return fields
end
`

/** Lua: `settledAs(key, token, settledKey)` gives the mark of a lease that was settled, or false. */
const settledFunction = `
local function settledAs(key, token, settledKey)
  local list = redis.call('HGET', key, 'jg:settled')
  local from = list and string.find(list, token, 1, true)
  if from then return string.sub(list, from + #token, from + #token + ${markChars - 1}) end
  return redis.call('GET', settledKey)
end
`

/**
 * Hands out jobs of one queue to those who wait, in their order.
 * KEYS: 1 wait, 2 active, 3 prioritized, 4 events, 5 stalled, 6 limiter, 7 delayed, 8 paused, 9 meta, 10 pc, 11 marker; then for each who
 * waits the claim of its idempotency key (the marker again without one).
 * ARGV: 1 prefix of the queue's keys, 2 now in ms, 3 characters of data after which no more jobs are taken; then for each who waits:
 * name, length of its leases in ms, start of the claim's value ('' without one), number of jobs, and for each of these the token of its
 * lock and the secret of its lease.
 * Returns 1 if nothing is left to hand out, else 0; then for each who waits its jobs as rows, or the value that its claim holds already.
 *
 * A lease never outlasts the attempt: its lock ends with `timeoutMs` of the job. An id without a job is thrown away.
 */
export const fetchScript = `
${moveToActiveFunction}
${rowFunctions}
local base, bytesMax = ARGV[1], tonumber(ARGV[3])
local keys = {}
for at = 1, 11 do keys[at] = KEYS[at] end
local isEmpty, bytes = false, 0

local function lease(id, fields, leaseMs, token)
  local decoded, envelope = pcall(cjson.decode, fields.data)
  local timeoutMs = decoded and type(envelope) == 'table' and tonumber(envelope.timeoutMs) or ${timeoutMsMax}
  local lockMs = math.min(leaseMs, timeoutMs)
  local text = string.format('%.0f %.0f', tonumber(ARGV[2]) + timeoutMs, leaseMs)
  redis.call('SET', base .. id .. '${jobKeyEndings.lock}', token, 'PX', string.format('%.0f', lockMs))
  redis.call('HSET', base .. id, 'jg:lease', text)
  fields['jg:lease'] = text
  bytes = bytes + #fields.data
  return toRow(id, fields, lockMs)
end

local function take(name, leaseMs, token)
  while true do
    local moved = moveToActive(keys, { base, ARGV[2], { token = token, lockDuration = leaseMs, name = name } })
    if type(moved[1]) ~= 'table' then
      isEmpty = true
      -- Whoever waits for the queue next has to know when the first delayed job is due.
      if tonumber(moved[4]) > 0 then redis.call('ZADD', KEYS[11], moved[4], '${marker.delayedMember}') end
      -- BullMQ leaves a marker with every job that it hands out: without this each would wake somebody for nothing.
      if redis.call('LLEN', KEYS[1]) == 0 and redis.call('ZCARD', KEYS[3]) == 0 then redis.call('ZREM', KEYS[11], '${marker.member}') end
      return nil
    end
    local id, fields = moved[2], {}
    for at = 1, #moved[1], 2 do fields[moved[1][at]] = moved[1][at + 1] end
    if fields.data then return lease(id, fields, tonumber(leaseMs), token) end
    redis.call('LREM', KEYS[2], 1, id)
    redis.call('DEL', base .. id, base .. id .. '${jobKeyEndings.lock}')
  end
end

local results = {}
local at, place = 4, 12
while at <= #ARGV do
  local name, leaseMs, claim, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], tonumber(ARGV[at + 3])
  local first = at + 4
  local held = claim ~= '' and redis.call('GET', KEYS[place])
  if held then
    results[#results + 1] = held
  else
    local rows, leases = {}, {}
    for each = 0, count - 1 do
      local row = not isEmpty and bytes < bytesMax and take(name, leaseMs, ARGV[first + 2 * each])
      if not row then break end
      rows[#rows + 1] = row
      leases[#leases + 1] = row[1] .. '.' .. ARGV[first + 2 * each + 1]
    end
    if claim ~= '' and #rows > 0 then redis.call('SET', KEYS[place], claim .. table.concat(leases, ' '), 'PX', leaseMs) end
    results[#results + 1] = rows
  end
  at, place = first + 2 * count, place + 1
end
return { isEmpty and 1 or 0, results }
`

/**
 * Reads leases of one queue.
 * KEYS: for each lease what was said when it was settled. ARGV: 1 prefix of the queue's keys, then for each its job's id and its token.
 * Returns for each: its job as a row while it is held; the mark it was settled with; or false when it is over without that.
 */
export const readScript = `
${rowFunctions}
${settledFunction}
local results = {}
for at = 1, #KEYS do
  local id, token = ARGV[2 * at], ARGV[2 * at + 1]
  local key = ARGV[1] .. id
  local lock = key .. '${jobKeyEndings.lock}'
  if redis.call('GET', lock) == token then
    results[at] = toRow(id, readFields(key), redis.call('PTTL', lock))
  else
    results[at] = settledAs(key, token, KEYS[at])
  end
end
return results
`

/**
 * Extends leases of one queue from now, and notes what came with them. One whose job was cancelled is not extended: it has to be settled
 * in the time that is left.
 * KEYS: 1 events, 2 meta. ARGV: 1 prefix of the queue's keys, 2 now in ms, 3 failedReason of a cancelled job; then for each lease: id,
 * token, length in ms ('' as before), progress, checkpoint (each '' for none), number of lines, and the lines of its log.
 * Returns for each: how long it is held from now in ms, 'held' or 'cancelled', and its holder; false when it is over.
 */
export const heartbeatScript = `
${noteFunctions}
local base = ARGV[1]
local results = {}
local at = 4
while at <= #ARGV do
  local id, token, leaseMs, progress, checkpoint, count = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4], tonumber(ARGV[at + 5])
  local key = base .. id
  local lock = key .. '${jobKeyEndings.lock}'
  local result = false
  if redis.call('GET', lock) == token then
    local job = redis.call('HMGET', key, '${jobFields.deferredFailure}', 'jg:lease', '${jobFields.processedBy}')
    if job[1] == ARGV[3] then
      result = { redis.call('PTTL', lock), 'cancelled', job[3] or '' }
    else
      local endsAt, before = string.match(job[2] or '', '^(%d+) (%d+)$')
      local wanted = leaseMs == '' and before or leaseMs
      local lockMs = math.max(1, math.min(tonumber(wanted), tonumber(endsAt) - tonumber(ARGV[2])))
      redis.call('PEXPIRE', lock, string.format('%.0f', lockMs))
      if wanted ~= before then redis.call('HSET', key, 'jg:lease', endsAt .. ' ' .. wanted) end
      result = { lockMs, 'held', job[3] or '' }
    end
    if progress ~= '' then updateProgress({ key, KEYS[1], KEYS[2] }, { id, progress }) end
    if checkpoint ~= '' then redis.call('HSET', key, 'jg:checkpoint', checkpoint) end
    for line = at + 6, at + 5 + count do addLog({ key, key .. '${jobKeyEndings.logs}' }, { id, ARGV[line], '${logLinesMax}' }) end
  end
  results[#results + 1] = result
  at = at + 6 + count
end
return results
`

/**
 * Ends holds on jobs of one queue, each if it is still held.
 * KEYS: 1 wait, 2 active, 3 prioritized, 4 events, 5 stalled, 6 limiter, 7 delayed, 8 paused, 9 meta, 10 pc, 11 completed, 12 failed,
 * 13 and 14 BullMQ's metrics of both, 15 marker; then for each what is said when it is settled.
 * ARGV: 1 prefix of the queue's keys, 2 now in ms, 3 failedReason of a cancelled job, 4 and 5 which completed and which failed jobs stay
 * (JSON), 6 minutes of metrics, 7 how long what is said is remembered in ms; then for each: id, token, digest ('' to remember nothing),
 * act, value, delay in ms, most attempts, progress ('' for none), number of lines, and the lines of its log.
 * Acts: `complete` (value: the result as JSON), `fail`, `retry` (value: the failedReason), `delay`, `release`, and `lost`, which
 * releases a job that lost its worker.
 * Returns for each the mark with which it is settled now or was before, or false when it is over without that. A mark is the digest and
 * one letter: c completed, f failed, r retrying, d delayed, w waiting, x cancelled.
 *
 * A job that was cancelled ends as cancelled, whatever the act.
 */
export const endScript = `
${endHoldFunctions}
${noteFunctions}
${settledFunction}
local base, now = ARGV[1], ARGV[2]
local kept = { completed = cjson.decode(ARGV[4]), failed = cjson.decode(ARGV[5]) }

local function finish(id, token, state, member, value, attempts)
  local keys = {}
  for at = 1, 10 do keys[at] = KEYS[at] end
  keys[11], keys[13] = KEYS[state == 'completed' and 11 or 12], KEYS[state == 'completed' and 13 or 14]
  keys[12], keys[14] = base .. id, KEYS[15]
  local options = { token = token, keepJobs = kept[state], attempts = attempts, maxMetricsSize = ARGV[6] }
  return moveToFinished(keys, { id, now, member, value, state, '0', base, options, '' })
end

local function delayed(id, token, delay, skipsAttempt)
  local keys = { KEYS[15], KEYS[2], KEYS[3], KEYS[7], base .. id, KEYS[4], KEYS[9], KEYS[5], KEYS[1], KEYS[6], KEYS[10] }
  return moveToDelayed(keys, { base, now, id, token, delay, skipsAttempt, '', '0' })
end

local function release(id, token)
  local code = moveJobFromActiveToWait({ KEYS[2], KEYS[1], KEYS[5], KEYS[8], KEYS[9], KEYS[6], KEYS[3], KEYS[15], KEYS[4] },
    { id, token, base .. id })
  -- BullMQ wakes nobody for a job of a priority class.
  if code >= 0 then redis.call('ZADD', KEYS[15], ${marker.score}, '${marker.member}') end
  return code
end

local function act(id, token, what, value, delay, attempts)
  if what == 'complete' then
    redis.call('HDEL', base .. id, 'jg:checkpoint')
    return finish(id, token, 'completed', 'returnvalue', value, attempts)
  end
  if what == 'fail' then return finish(id, token, 'failed', 'failedReason', value, attempts) end
  if what == 'retry' then
    redis.call('HSET', base .. id, 'failedReason', value)
    if tonumber(delay) > 0 then return delayed(id, token, delay, '0') end
    return retryJob({ KEYS[2], KEYS[1], KEYS[8], base .. id, KEYS[9], KEYS[4], KEYS[7], KEYS[3], KEYS[10], KEYS[15], KEYS[5] },
      { base, now, 'LPUSH', id, token, '' })
  end
  if what == 'delay' then return delayed(id, token, delay, '1') end
  if what == 'lost' then redis.call('HINCRBY', base .. id, '${jobFields.stalledCount}', 1) end
  return release(id, token)
end

local letters = { complete = 'c', fail = 'f', retry = 'r', delay = 'd', release = 'w', lost = 'w' }

local function remember(key, settledKey, token, mark)
  if redis.call('EXISTS', key) == 1 then
    local list = (redis.call('HGET', key, 'jg:settled') or '') .. token .. mark
    redis.call('HSET', key, 'jg:settled', string.sub(list, -${settledMax * (tokenChars + markChars)}))
  end
  redis.call('SET', settledKey, mark, 'PX', ARGV[7])
end

local results = {}
local at, place = 8, 16
while at <= #ARGV do
  local id, token, digest, what, value = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local delay, attempts, progress, count = ARGV[at + 5], ARGV[at + 6], ARGV[at + 7], tonumber(ARGV[at + 8])
  local key, settledKey = base .. id, KEYS[place]
  local result
  if redis.call('GET', key .. '${jobKeyEndings.lock}') ~= token or redis.call('EXISTS', key) == 0 then
    result = settledAs(key, token, settledKey)
  else
    if progress ~= '' then updateProgress({ key, KEYS[4], KEYS[9] }, { id, progress }) end
    for line = at + 9, at + 8 + count do addLog({ key, key .. '${jobKeyEndings.logs}' }, { id, ARGV[line], '${logLinesMax}' }) end
    if redis.call('HGET', key, '${jobFields.deferredFailure}') == ARGV[3] then what, value = 'fail', ARGV[3] end
    local code = act(id, token, what, value, delay, attempts)
    if code < 0 then
      result = false
    else
      result = digest .. (value == ARGV[3] and 'x' or letters[what])
      if digest ~= '' then remember(key, settledKey, token, result) end
    end
  end
  results[#results + 1] = result
  at, place = at + 9 + count, place + 1
end
return results
`

/**
 * Takes over jobs of one queue whose holder let its lock run out.
 * KEYS: 1 active. ARGV: 1 prefix of the queue's keys, 2 first and 3 last place to look at, 4 token, 5 for how long in ms, 6 most jobs.
 * Returns the jobs as rows. An id without a job is thrown away.
 */
export const takeOverScript = `
${rowFunctions}
local results = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], ARGV[2], ARGV[3])) do
  if #results >= tonumber(ARGV[6]) then break end
  local key = ARGV[1] .. id
  local lock = key .. '${jobKeyEndings.lock}'
  if redis.call('EXISTS', lock) == 0 then
    if redis.call('EXISTS', key) == 1 then
      redis.call('SET', lock, ARGV[4], 'PX', ARGV[5])
      results[#results + 1] = toRow(id, readFields(key), tonumber(ARGV[5]))
    else
      redis.call('LREM', KEYS[1], 1, id)
    end
  end
end
return results
`

/** KEYS: lists of active jobs. Returns how long each is; nothing where all are empty. */
export const activeScript = `
local counts = {}
if redis.call('EXISTS', unpack(KEYS)) == 0 then return counts end
for at = 1, #KEYS do counts[at] = redis.call('LLEN', KEYS[at]) end
return counts
`
