// Reads jobs as they are stored: hash and state in one step, many at once.

import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
import { createCoalescer } from '../runtime/coalesce.js'
import { delayedScoresPerMs, jobFields } from './facts.js'
import type { QueueKeys } from './queue-keys.js'

/** A job as stored. Numbers are still text; absent members are null. */
export interface StoredJob {
  readonly id: string
  readonly name: string
  readonly data: string
  readonly options: string
  readonly timestamp: string
  readonly priority: string | null
  readonly processedOn: string | null
  readonly finishedOn: string | null
  readonly failedReason: string | null
  readonly returnvalue: string | null
  readonly progress: string | null
  readonly attemptsMade: string | null
  readonly parentKey: string | null
  readonly retriedOn: string | null
  readonly state: StoredState
  /** When a delayed job is due, in milliseconds since 1970. */
  readonly dueAt: number | null
}

/** BullMQ's states. `unknown`: the job is between two of its sets. */
export type StoredState = 'completed' | 'failed' | 'delayed' | 'prioritized' | 'active' | 'waiting' | 'waiting-children' | 'unknown'

/** How the data of every job begin, so that whose it is can be told without parsing it. */
const dataStart = '{"tenant":"'

/**
 * Lua: `isOf(data, tenant)` tells whether data may be those of a job of this tenant; any tenant when it is ''.
 * Data that begin otherwise were stored by an earlier version: whoever parses them tells.
 */
const isOfFunction = `
local function isOf(data, tenant)
  if not data then return false end
  local start = '${dataStart}' .. tenant .. '"'
  return tenant == '' or string.sub(data, 1, #start) == start or string.sub(data, 1, ${dataStart.length}) ~= '${dataStart}'
end
`

/**
 * Reads jobs with their states. A job of another tenant costs what one costs that is not there: its state is not looked for.
 * KEYS: 1 completed, 2 failed, 3 delayed, 4 prioritized, 5 active, 6 wait, 7 paused, 8 waiting-children.
 * ARGV: 1 prefix of the queue's keys, then pairs of id and tenant, which is '' when anybody's job is meant.
 * Returns for each id false or one text: its parts between unit separators, '' for what is absent, in the order of `toStoredJob`.
 * One text, since for Node each part would be a buffer first and then a text. Only a reason may hold a separator, since all the
 * others are JSON, numbers and names: it comes last.
 */
const readScript = `
${isOfFunction}
local base = ARGV[1]
local results = {}
for at = 2, #ARGV, 2 do
  local id = ARGV[at]
  local job = redis.call('HMGET', base .. id, 'data', 'opts', 'timestamp', 'priority', 'processedOn', 'finishedOn',
    'returnvalue', 'progress', '${jobFields.attemptsMade}', 'parentKey', 'jg:retriedOn', 'name', 'failedReason')
  if job[12] and isOf(job[1], ARGV[at + 1]) then
    local state
    local due = redis.call('ZSCORE', KEYS[3], id)
    if job[6] then
      state = redis.call('ZSCORE', KEYS[1], id) and 'completed' or 'failed'
    elseif redis.call('ZSCORE', KEYS[4], id) then state = 'prioritized'
    elseif due then state = 'delayed'
    elseif redis.call('LPOS', KEYS[5], id) then state = 'active'
    elseif redis.call('ZSCORE', KEYS[8], id) then state = 'waiting-children'
    elseif redis.call('LPOS', KEYS[6], id) or redis.call('LPOS', KEYS[7], id) then state = 'waiting'
    else state = 'unknown' end
    for part = 1, 13 do job[part] = job[part] or '' end
    job[12] = string.gsub(job[12], '\\31', ' ')
    results[#results + 1] = state .. '\\31' .. (due or '') .. '\\31' .. table.concat(job, '\\31')
  else
    results[#results + 1] = false
  end
end
return results
`

/**
 * Reads of jobs of one tenant what grants are held against. What belongs to others, or is not there, takes every step all the same.
 * KEYS: 1 any key of the queue. ARGV: 1 prefix of the queue's keys, then pairs of id and tenant.
 * Returns for each id one text: the name of its type and, behind a unit separator, the kinds of its follow-ups as JSON, '' for none.
 * The name is '' where there is no such job of this tenant.
 */
const kindScript = `
${isOfFunction}
local results = {}
for at = 2, #ARGV, 2 do
  local job = redis.call('HMGET', ARGV[1] .. ARGV[at], 'data', 'name')
  local data = job[1] or '${dataStart}"'
  local kinds = string.match(data, '^${dataStart}[^"]*","followUpKinds":(%b[])') or ''
  local text = string.gsub(job[2] or '', '\\31', ' ') .. '\\31' .. kinds
  results[#results + 1] = isOf(data, ARGV[at + 1]) and text or '\\31'
end
return results
`

/** A job to be read: whoever's it is, or only if it is one of this tenant. */
export interface WantedJob {
  readonly id: string
  readonly tenant: string | undefined
}

/** At most this many jobs in one script. */
const jobsPerScript = 100

function* inScripts(jobs: readonly WantedJob[]): Generator<readonly WantedJob[]> {
  for (let start = 0; start < jobs.length; start += jobsPerScript) yield jobs.slice(start, start + jobsPerScript)
}

const toArguments = ({ base }: QueueKeys, jobs: readonly WantedJob[]): string[] => {
  const values = [base]
  for (const { id, tenant } of jobs) values.push(id, tenant ?? '')
  return values
}

/** Gives one job as text for `toStoredJob`, or null; reads that come together share a script call. Rejects with the error of Redis. */
export const createJobReader = (redis: RedisClient) => {
  const runReadScript = defineScript<(string | null)[]>(redis, readScript)
  return createCoalescer({
    split: inScripts,
    send: (queue: QueueKeys, jobs: readonly WantedJob[]): Promise<(string | null)[]> => {
      const { completed, failed, delayed, prioritized, active, wait, paused, waitingChildren } = queue
      return runReadScript([completed, failed, delayed, prioritized, active, wait, paused, waitingChildren], toArguments(queue, jobs))
    },
  })
}

/** As `createJobReader`, but gives only what `toStoredKind` tells of a job, and never null. */
export const createKindReader = (redis: RedisClient) => {
  const runKindScript = defineScript<string[]>(redis, kindScript)
  return createCoalescer({
    split: inScripts,
    send: (queue: QueueKeys, jobs: readonly WantedJob[]): Promise<string[]> => runKindScript([queue.meta], toArguments(queue, jobs)),
  })
}

export type ReadJob = ReturnType<typeof createJobReader>
export type ReadKind = ReturnType<typeof createKindReader>

const separator = '\x1f'

/** `text` is what the reader gave for this id. */
export const toStoredJob = (id: string, text: string): StoredJob => {
  const parts = text.split(separator)
  const [state, due, data, options, timestamp, priority, processedOn, finishedOn, returnvalue, progress, attemptsMade, parentKey] = parts
  return {
    id,
    name: parts[13] as string,
    data: data as string,
    options: options as string,
    timestamp: timestamp as string,
    priority: priority || null,
    processedOn: processedOn || null,
    finishedOn: finishedOn || null,
    failedReason: (parts.length > 15 ? parts.slice(14).join(separator) : parts[14]) || null,
    returnvalue: returnvalue || null,
    progress: progress || null,
    attemptsMade: attemptsMade || null,
    parentKey: parentKey || null,
    retriedOn: parts[12] || null,
    state: state as StoredState,
    dueAt: due ? Math.floor(Number(due) / delayedScoresPerMs) : null,
  }
}

/** `text` is what the reader of kinds gave; `name` is '' where there is no such job, `followUpKinds` is JSON or '' for none. */
export const toStoredKind = (text: string): { name: string; followUpKinds: string } => {
  const end = text.indexOf(separator)
  return { name: text.slice(0, end), followUpKinds: text.slice(end + 1) }
}
