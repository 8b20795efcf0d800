// Sessions of people at the dashboard: a random token in a cookie, and in Redis only what tells that its key still holds.

import { createHmac, hash, randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/connect.js'
import { classifyRedisError } from '../redis/failures.js'
import type { Keys } from '../redis/redis-keys.js'
import type { ApiKeys } from './api-keys.js'
import type { Verification } from './grants.js'
import { digestKey, isSameDigest, toDigestBytes } from './key-format.js'

export const boardSessionMs = 8 * 60 * 60 * 1000

/** A session as Redis keeps it. `proof` is made of the token, which Redis does not have, and the digest of the key. */
interface BoardSession {
  readonly keyId: string
  readonly proof: string
}

/** Every instance knows every session. */
export const createBoardSessions = (deps: { redis: RedisClient; keys: Keys; apiKeys: Pick<ApiKeys, 'recall'> }) => {
  const { redis, keys, apiKeys } = deps
  const toKey = (token: string): string => keys.boardSession(hash('sha256', token))

  return {
    /** Begins a session of a key that was just verified; resolves with its token. Rejects with the error of Redis. */
    async open(key: string, keyId: string): Promise<string> {
      const token = randomBytes(32).toString('base64url')
      const session: BoardSession = { keyId, proof: prove(token, digestKey(key)).toString('hex') }
      await redis.set(toKey(token), JSON.stringify(session), 'PX', boardSessionMs)
      return token
    },

    /**
     * Tells who calls: the key as it is now, so that a session ends with it. `refused` covers sessions that are over too.
     * Rejects with nothing that is to be expected.
     */
    async recall(token: string): Promise<Verification> {
      try {
        const text = await redis.get(toKey(token))
        if (text === null) return { kind: 'refused' }
        const { keyId, proof } = JSON.parse(text) as BoardSession
        const wanted = toDigestBytes(proof)
        return await apiKeys.recall(keyId, (digest) => isSameDigest(prove(token, digest), wanted))
      } catch (error) {
        if (classifyRedisError(error) === null) throw error
        return { kind: 'unavailable' }
      }
    },

    /** Ends a session, on every instance. Rejects with the error of Redis. */
    async close(token: string): Promise<void> {
      await redis.del(toKey(token))
    },
  }
}

export type BoardSessions = ReturnType<typeof createBoardSessions>

const prove = (token: string, digest: Buffer): Buffer => createHmac('sha256', token).update(digest).digest()
