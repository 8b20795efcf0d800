// What an idempotency key holds, for answers to requests that are not stored.

import { fingerprintChars, touchClaimFunction } from '../bullmq/scripts/accept-script.js'
import type { RedisClient } from '../redis/connect.js'
import type { Durability } from '../redis/durability.js'
import { unconfirmed } from '../redis/failures.js'
import { defineScript } from '../redis/script.js'

/**
 * KEYS: 1 claim.
 * Returns false, r<value>, or u<why> when it could not be written.
 */
const touchScript = `
${touchClaimFunction}
local held = redis.call('GET', KEYS[1])
if not held then return false end
local failure = touchClaim(KEYS[1], held)
return failure and 'u' .. failure or 'r' .. held
`

/**
 * Gives the record of a claim that was made for the same payload, or undefined.
 * `writing` is the connection that `durability` waits on: with it the record is confirmed like that of any replay.
 * Rejects with the error of Redis, and as unknown when the record is there and not confirmed.
 */
export const createClaimReader = ({
  redis,
  writing,
  durability,
}: {
  redis: RedisClient
  writing: RedisClient
  durability?: Durability | undefined
}) => {
  const runTouchScript = durability && defineScript<string | null>(writing, touchScript, durability.confirmed)

  return async (key: string, fingerprint: string): Promise<string | undefined> => {
    let held: string | null | undefined = await redis.get(key)
    // Only a claim that answers the request is worth a wait.
    if (runTouchScript && held?.startsWith(fingerprint)) {
      const result = await runTouchScript([key], [])
      if (result?.[0] === 'u') throw unconfirmed(result.slice(1))
      held = result?.slice(1)
    }
    return held?.startsWith(fingerprint) ? held.slice(fingerprintChars) : undefined
  }
}

export type ReadClaim = ReturnType<typeof createClaimReader>
