// Finds out which versions of a job type the jobs in its queue were accepted under.

import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import type { QueueName } from '../../types/queue-name.js'
import type { QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'

/** Jobs that one script looks at: it blocks Redis for a few milliseconds. */
const jobsAtOnce = 1000
/** Beyond so many jobs every version is taken to be in use. */
const jobsMax = 200_000

/**
 * Reads the versions under which some jobs of a list or a sorted set were accepted. Their number stands before the data.
 * KEYS: 1 the list or set. ARGV: 1 prefix of the queue's keys, 2 first place, 3 last place.
 * Returns how many ids were looked at, then each version that was found.
 */
const versionsScript = `
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then return { 0 } end
local ids = redis.call(kind == 'list' and 'LRANGE' or 'ZRANGE', KEYS[1], ARGV[2], ARGV[3])
local seen, found = {}, { #ids }
for _, id in ipairs(ids) do
  local data = redis.call('HGET', ARGV[1] .. id, 'data')
  if data then
    local rest = string.gsub(data, '^{"tenant":"[^"]*"', '', 1)
    rest = string.gsub(rest, '^,"followUpKinds":%b[]', '', 1)
    local version = tonumber(string.match(rest, '^,"typeVersion":(%d+)') or 1)
    if not seen[version] then
      seen[version] = true
      found[#found + 1] = version
    end
  end
end
return found
`

/** Gives those of `wanted` under which a job was accepted that is still stored, finished or not. Rejects with the error of Redis. */
export const createVersionsInUse = ({ redis, queues }: { redis: RedisClient; queues: QueuePlaces }) => {
  const runVersionsScript = defineScript<number[]>(redis, versionsScript)

  return async (name: QueueName, wanted: readonly number[]): Promise<ReadonlySet<number>> => {
    const open = new Set(wanted)
    const used = new Set<number>()
    let seen = 0
    // In the order in which jobs go from one to the other: none that moves meanwhile is missed.
    const setsOf = ({ delayed, waitingChildren, prioritized, wait, paused, active, completed, failed }: QueueKeys) => {
      return [delayed, waitingChildren, prioritized, wait, paused, active, completed, failed]
    }
    for (const place of queues.has(name) ? queues.partitionsOf(name) : []) {
      for (const key of setsOf(place)) {
        for (let at = 0; open.size > 0; at += jobsAtOnce) {
          const [count = 0, ...versions] = await runVersionsScript([key], [place.base, at, at + jobsAtOnce - 1])
          for (const version of versions) if (open.delete(version)) used.add(version)
          seen += count
          if (seen > jobsMax) return new Set(wanted)
          if (count < jobsAtOnce) break
        }
      }
    }
    return used
  }
}

export type VersionsInUse = ReturnType<typeof createVersionsInUse>
