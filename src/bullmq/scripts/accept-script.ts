// The script that accepts submissions to one queue: what it is given, and what it writes in which order.

import { eventsMaxDefault, jobKeyEndings, marker, metaFields, scoresPerPriority } from '../facts.js'
import { addJobFunctions } from './bullmq-functions.js'

/** Length of a fingerprint, which precedes the record in the value of a claim. */
export const fingerprintChars = 43

/**
 * Lua: `touchClaim(key, held)` rewrites the value of a claim, so that the command that confirms writes covers it.
 * Returns why Redis refuses that, else nil: the job of the claim is there all the same.
 */
export const touchClaimFunction = `
local function touchClaim(key, held)
  return redis.pcall('SET', key, held, 'KEEPTTL').err
end
`

/**
 * Accepts submissions.
 * KEYS: 1 marker, 2 meta, 3 id, 4 prioritized, 5 delayed, 6 completed, 7 active, 8 events, 9 pc, 10 wait,
 * 11 waiting-children; then for each submission its index key and its claim key (the index key again when it has none).
 * ARGV: 1 prefix of the queue's keys, 2 largest depth, 3 '1' to write on a replay too (so that WAIT covers it),
 * 4 the queue's name with prefix, 5 ttl of claims in ms, 6 which registration of its type the queue has to be open for; '' for queues that always are,
 * 7 number of kinds of jobs; for each of these: kind, name, options;
 * then for each submission: fingerprint and record in one ('' without claim), index member, number of jobs;
 * then for each job: number of its kind, from 1; id, timestamp, data.
 * Returns one string for each submission: c created, r<record> replayed, u<why> replayed but not written, x reused, f full,
 * g when the type of the queue is gone.
 *
 * Nearly all jobs only have to wait for their turn. `addWaitingJobs` writes of them what BullMQ's addPrioritizedJob would, but
 * once for all what they share: that took a quarter off the time of Redis for each. All others go through BullMQ's own text.
 * The records are written last: whatever fails before leaves the keys unused.
 */
export const acceptScript = `
${addJobFunctions}
${touchClaimFunction}
local base, depthMax, touch, qualifiedName, ttl = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local depth = redis.call('ZCARD', KEYS[4]) + redis.call('ZCARD', KEYS[5]) + redis.call('LLEN', KEYS[10]) + redis.call('ZCARD', KEYS[11])
-- A key of another type would fail only when jobs have been written without their records, and a repeat would make them twice.
redis.call('ZCARD', KEYS[1])
redis.call('XLEN', KEYS[8])
local prioritizedKeys = { KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9] }
local delayedKeys = { KEYS[1], KEYS[2], KEYS[3], KEYS[5], KEYS[6], KEYS[8] }
local parentKeys = { KEYS[2], KEYS[3], KEYS[5], KEYS[11], KEYS[6], KEYS[8] }
-- What the jobs of a script have in common is sent and decoded once: nearly all are of one kind.
local kinds = {}
for number = 1, tonumber(ARGV[7]) do
  local first = 5 + number * 3
  kinds[number] = { kind = ARGV[first], name = ARGV[first + 1], json = ARGV[first + 2], options = cjson.decode(ARGV[first + 2]) }
end
local function kindOf(job)
  return kinds[tonumber(ARGV[job])]
end

-- What is decided before anything is written, since what a script has written stays written when it fails:
-- where the jobs begin that only have to wait, and their pairs of score (at first the priority) and id;
-- first and last place of the submissions whose jobs need more; pairs of score and member by index key; values by claim key.
local waiting, scored, others, indexed, claimed = {}, {}, {}, {}, {}
local results = {}

local function planJobs(first, last)
  local alone, kind = first == last - 3, kindOf(first)
  if alone and kind.kind == 'prioritized' and redis.call('EXISTS', base .. ARGV[first + 1]) == 0 then
    waiting[#waiting + 1] = first
    scored[#scored + 1] = kind.options.priority
    scored[#scored + 1] = ARGV[first + 1]
  else
    others[#others + 1] = { first, last }
  end
end

local function planIndex(key, member)
  local entries = indexed[key]
  if not entries then
    redis.call('ZCARD', key)
    entries = {}
    indexed[key] = entries
  end
  entries[#entries + 1] = 0
  entries[#entries + 1] = member
end

local isGone = ARGV[6] ~= '' and redis.call('HGET', KEYS[2], '${metaFields.openFor}') ~= ARGV[6]

local at = 8 + 3 * #kinds
for key = 12, #KEYS, 2 do
  local indexKey, claimKey = KEYS[key], KEYS[key + 1]
  local value, member, count = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 2])
  local firstJob = at + 3
  at = firstJob + count * 4

  -- A repeat may stand in the same script.
  local held = value ~= '' and (claimed[claimKey] or redis.call('GET', claimKey))
  if held then
    if string.sub(held, 1, ${fingerprintChars}) == string.sub(value, 1, ${fingerprintChars}) then
      local failure = touch == '1' and not claimed[claimKey] and touchClaim(claimKey, held)
      results[#results + 1] = failure and 'u' .. failure or 'r' .. string.sub(held, ${fingerprintChars + 1})
    else
      results[#results + 1] = 'x'
    end
  elseif isGone then
    results[#results + 1] = 'g'
  elseif depth + count > depthMax then
    results[#results + 1] = 'f'
  else
    planJobs(firstJob, at - 1)
    planIndex(indexKey, member)
    if value ~= '' then claimed[claimKey] = value end
    depth = depth + count
    results[#results + 1] = 'c'
  end
end

local function maxEvents()
  local most = redis.call('HGET', KEYS[2], '${metaFields.eventsMax}')
  if not most then
    most = ${eventsMaxDefault}
    redis.call('HSET', KEYS[2], '${metaFields.eventsMax}', most)
  end
  return most
end

-- The jobs before the queue: what a worker makes of an id without a job is a failed job of no type.
local function addWaitingJobs()
  local count = #waiting
  if count == 0 then return end
  local most = maxEvents()
  local state = redis.call('HMGET', KEYS[2], '${metaFields.paused}', '${metaFields.concurrency}')
  local isHeld = state[1] or state[2] and redis.call('LLEN', KEYS[7]) >= tonumber(state[2])
  redis.call('INCRBY', KEYS[3], count)
  local counter = redis.call('INCRBY', KEYS[9], count) - count
  for pair = 1, #scored, 2 do
    counter = counter + 1
    scored[pair] = scored[pair] * ${scoresPerPriority} + counter % ${scoresPerPriority}
  end
  for _, job in ipairs(waiting) do
    local kind = kindOf(job)
    redis.call('HMSET', base .. ARGV[job + 1], 'name', kind.name, 'data', ARGV[job + 3], 'opts', kind.json,
      'timestamp', ARGV[job + 2], 'delay', 0, 'priority', kind.options.priority)
  end
  redis.call('ZADD', KEYS[4], unpack(scored))
  if not isHeld then redis.call('ZADD', KEYS[1], ${marker.score}, '${marker.member}') end
  for _, job in ipairs(waiting) do
    redis.call('XADD', KEYS[8], '*', 'event', 'added', 'jobId', ARGV[job + 1], 'name', kindOf(job).name)
    redis.call('XADD', KEYS[8], 'MAXLEN', '~', most, '*', 'event', 'waiting', 'jobId', ARGV[job + 1])
  end
end

local function addOtherJobs(first, last)
  local parentKey, parentDependencies, parent
  for job = first, last, 4 do
    local kind, id = kindOf(job), ARGV[job + 1]
    local arguments = { base, id, kind.name, ARGV[job + 2], parentKey, parentDependencies, parent }
    local add = { arguments, ARGV[job + 3], kind.options }
    if kind.kind == 'prioritized' then
      addPrioritizedJob(prioritizedKeys, add)
    elseif kind.kind == 'delayed' then
      addDelayedJob(delayedKeys, add)
    else
      addParentJob(parentKeys, add)
      parentKey = base .. id
      parentDependencies = parentKey .. '${jobKeyEndings.dependencies}'
      parent = { id = id, queueKey = qualifiedName, idof = true }
    end
  end
end

addWaitingJobs()
for _, places in ipairs(others) do addOtherJobs(places[1], places[2]) end
for key, entries in pairs(indexed) do
  redis.call('ZADD', key, unpack(entries))
end
for key, value in pairs(claimed) do redis.call('SET', key, value, 'PX', ttl) end
return results
`
