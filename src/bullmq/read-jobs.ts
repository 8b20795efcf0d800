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

/**
 * Reads jobs with their states.
 * KEYS: 1 completed, 2 failed, 3 delayed, 4 prioritized, 5 active, 6 wait, 7 paused, 8 waiting-children.
 * ARGV: 1 prefix of the queue's keys, then ids.
 * Returns for each id false or one text: its parts between unit separators, '' for what is absent, in the order of `toStoredJob`.
 * One text, since for Node each part would be a buffer first and then a text. Only a reason may hold a separator, since all the
 * others are JSON, numbers and names: it comes last.
 */
const readScript = `
local base = ARGV[1]
local results = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = redis.call('HMGET', base .. id, 'data', 'opts', 'timestamp', 'priority', 'processedOn', 'finishedOn',
    'returnvalue', 'progress', '${jobFields.attemptsMade}', 'parentKey', 'jg:retriedOn', 'name', 'failedReason')
  if job[12] then
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

/** At most this many ids in one script. */
const idsPerScript = 100

function* inScripts(ids: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < ids.length; start += idsPerScript) yield ids.slice(start, start + idsPerScript)
}

/** Gives one job as text for `toStoredJob`, or null; reads that come together share a script call. Rejects with the error of Redis. */
export const createJobReader = (redis: RedisClient) => {
  const runReadScript = defineScript<(string | null)[]>(redis, readScript)
  return createCoalescer({
    split: inScripts,
    send: (queue: QueueKeys, ids: readonly string[]): Promise<(string | null)[]> => {
      const { completed, failed, delayed, prioritized, active, wait, paused, waitingChildren } = queue
      return runReadScript([completed, failed, delayed, prioritized, active, wait, paused, waitingChildren], [queue.base, ...ids])
    },
  })
}

export type ReadJob = ReturnType<typeof createJobReader>

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
