// Locks shared by all workers, for vendors' things that must not be written by two at once.

import { createHash, randomUUID } from 'node:crypto'
import type { RedisClient } from './connect.js'
import type { Keys } from './redis-keys.js'
import { defineScript } from './script.js'

/**
 * Deletes a lock if it is still the caller's own.
 * KEYS: lock. ARGV: token. Returns 1 when deleted, 0 when it expired or changed hands.
 */
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
`

/**
 * Takes named locks. They end by themselves after their ttl, so a holder that dies blocks nobody for long.
 * `name` may be made of a client's strings: only its digest becomes a key.
 */
export const createLock = ({ redis, keys }: { redis: RedisClient; keys: Keys }) => {
  const runReleaseScript = defineScript<number>(redis, releaseScript)
  /** The lock, or null while somebody else holds it. Throws when Redis cannot be reached. */
  const lock = async (name: string, ttlMs: number): Promise<HeldLock | null> => {
    const key = keys.lock(createHash('sha256').update(name).digest('hex'))
    const token = randomUUID()
    if ((await redis.set(key, token, 'PX', ttlMs, 'NX')) !== 'OK') return null
    return {
      async release() {
        // The work under the lock is done either way, and the ttl frees a lock that could not be released.
        await runReleaseScript([key], [token]).catch(() => 0)
      },
    }
  }
  return lock
}

export interface HeldLock {
  /** Never throws; harmless after the ttl, even when somebody else holds the lock by then. */
  release(): Promise<void>
}

export type Lock = ReturnType<typeof createLock>
