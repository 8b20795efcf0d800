// Cursors of lists: where a page ended, unreadable to those who send it back, since it may be at something that they may not see.

import { createCipheriv, createDecipheriv, hash, randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

const cursorVersion = '2'
const ivBytes = 12
const tagBytes = 16
/** Positions are filled up to a multiple of this, so that the length of a cursor tells little about an id. */
const blockChars = 64

/**
 * `scope` says whose list it is and how it is filtered: a cursor is of no use elsewhere. Positions hold no blanks.
 * Rejects with the error of Redis, which keeps the secret that all instances share.
 */
export const createCursors = ({ redis, keys }: { redis: RedisClient; keys: Keys }) => {
  let secret: Promise<Buffer> | undefined
  const cursorKey = (): Promise<Buffer> => {
    secret ??= readSecret().catch((error: unknown) => {
      secret = undefined
      throw error
    })
    return secret
  }
  const readSecret = async (): Promise<Buffer> => {
    await redis.set(keys.cursorSecret, randomBytes(32).toString('base64url'), 'NX')
    return hash('sha256', (await redis.get(keys.cursorSecret)) as string, 'buffer')
  }

  return {
    async seal(position: string, scope: string): Promise<string> {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', await cursorKey(), iv)
      cipher.setAAD(Buffer.from(`${cursorVersion} ${scope}`))
      const text = position.padEnd(Math.ceil(position.length / blockChars) * blockChars)
      return Buffer.concat([iv, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64url')
    },

    /** The position; null when the cursor was not made here, or for another scope. */
    async open(cursor: string, scope: string): Promise<string | null> {
      const bytes = Buffer.from(cursor, 'base64url')
      // base64url may be written in more than one way; ours is the only one that counts.
      if (bytes.length <= ivBytes + tagBytes || bytes.toString('base64url') !== cursor) return null
      const decipher = createDecipheriv('aes-256-gcm', await cursorKey(), bytes.subarray(0, ivBytes))
      decipher.setAAD(Buffer.from(`${cursorVersion} ${scope}`))
      decipher.setAuthTag(bytes.subarray(-tagBytes))
      try {
        const text = Buffer.concat([decipher.update(bytes.subarray(ivBytes, -tagBytes)), decipher.final()])
        return text.toString('utf8').trimEnd()
      } catch {
        return null
      }
    },
  }
}

export type Cursors = ReturnType<typeof createCursors>

/** A scope: a digest of all that a cursor is bound to. */
export const toCursorScope = (...parts: readonly unknown[]): string => hash('sha256', JSON.stringify(parts), 'base64url')
