// Keeps credentials that vendors send by event, encrypted, until they end.

import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

const ivBytes = 12
const tagBytes = 16

/** Redis key of a token that a vendor sent us, encrypted. */
export const vendorTokenKey = (keys: Keys, name: string): string => keys.of('vendor-token', name)

/** In: AES-256 keys of DATA_ENCRYPTION_KEY; the first encrypts, all decrypt. Without one, nothing is stored. */
export const createVendorTokens = ({
  redis,
  keys,
  encryptionKeys,
}: {
  redis: RedisClient
  keys: Keys
  encryptionKeys: readonly Buffer[]
}) => ({
  /**
   * Replaces the token of that name until `expiresAt`, milliseconds since 1970.
   * Out: whether it was stored; without a key, or for one that has ended, it was not. Throws when Redis cannot be reached.
   */
  async store(name: string, token: string, expiresAt: number): Promise<boolean> {
    const [key] = encryptionKeys
    const lifeMs = Math.floor(expiresAt - Date.now())
    if (!key || lifeMs <= 0) return false
    await redis.set(vendorTokenKey(keys, name), seal(name, token, key), 'PX', lifeMs)
    return true
  },

  /** The token, or null when there is none, it has ended, or its key is no longer given. */
  async read(name: string): Promise<string | null> {
    const sealed = await redis.get(vendorTokenKey(keys, name))
    if (sealed === null) return null
    const [id, text = ''] = sealed.split('.')
    const key = encryptionKeys.find((each) => toKeyId(each) === id)
    return key ? open(name, Buffer.from(text, 'base64url'), key) : null
  },
})

export type VendorTokens = ReturnType<typeof createVendorTokens>

const toKeyId = (key: Buffer): string => createHash('sha256').update(key).digest('base64url').slice(0, 8)

/** The name is authenticated too, so that one vendor's token cannot be passed off as another's. */
const seal = (name: string, token: string, key: Buffer): string => {
  const iv = randomBytes(ivBytes)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(name))
  const text = Buffer.concat([cipher.update(token, 'utf8'), cipher.final()])
  return `${toKeyId(key)}.${Buffer.concat([iv, cipher.getAuthTag(), text]).toString('base64url')}`
}

const open = (name: string, sealed: Buffer, key: Buffer): string => {
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, ivBytes)).setAAD(Buffer.from(name))
  decipher.setAuthTag(sealed.subarray(ivBytes, ivBytes + tagBytes))
  return Buffer.concat([decipher.update(sealed.subarray(ivBytes + tagBytes)), decipher.final()]).toString('utf8')
}
