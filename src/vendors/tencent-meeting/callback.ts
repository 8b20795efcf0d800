// Tells genuine events of Tencent Meeting from forged ones, on the bytes as they arrived.

import { createHash } from 'node:crypto'
import {
  type CallbackHeaders,
  type CallbackReading,
  decryptCbc,
  isEqualSecret,
  isRecent,
  parseEventObject,
  type ReceivedCredential,
  readHeader,
  toEventWord,
} from '../callback-checks.js'
import { toObject, toText } from '../json.js'

export interface TencentCallbackSettings {
  readonly token: string
  /** 43 characters; without it the vendor sends plain base64. */
  readonly encodingAesKey?: string | undefined
}

/** Under which name the STS token is kept. */
export const stsTokenName = 'tencent-sts'

/** Redelivery comes after 1, 3 and 6 minutes. */
const windowMs = 15 * 60_000
const forged = { kind: 'forged' } as const
const ivBytes = 16
/** What carries a credential, wherever in the event it stands. */
const credentialMember = 'token_info'

/** The value of `signature`: hex SHA-1 of the four texts, sorted and joined. */
export const signTencentCallback = (token: string, timestamp: string, nonce: string, data: string): string =>
  createHash('sha1').update([token, timestamp, nonce, data].sort().join('')).digest('hex')

/**
 * In: headers by lower-case name; `checkStr` decoded from the query, or the body byte for byte.
 * Out: an event (id is `trace_id`, else the digest of the body), a challenge to answer with the bare text, or a refusal.
 */
export const createTencentMeetingCallback = ({ token, encodingAesKey }: TencentCallbackSettings, now: () => number = Date.now) => {
  const key = encodingAesKey === undefined ? undefined : Buffer.from(`${encodingAesKey}=`, 'base64')

  const isGenuine = (headers: CallbackHeaders, data: string): boolean => {
    const [timestamp, nonce, signature] = ['timestamp', 'nonce', 'signature'].map((name) => readHeader(headers, name))
    if (!timestamp || !nonce || !signature || !isRecent(timestamp, windowMs, now())) return false
    return isEqualSecret(signature.toLowerCase(), signTencentCallback(token, timestamp, nonce, data))
  }

  const open = (data: string): string | null => {
    const bytes = Buffer.from(data, 'base64')
    return key ? decryptCbc(key, key.subarray(0, ivBytes), bytes) : bytes.toString('utf8')
  }

  return {
    /** The check that the vendor makes when the address is entered. */
    check({ headers, checkStr }: { headers: CallbackHeaders; checkStr: string }): CallbackReading {
      if (!isGenuine(headers, checkStr)) return forged
      const text = open(checkStr)
      return text === null ? { kind: 'malformed' } : { kind: 'challenge', text }
    },

    read({ headers, rawBody }: { headers: CallbackHeaders; rawBody: Buffer }): CallbackReading {
      const data = parseEventObject(rawBody.toString('utf8'), { isSealed: true })?.['data']
      if (typeof data !== 'string' || !isGenuine(headers, data)) return forged
      const text = open(data)
      const event = text === null ? null : parseEventObject(text)
      if (!event) return { kind: 'malformed' }
      const eventType = toEventWord(event['event'])
      const eventId = toEventWord(event['trace_id']) ?? createHash('sha256').update(rawBody).digest('hex')
      if (eventType === undefined) return { kind: 'malformed' }
      const credentials: unknown[] = []
      const payload = toObject(withoutCredentials(event, credentials))
      const credential = eventType === 'common.sts-token' ? credentials.map(toReceivedToken).find((each) => each !== null) : undefined
      return { kind: 'event', eventId, eventType, payload, ...(credential ? { credential } : {}) }
    },
  }
}

export type TencentMeetingCallback = ReturnType<typeof createTencentMeetingCallback>

/** A copy without any credential; what was taken out is added to `found`. Depth is bounded by the parser. */
const withoutCredentials = (value: unknown, found: unknown[]): unknown => {
  if (Array.isArray(value)) return value.map((each) => withoutCredentials(each, found))
  if (typeof value !== 'object' || value === null) return value
  const kept = Object.entries(value).filter(([name, member]) => {
    if (name !== credentialMember && name !== 'sts_token') return true
    found.push(name === credentialMember ? member : value)
    return false
  })
  return Object.fromEntries(kept.map(([name, member]) => [name, withoutCredentials(member, found)]))
}

const toReceivedToken = (info: unknown): ReceivedCredential | null => {
  const { sts_token, expire_ts } = toObject(info)
  const expires = Number(toText(expire_ts))
  if (typeof sts_token !== 'string' || sts_token.length > 4096 || !Number.isFinite(expires)) return null
  // The vendor counts seconds; a value in milliseconds is recognized by its size.
  return { name: stsTokenName, token: sts_token, expiresAt: expires > 1e11 ? expires : expires * 1000 }
}
