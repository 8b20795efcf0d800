// Counts calls to one vendor across all workers, so that its limits are met before the vendor has to say so.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { defineScript } from '../redis/script.js'

export interface Quota {
  readonly calls: number
  readonly windowMs: number
}

/**
 * Counts one call in every window, or in none if one of them is full. Windows are aligned to the server's clock.
 * KEYS: one counter name per quota, completed here by the number of its window (same hash tag, so the same slot).
 * ARGV: calls and windowMs, alternating, in the order of KEYS.
 * Returns 0 when counted, else the milliseconds until the fullest window ends.
 */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local wait = 0
local names = {}
for i, key in ipairs(KEYS) do
  local windowMs = tonumber(ARGV[2 * i])
  names[i] = key .. ':' .. math.floor(now / windowMs)
  if tonumber(redis.call('GET', names[i]) or '0') >= tonumber(ARGV[2 * i - 1]) then
    wait = math.max(wait, windowMs - now % windowMs)
  end
end
if wait > 0 then
  return wait
end
for i, name in ipairs(names) do
  redis.call('INCR', name)
  redis.call('PEXPIRE', name, ARGV[2 * i])
end
return 0
`

/** Redis key of the calls counted against the limits of a vendor in windows of one length; completed by the number of the window. */
export const vendorCallsKey = (keys: Keys, vendor: string, windowMs: number): string => keys.of('vendor-calls', `${vendor}:${windowMs}`)

/** `vendor` names the account whose calls are counted. */
export const createCallQuota = ({
  redis,
  keys,
  vendor,
  quotas,
}: {
  redis: RedisClient
  keys: Keys
  vendor: string
  quotas: readonly Quota[]
}) => {
  const names = quotas.map(({ windowMs }) => vendorCallsKey(keys, vendor, windowMs))
  const limits = quotas.flatMap(({ calls, windowMs }) => [calls, windowMs])
  const runTakeScript = defineScript<number>(redis, takeScript)
  return {
    /** 0: go ahead, the call is counted. Otherwise: milliseconds to wait. Throws when Redis cannot be reached. */
    take: async (): Promise<number> => Number(await runTakeScript(names, limits)),
  }
}

export type CallQuota = ReturnType<typeof createCallQuota>
