// The claim on an idempotency key: which key, for which payload, and the record of the first answer that it holds.

import { fingerprintChars, touchClaimFunction } from '../bullmq/scripts/accept-script.js'
import type { ResolvedOptions } from '../bullmq/stored-options.js'
import type { RedisClient } from '../redis/connect.js'
import type { Durability } from '../redis/durability.js'
import { unconfirmed } from '../redis/failures.js'
import { defineScript } from '../redis/script.js'
import type { JobPriority } from '../types/job-schema.js'
import { fingerprint } from './fingerprint.js'
import { digestIdempotencyKey, type KeySpace } from './key.js'

/** An idempotency key as its requester names it; `fingerprint` says what it is for, by default the submission. */
export interface ClaimedKey {
  readonly key: string
  readonly space: KeySpace
  readonly fingerprint?: string
}

/** `digest` is all that Redis sees of tenant and key; two claims of one digest are for the same payload if their fingerprints are equal. */
export interface Claim {
  readonly digest: string
  readonly fingerprint: string
}

/** What `payload` claims under a key. */
export const toClaim = (tenant: string, { space, key, fingerprint: given }: ClaimedKey, payload: unknown): Claim => ({
  digest: digestIdempotencyKey(tenant, space, key),
  fingerprint: given ?? fingerprint('submit', payload),
})

/** All that the first answer said and a repeated request does not. Times are milliseconds since 1970. */
export interface IdempotencyRecord {
  readonly jobId: string
  readonly createdAt: number
  readonly options: Pick<ResolvedOptions, 'attempts' | 'priority' | 'runAt' | 'expiresAt'>
  readonly fanOut: boolean
  /** Of the job type. */
  readonly typeVersion: number
}

/** Text that the acceptance script stores behind the fingerprint. */
export const encodeRecord = ({ jobId, createdAt, options, fanOut, typeVersion }: IdempotencyRecord): string =>
  `${jobId}|${createdAt}|${options.attempts}|${options.priority}|${options.runAt ?? ''}|${options.expiresAt ?? ''}|${fanOut ? 1 : ''}${typeVersion === 1 ? '' : `|${typeVersion}`}`

/** Reads what `encodeRecord` wrote. */
export const decodeRecord = (text: string): IdempotencyRecord => {
  const [jobId = '', createdAt, attempts, priority, runAt, expiresAt, fanOut, typeVersion = '1'] = text.split('|')
  return {
    jobId,
    createdAt: Number(createdAt),
    options: {
      attempts: Number(attempts),
      priority: priority as JobPriority,
      ...(runAt ? { runAt: Number(runAt) } : {}),
      ...(expiresAt ? { expiresAt: Number(expiresAt) } : {}),
    },
    fanOut: fanOut === '1',
    typeVersion: Number(typeVersion),
  }
}

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

  return async (key: string, fingerprint: string): Promise<IdempotencyRecord | undefined> => {
    let held: string | null | undefined = await redis.get(key)
    // Only a claim that answers the request is worth a wait.
    if (runTouchScript && held?.startsWith(fingerprint)) {
      const result = await runTouchScript([key], [])
      if (result?.[0] === 'u') throw unconfirmed(result.slice(1))
      held = result?.slice(1)
    }
    return held?.startsWith(fingerprint) ? decodeRecord(held.slice(fingerprintChars)) : undefined
  }
}

export type ReadClaim = ReturnType<typeof createClaimReader>
