// Tells genuine events of Lark from forged ones, on the bytes as they arrived.

import { createHash } from 'node:crypto'
import {
  type CallbackHeaders,
  type CallbackReading,
  decryptCbc,
  isEqualSecret,
  isRecent,
  parseEventObject,
  readHeader,
  toEventWord,
} from '../callback-checks.js'
import { toObject } from '../json.js'

export interface LarkCallbackSettings {
  readonly encryptKey: string
  readonly verificationToken: string
}

const windowMs = 5 * 60_000
const ivBytes = 16
const forged = { kind: 'forged' } as const

/** The value of `X-Lark-Signature`: hex SHA-256 of timestamp, nonce, encrypt key and raw body. */
export const signLarkCallback = (timestamp: string, nonce: string, encryptKey: string, rawBody: Buffer): string =>
  createHash('sha256').update(timestamp).update(nonce).update(encryptKey).update(rawBody).digest('hex')

/**
 * Only encrypted callbacks are taken: without an encrypt key a guessed token would be enough.
 * In: headers by lower-case name, the body byte for byte.
 * Out: an event (id is `header.event_id`, the token is removed), a challenge to answer with `{ challenge: text }`, or a refusal.
 */
export const createLarkCallback = ({ encryptKey, verificationToken }: LarkCallbackSettings, now: () => number = Date.now) => {
  const key = createHash('sha256').update(encryptKey).digest()

  const open = (rawBody: Buffer): Readonly<Record<string, unknown>> | null => {
    const envelope = parseEventObject(rawBody.toString('utf8'), { isSealed: true })
    if (typeof envelope?.['encrypt'] !== 'string') return null
    const sealed = Buffer.from(envelope['encrypt'], 'base64')
    const text = decryptCbc(key, sealed.subarray(0, ivBytes), sealed.subarray(ivBytes))
    return text === null ? null : parseEventObject(text)
  }

  /** `absent` when no part of a signature was sent. */
  const checkSignature = (headers: CallbackHeaders, rawBody: Buffer): 'valid' | 'wrong' | 'absent' => {
    const names = ['x-lark-signature', 'x-lark-request-timestamp', 'x-lark-request-nonce']
    const [signature, timestamp, nonce] = names.map((name) => readHeader(headers, name))
    if (names.every((name) => headers[name] === undefined)) return 'absent'
    if (!signature || !timestamp || !nonce || !isRecent(timestamp, windowMs, now())) return 'wrong'
    return isEqualSecret(signature.toLowerCase(), signLarkCallback(timestamp, nonce, encryptKey, rawBody)) ? 'valid' : 'wrong'
  }

  return {
    read({ headers, rawBody }: { headers: CallbackHeaders; rawBody: Buffer }): CallbackReading {
      const signature = checkSignature(headers, rawBody)
      if (signature === 'wrong') return forged
      const body = open(rawBody)
      if (!body) return signature === 'valid' ? { kind: 'malformed' } : forged
      const header = toObject(body['header'])
      const token = header['token'] ?? body['token']
      if (typeof token !== 'string' || !isEqualSecret(token, verificationToken)) return forged
      if (body['type'] === 'url_verification') {
        const challenge = toEventWord(body['challenge'])
        return challenge === undefined ? { kind: 'malformed' } : { kind: 'challenge', text: challenge }
      }
      // Encryption and token alone prove too little for an event: an old one could be played back at any time.
      if (signature === 'absent') return forged
      const eventId = toEventWord(header['event_id'])
      const eventType = toEventWord(header['event_type'])
      if (eventId === undefined || eventType === undefined) return { kind: 'malformed' }
      const { token: _, ...kept } = header
      return { kind: 'event', eventId, eventType, payload: { ...body, header: kept } }
    },
  }
}

export type LarkCallback = ReturnType<typeof createLarkCallback>
