// API keys as Redis keeps them: who may call, under which limits, and digests in place of secrets.

import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { defineScript } from '../redis/script.js'
import { Nullable } from '../types/schema-parts.js'
import type { Scope } from './grants.js'
import { mintKey, mintKeyId, toDigest } from './key-format.js'

const Digest = Type.String({ pattern: '^[0-9a-f]{64}$' })

/** Times are milliseconds since 1970. Open, and scopes are plain strings, so that records of later versions can be read. */
const ApiKeyRecord = Type.Object({
  id: Type.String(),
  name: Type.String(),
  tenant: Type.String(),
  scopes: Type.Array(Type.String()),
  types: Nullable(Type.Array(Type.String())),
  queues: Nullable(Type.Array(Type.String())),
  rateLimitMax: Nullable(Type.Number()),
  createdAt: Type.Number(),
  expiresAt: Nullable(Type.Number()),
  rotatedAt: Nullable(Type.Number()),
  digest: Digest,
  /** The secret before the latest rotation, as long as it is accepted. */
  previous: Nullable(Type.Object({ digest: Digest, validUntil: Type.Number() })),
})
export type ApiKeyRecord = Static<typeof ApiKeyRecord>

/** An API key without anything that could be used to call. Times are milliseconds since 1970. */
export type ApiKeyInfo = Omit<ApiKeyRecord, 'digest' | 'previous'> & {
  /** Until when the secret before the latest rotation is accepted; null when there is none. */
  readonly previousValidUntil: number | null
  /** To the minute; null when the key was never used. */
  readonly lastUsedAt: number | null
}

/** What a new key may do. `null` and absent members set no limit. */
export interface ApiKeyGrant {
  readonly name: string
  /** Owner of the jobs and idempotency keys; `default` unless said. */
  readonly tenant?: string | undefined
  readonly scopes: readonly Scope[]
  readonly types?: readonly string[] | null | undefined
  readonly queues?: readonly string[] | null | undefined
  readonly rateLimitMax?: number | null | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | null | undefined
}

/** What XADD takes behind the name of the audit trail, for a change of the key `id`; it is noted in the same step as the change. */
export type NoteApiKey = (id: string) => readonly string[]

/**
 * Stores a new record.
 * KEYS: hash of records, audit trail. ARGV: id, record, then the note, if there is one. Returns 1.
 */
const issueScript = `
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if #ARGV > 2 then redis.call('XADD', KEYS[2], unpack(ARGV, 3)) end
return 1`

/**
 * Puts a record in place of the one that was read, and tells every instance.
 * KEYS: hash of records, audit trail. ARGV: id, record as read, new record, channel, then the note, if there is one.
 * Returns 1, or 0 when the record changed meanwhile.
 */
const replaceScript = `
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
if #ARGV > 4 then redis.call('XADD', KEYS[2], unpack(ARGV, 5)) end
redis.call('PUBLISH', ARGV[4], ARGV[1])
return 1`

/**
 * Removes a record and tells every instance.
 * KEYS: hash of records, hash of last uses, audit trail. ARGV: id, channel, then the note, if there is one.
 * Returns 1, or 0 when there was none.
 */
const removeScript = `
local removed = redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('HDEL', KEYS[2], ARGV[1])
if removed == 1 and #ARGV > 2 then redis.call('XADD', KEYS[3], unpack(ARGV, 3)) end
redis.call('PUBLISH', ARGV[2], ARGV[1])
return removed`

/**
 * Notes a use, unless the key was revoked meanwhile.
 * KEYS: hash of records, hash of last uses. ARGV: id, milliseconds since 1970. Returns 1 or 0.
 */
const touchScript = `
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
return 1`

const rotateTriesMax = 5
const unnoted: NoteApiKey = () => []

/**
 * The records of all API keys. Every function goes to Redis and throws its errors.
 * `now` gives milliseconds since 1970. `note` makes the entry of the audit trail; without it nothing is noted.
 */
export const createApiKeyRecords = (deps: { redis: RedisClient; keys: Keys; log: Logger; now?: () => number }) => {
  const { redis, keys, log, now = Date.now } = deps
  const runIssueScript = defineScript<1>(redis, issueScript)
  const runReplaceScript = defineScript<0 | 1>(redis, replaceScript)
  const runRemoveScript = defineScript<0 | 1>(redis, removeScript)
  const runTouchScript = defineScript<0 | 1>(redis, touchScript)

  const parse = (id: string, text: string): ApiKeyRecord | null => {
    const value = parseJson(text)
    if (Value.Check(ApiKeyRecord, value)) return value
    log.error({ keyId: id }, 'an API key record is unreadable; the key is refused')
    return null
  }

  /** The record of one key; null when there is none. */
  const read = async (id: string): Promise<ApiKeyRecord | null> => {
    const text = await redis.hget(keys.apiKeys, id)
    return text === null ? null : parse(id, text)
  }

  /** Makes a key. `key` is the secret in full: it is kept nowhere and cannot be read again. */
  const issue = async (grant: ApiKeyGrant, note: NoteApiKey = unnoted): Promise<{ key: string; info: ApiKeyInfo }> => {
    const createdAt = now()
    const id = mintKeyId(createdAt)
    const key = mintKey(id)
    const record: ApiKeyRecord = {
      id,
      name: grant.name,
      tenant: grant.tenant ?? 'default',
      scopes: [...grant.scopes],
      types: grant.types ? [...grant.types] : null,
      queues: grant.queues ? [...grant.queues] : null,
      rateLimitMax: grant.rateLimitMax ?? null,
      createdAt,
      expiresAt: grant.expiresAt ?? null,
      rotatedAt: null,
      digest: toDigest(key),
      previous: null,
    }
    await runIssueScript([keys.apiKeys, keys.audit], [id, JSON.stringify(record), ...note(id)])
    return { key, info: toInfo(record, null, createdAt) }
  }

  /** Keys by age, oldest first, after the id `after`; `next` is the id to go on after, null on the last page. */
  const list = async (page: { after?: string | undefined; limit: number }): Promise<{ items: ApiKeyInfo[]; next: string | null }> => {
    const { after = '', limit } = page
    const ids = (await redis.hkeys(keys.apiKeys)).filter((id) => id > after).sort()
    const wanted = ids.slice(0, limit)
    if (wanted.length === 0) return { items: [], next: null }
    const [texts, uses] = await Promise.all([redis.hmget(keys.apiKeys, ...wanted), redis.hmget(keys.apiKeysUsed, ...wanted)])
    const at = now()
    const items: ApiKeyInfo[] = []
    for (const [index, id] of wanted.entries()) {
      const text = texts[index]
      // A key may have been revoked between the two reads.
      const record = text ? parse(id, text) : null
      const used = uses[index]
      if (record) items.push(toInfo(record, used ? Number(used) : null, at))
    }
    return { items, next: ids.length > limit ? (wanted.at(-1) ?? null) : null }
  }

  /**
   * Gives the key a new secret at once; the one before stays valid for `overlapMs`.
   * At most two secrets live: an older one that was still in its overlap ends now. Null when there is no such key.
   */
  const rotate = async (
    id: string,
    options: { overlapMs: number },
    note: NoteApiKey = unnoted,
  ): Promise<{ key: string; info: ApiKeyInfo } | null> => {
    for (let tries = 0; tries < rotateTriesMax; tries++) {
      const text = await redis.hget(keys.apiKeys, id)
      const record = text === null ? null : parse(id, text)
      if (text === null || record === null) return null
      const at = now()
      const key = mintKey(id)
      const next: ApiKeyRecord = {
        ...record,
        rotatedAt: at,
        digest: toDigest(key),
        previous: options.overlapMs > 0 ? { digest: record.digest, validUntil: at + options.overlapMs } : null,
      }
      // A plain write could bring a key back that was revoked since it was read.
      const values = [id, text, JSON.stringify(next), keys.apiKeysChanged, ...note(id)]
      if ((await runReplaceScript([keys.apiKeys, keys.audit], values)) === 1) {
        const used = await redis.hget(keys.apiKeysUsed, id)
        return { key, info: toInfo(next, used ? Number(used) : null, at) }
      }
    }
    throw new Error('An API key kept changing while it was being rotated')
  }

  /** Revokes a key permanently; false if there was none. */
  const revoke = async (id: string, note: NoteApiKey = unnoted): Promise<boolean> =>
    (await runRemoveScript([keys.apiKeys, keys.apiKeysUsed, keys.audit], [id, keys.apiKeysChanged, ...note(id)])) === 1

  /** Notes that the key was used at this time. */
  const touch = async (id: string, at: number): Promise<void> => {
    await runTouchScript([keys.apiKeys, keys.apiKeysUsed], [id, at])
  }

  return { read, issue, list, rotate, revoke, touch }
}

export type ApiKeyRecords = ReturnType<typeof createApiKeyRecords>

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const toInfo = ({ digest: _, previous, ...rest }: ApiKeyRecord, lastUsedAt: number | null, now: number): ApiKeyInfo => ({
  ...rest,
  previousValidUntil: previous && previous.validUntil > now ? previous.validUntil : null,
  lastUsedAt,
})
