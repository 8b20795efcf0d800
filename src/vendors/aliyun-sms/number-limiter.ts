// Limits how often one phone number is written to, across all workers, without knowing the number.

import type { RedisClient } from '../../redis/connect.js'
import type { Keys } from '../../redis/redis-keys.js'
import { defineScript } from '../../redis/script.js'
import { createSmsKeys } from './redis-keys.js'

/** At most `count` messages in any stretch of `windowMs`. */
export interface NumberLimit {
  readonly count: number
  readonly windowMs: number
}

/**
 * Enters one message in the log of a number unless a limit forbids it. A job that sends again replaces its own entry.
 * KEYS: sorted set of message ids by time. ARGV: message id, longest window, then count and windowMs of every limit.
 * Returns 0 when entered, else the milliseconds until all limits allow it.
 */
const takeScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREM', KEYS[1], ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
local wait = 0
for i = 3, #ARGV, 2 do
  local count = tonumber(ARGV[i])
  local windowMs = tonumber(ARGV[i + 1])
  local sent = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. (now - windowMs), '+inf', 'WITHSCORES')
  if #sent / 2 >= count then
    -- Room is made when the oldest of the last "count" messages leaves the window.
    wait = math.max(wait, tonumber(sent[#sent - 2 * count + 2]) + windowMs - now)
  end
end
if wait > 0 then
  return wait
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 0
`

/** In: `limits` hold in every stretch of their window, not only between full minutes or days. */
export const createNumberLimiter = ({ redis, keys, limits }: { redis: RedisClient; keys: Keys; limits: readonly NumberLimit[] }) => {
  const smsKeys = createSmsKeys(keys)
  const windowMax = Math.max(...limits.map(({ windowMs }) => windowMs))
  const args = limits.flatMap(({ count, windowMs }) => [count, windowMs])
  const runTakeScript = defineScript<number>(redis, takeScript)
  return {
    /** In: keyed digest of the number, id of the message. Out: 0 to go ahead, else milliseconds to wait. */
    take: async (digest: string, messageId: string): Promise<number> =>
      Math.ceil(Number(await runTakeScript([smsKeys.number(digest)], [messageId, windowMax, ...args]))),
    /** Gives the place back when the message was not sent after all. */
    giveBack: async (digest: string, messageId: string): Promise<void> => {
      await redis.zrem(smsKeys.number(digest), messageId)
    },
  }
}

export type NumberLimiter = ReturnType<typeof createNumberLimiter>
