// Tells who calls from the key a request brings; known keys cost no Redis round trip, revoked ones end at once everywhere.

import { performance } from 'node:perf_hooks'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { classifyRedisError } from '../redis/failures.js'
import type { Keys } from '../redis/redis-keys.js'
import { keepSubscribed } from '../redis/subscribe.js'
import { openDuty } from '../runtime/duty.js'
import { type ApiKeyRecord, createApiKeyRecords, type NoteApiKey } from './api-key-records.js'
import { firstPrincipal } from './first-key.js'
import { type Scope, scopes, type Verification } from './grants.js'
import { digestKey, isSameDigest, toDigestBytes, toKeyId } from './key-format.js'
import { createKeyHolds, lookEveryMs } from './key-holds.js'

/** Whether a SHA-256 digest is the expected one; must not tell by its time where they differ. */
type FitsDigest = (digest: Buffer) => boolean

interface KnownKey {
  readonly id: string
  readonly valid: Verification
  readonly digest: Buffer
  readonly previous: { readonly digest: Buffer; readonly validUntil: number } | null
  /** Milliseconds since 1970; Infinity for never. */
  readonly expiresAt: number
  /**
   * Keys that were found to fit, and whether by the current digest: at most two, and forgotten with the record they were held against.
   * Looking one up tells nothing by its time: a Map compares texts only where their seeded hashes are the same.
   */
  readonly proven: Map<string, boolean>
}

interface CacheEntry {
  readonly key: KnownKey
  /** On the monotonic clock: no record is used past this. */
  readonly usableUntil: number
  /** A use after this rereads the record in the background, so that a busy key never waits for Redis. */
  refreshAt: number
}

/** The longest a lost message can keep a revoked key alive. */
const recordMs = 5000
const refreshMs = 2500
const refreshPauseMs = 500
/** Bounds of memory: unknown ids are the caller's to choose, so they are remembered briefly and few. */
const unknownMs = 2000
const unknownMax = 1000
const knownMax = 10_000
/** `lastUsedAt` is written at most this often per key and instance. */
const touchMs = 60_000

const refused: Verification = { kind: 'refused' }
const expired: Verification = { kind: 'expired' }
const unavailable: Verification = { kind: 'unavailable' }
const firstKeyValid: Verification = { kind: 'valid', principal: firstPrincipal }
/** Compared with when an id is unknown: that must take as long as a wrong secret. */
const nobody = Buffer.alloc(32)

/**
 * Opens the API keys: verification with a cache, and issue, list, rotate, revoke.
 * In: `redis` of the request side; `events`, a connection of its own that this subscribes on (closed by its opener);
 * `firstKey`, the key with every scope; `now`, milliseconds since 1970; `elapsed`, a monotonic clock in milliseconds.
 * Works without Redis from the start: the first key is valid, all others are `unavailable` until it answers.
 */
export const openApiKeys = (deps: {
  redis: RedisClient
  events: RedisClient
  keys: Keys
  log: Logger
  firstKey?: string
  now?: () => number
  elapsed?: () => number
}) => {
  const { redis, events, keys, log, now = Date.now, elapsed = () => performance.now() } = deps
  const records = createApiKeyRecords({ redis, keys, log, now })
  const firstDigest = deps.firstKey === undefined ? null : digestKey(deps.firstKey)
  const known = new Map<string, CacheEntry>()
  const unknown = new Map<string, number>()
  const reads = new Map<string, Promise<KnownKey | null>>()
  const touched = new Map<string, number>()

  /** Also lets go of reads under way: what they bring may be older than the change. */
  const forget = (id: string) => {
    known.delete(id)
    unknown.delete(id)
    reads.delete(id)
  }

  const forgetAll = () => {
    known.clear()
    unknown.clear()
    reads.clear()
  }

  const remember = (id: string, key: KnownKey | null, readAt: number) => {
    if (key === null) {
      known.delete(id)
      dropOldest(unknown, unknownMax)
      unknown.set(id, readAt + unknownMs)
      return
    }
    dropOldest(known, knownMax)
    known.set(id, { key, usableUntil: readAt + recordMs, refreshAt: readAt + refreshMs })
  }

  /** Reads a record once for all who ask meanwhile. */
  const read = (id: string): Promise<KnownKey | null> => {
    const underWay = reads.get(id)
    if (underWay) return underWay
    const readAt = elapsed()
    const started: Promise<KnownKey | null> = records
      .read(id)
      .then((record) => {
        const key = record && toKnownKey(record)
        if (reads.get(id) === started) remember(id, key, readAt)
        return key
      })
      .finally(() => {
        if (reads.get(id) === started) reads.delete(id)
      })
    reads.set(id, started)
    return started
  }

  /** A key whose record is fresh enough; one that is about to be too old is reread in the background. */
  const recallKnown = (id: string): KnownKey | undefined => {
    const at = elapsed()
    const entry = known.get(id)
    if (!entry || at >= entry.usableUntil) return undefined
    if (at >= entry.refreshAt) {
      entry.refreshAt = at + refreshPauseMs
      read(id).catch((error: Error) => log.debug({ keyId: id, error: error.message }, 'an API key could not be refreshed; retrying'))
    }
    return entry.key
  }

  const find = (id: string): KnownKey | null | Promise<KnownKey | null> => {
    const key = recallKnown(id)
    if (key) return key
    const unknownUntil = unknown.get(id)
    if (unknownUntil !== undefined && elapsed() < unknownUntil) return null
    return read(id)
  }

  /** `sent`: the key whose digest it is, to be known again without it. */
  const judge = (key: KnownKey | null, fits: FitsDigest, sent?: string): Verification => {
    const isCurrent = fits(key?.digest ?? nobody)
    const isPrevious = fits(key?.previous?.digest ?? nobody)
    if (key === null || !(isCurrent || isPrevious)) return refused
    if (sent !== undefined) key.proven.set(sent, isCurrent)
    return judgeTimes(key, isCurrent)
  }

  /** Of a key that fits: whether it still counts. */
  const judgeTimes = (key: KnownKey, isCurrent: boolean): Verification => {
    const at = now()
    if (at >= key.expiresAt) return expired
    if (!isCurrent && at >= (key.previous?.validUntil ?? 0)) return refused
    if (at - (touched.get(key.id) ?? 0) >= touchMs) touch(key.id, at)
    return key.valid
  }

  const touch = (id: string, at: number) => {
    dropOldest(touched, knownMax)
    touched.set(id, at)
    records.touch(id, at).catch((error: Error) => log.debug({ keyId: id, error: error.message }, 'last use of an API key not recorded'))
  }

  /**
   * Tells who calls, at once when the key is known. In: the key as sent, at most 512 characters (the caller sees to that).
   * Throws nothing that is to be expected: a Redis that fails is `unavailable`.
   */
  const verify = (sent: string): Verification | Promise<Verification> => {
    const id = toKeyId(sent)
    const proven = id === null ? undefined : verifyProven(id, sent)
    if (proven) return proven
    const digest = digestKey(sent)
    if (firstDigest && isSameDigest(digest, firstDigest)) return firstKeyValid
    return id === null ? refused : verifyIssued(id, (other) => isSameDigest(digest, other), sent)
  }

  /** A key that was held against this very record before: neither a digest nor a comparison is needed again. */
  const verifyProven = (id: string, sent: string): Verification | undefined => {
    const key = recallKnown(id)
    const isCurrent = key?.proven.get(sent)
    return key && isCurrent !== undefined ? judgeTimes(key, isCurrent) : undefined
  }

  const verifyIssued = (id: string, fits: FitsDigest, sent?: string): Verification | Promise<Verification> => {
    const found = find(id)
    if (!(found instanceof Promise)) return judge(found, fits, sent)
    return found.then(
      (key) => judge(key, fits, sent),
      (error) => {
        if (classifyRedisError(error) === null) throw error
        return unavailable
      },
    )
  }

  /** As `verify`, for a session, which has no key: whether the key of this id is still the one that `fits`. */
  const recall = (id: string, fits: FitsDigest): Verification | Promise<Verification> => {
    if (id !== firstPrincipal.keyId) return verifyIssued(id, fits)
    return firstDigest && fits(firstDigest) ? firstKeyValid : refused
  }

  const holds = createKeyHolds({ verify })
  const duty = openDuty(
    { name: 'key-holds', everyMs: lookEveryMs, unref: true, run: holds.look, failure: 'looking at the API keys of open requests failed' },
    { log },
  )

  const onChange = (id: string) => {
    forget(id)
    holds.lookAt(id).catch((error: Error) => log.warn({ keyId: id, error: error.message }, 'a changed API key could not be read'))
  }

  const onMessage = (channel: string, id: string) => {
    if (channel === keys.apiKeysChanged) onChange(id)
  }
  events.on('message', onMessage)
  // Messages of the time without a connection are lost.
  events.on('ready', forgetAll)
  const unsubscribe = keepSubscribed({
    client: events,
    channel: keys.apiKeysChanged,
    log,
    consequence: 'cannot subscribe to API key changes; they take effect within 5 s',
  })

  return {
    verify,
    recall,
    /** For a request that lasts: as `createKeyHolds`. */
    hold: holds.hold,
    /** How many keys open requests hold. */
    heldKeys: holds.size,
    issue: records.issue,
    list: records.list,
    /** As `createApiKeyRecords`; in effect on this instance before it returns. */
    async rotate(id: string, options: { overlapMs: number }, note?: NoteApiKey) {
      try {
        return await records.rotate(id, options, note)
      } finally {
        onChange(id)
      }
    },
    /** As `createApiKeyRecords`; in effect on this instance before it returns. */
    async revoke(id: string, note?: NoteApiKey) {
      try {
        return await records.revoke(id, note)
      } finally {
        onChange(id)
      }
    },
    /** Stops following changes and forgets what it knows. The connections are closed by their opener. */
    async close() {
      unsubscribe()
      await duty.close()
      events.off('message', onMessage)
      events.off('ready', forgetAll)
      forgetAll()
    },
  }
}

export type ApiKeys = ReturnType<typeof openApiKeys>

const knownScopes: ReadonlySet<string> = new Set(scopes)

const toKnownKey = (record: ApiKeyRecord): KnownKey => ({
  id: record.id,
  valid: {
    kind: 'valid',
    principal: {
      keyId: record.id,
      name: record.name,
      tenant: record.tenant,
      scopes: new Set(record.scopes.filter((scope): scope is Scope => knownScopes.has(scope))),
      types: record.types && new Set(record.types),
      queues: record.queues && new Set(record.queues),
      rateLimitMax: record.rateLimitMax,
    },
  },
  digest: toDigestBytes(record.digest),
  previous: record.previous && { digest: toDigestBytes(record.previous.digest), validUntil: record.previous.validUntil },
  expiresAt: record.expiresAt ?? Number.POSITIVE_INFINITY,
  proven: new Map(),
})

/** Makes room for one more entry. A Map keeps the order of insertion. */
const dropOldest = (map: Map<string, unknown>, entriesMax: number) => {
  if (map.size < entriesMax) return
  const oldest = map.keys().next()
  if (!oldest.done) map.delete(oldest.value)
}
