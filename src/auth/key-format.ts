// What an API key looks like, how it is minted, and the digest that alone is kept of it.

import { hash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'

// In ASCII order, so that ids, which start with the time, sort by age.
const base62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const timeDigits = 6
const randomDigits = 10

// The secret is base64url and may hold `_`; the id never does, so the second `_` is the border.
const minted = /^jg_([0-9A-Za-z]{12,32})_[A-Za-z0-9_-]{43}$/

/** A new id: 16 base62 characters, of which the first six count seconds. */
export const mintKeyId = (now: number): string => {
  let seconds = Math.floor(now / 1000)
  let id = ''
  for (let digit = 0; digit < timeDigits; digit++) {
    id = base62[seconds % 62] + id
    seconds = Math.floor(seconds / 62)
  }
  for (let digit = 0; digit < randomDigits; digit++) id += base62[randomInt(62)]
  return id
}

/** A new key for an id: `jg_<id>_<32 random bytes in base64url>`. */
export const mintKey = (id: string): string => `jg_${id}_${randomBytes(32).toString('base64url')}`

/** The id within a key, or null when it does not have the form of a minted one. */
export const toKeyId = (key: string): string | null => minted.exec(key)?.[1] ?? null

/** SHA-256 of the whole key in hexadecimal. A minted key has 256 random bits, so a slow hash would add nothing. */
export const toDigest = (key: string): string => hash('sha256', key)

/** The same digest as 32 bytes, as `isSameDigest` compares them. */
export const digestKey = (key: string): Buffer => hash('sha256', key, 'buffer')

/** A digest in hexadecimal as bytes. */
export const toDigestBytes = (digest: string): Buffer => Buffer.from(digest, 'hex')

/** Compares two SHA-256 digests without telling by its time where they differ. */
export const isSameDigest = (one: Buffer, other: Buffer): boolean => timingSafeEqual(one, other)
