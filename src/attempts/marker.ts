// Remembers outside the attempt what was begun or done with a vendor that cannot de-duplicate.

import type { RedisClient } from '../redis/connect.js'
import type { AttemptMarker } from '../types/definition.js'

type Stored = { state: 'begun' } | { state: 'done'; result: unknown }

/** `ttlMs`, counted from the last attempt that looked, outlasts a failed job's retention. Every call rejects with the error of Redis. */
export const createAttemptMarker = (redis: RedisClient, key: string, ttlMs: number): AttemptMarker => {
  const write = async (value: Stored) => {
    await redis.set(key, JSON.stringify(value), 'PX', ttlMs)
  }
  return {
    async read() {
      const text = await redis.getex(key, 'PX', ttlMs)
      return text === null ? { state: 'none' } : (JSON.parse(text) as Stored)
    },
    begin: () => write({ state: 'begun' }),
    done: (result) => write({ state: 'done', result }),
    async clear() {
      await redis.del(key)
    },
  }
}
