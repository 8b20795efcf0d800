// Reads jobs as they are stored: hash and state in one step, many at once.

import { createCoalescer } from '../redis/coalesce.js'
import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
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
 * KEYS: 1 completed, 2 failed, 3 delayed, 4 prioritized, 5 active, 6 wait, 7 paused, 8 waiting-children.
 * ARGV: 1 prefix of the queue's keys, then ids.
 * Returns for each id false or the members of the hash in the order of `fields`, then the state and the score of a delayed job.
 */
const readScript = `
local base = ARGV[1]
local results = {}
for at = 2, #ARGV do
  local id = ARGV[at]
  local job = redis.call('HMGET', base .. id, 'name', 'data', 'opts', 'timestamp', 'priority', 'processedOn', 'finishedOn',
    'failedReason', 'returnvalue', 'progress', 'atm', 'parentKey', 'jg:retriedOn')
  if job[1] then
    local state
    local due = redis.call('ZSCORE', KEYS[3], id)
    if job[7] then
      state = redis.call('ZSCORE', KEYS[1], id) and 'completed' or 'failed'
    elseif redis.call('ZSCORE', KEYS[4], id) then state = 'prioritized'
    elseif due then state = 'delayed'
    elseif redis.call('LPOS', KEYS[5], id) then state = 'active'
    elseif redis.call('ZSCORE', KEYS[8], id) then state = 'waiting-children'
    elseif redis.call('LPOS', KEYS[6], id) or redis.call('LPOS', KEYS[7], id) then state = 'waiting'
    else state = 'unknown' end
    job[14] = state
    job[15] = due
    results[#results + 1] = job
  else
    results[#results + 1] = false
  end
end
return results
`

/** BullMQ 6.7 orders delayed jobs by milliseconds and, within one, by twelve bits of a counter. */
const scoresPerMs = 0x1000

/** At most this many ids in one script. */
const idsPerScript = 100

function* inScripts(ids: readonly string[]): Generator<readonly string[]> {
  for (let start = 0; start < ids.length; start += idsPerScript) yield ids.slice(start, start + idsPerScript)
}

/** Gives one job or null; reads that come together share a script call. Rejects with the error of Redis. */
export const createJobReader = (redis: RedisClient) => {
  const runReadScript = defineScript<((string | null)[] | null)[]>(redis, readScript)
  return createCoalescer({
    split: inScripts,
    send: async (queue: QueueKeys, ids: readonly string[]): Promise<(StoredJob | null)[]> => {
      const { completed, failed, delayed, prioritized, active, wait, paused, waitingChildren } = queue
      const rows = await runReadScript(
        [completed, failed, delayed, prioritized, active, wait, paused, waitingChildren],
        [queue.base, ...ids],
      )
      return rows.map((row, index) => (row ? toStoredJob(ids[index] as string, row) : null))
    },
  })
}

export type ReadJob = ReturnType<typeof createJobReader>

const toStoredJob = (id: string, row: (string | null)[]): StoredJob => ({
  id,
  name: row[0] as string,
  data: row[1] as string,
  options: row[2] as string,
  timestamp: row[3] as string,
  priority: row[4] ?? null,
  processedOn: row[5] ?? null,
  finishedOn: row[6] ?? null,
  failedReason: row[7] ?? null,
  returnvalue: row[8] ?? null,
  progress: row[9] ?? null,
  attemptsMade: row[10] ?? null,
  parentKey: row[11] ?? null,
  retriedOn: row[12] ?? null,
  state: row[13] as StoredState,
  dueAt: row[14] ? Math.floor(Number(row[14]) / scoresPerMs) : null,
})
