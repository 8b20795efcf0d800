// What the checks of all vendors' callbacks share: comparing secrets, telling the time, opening ciphertexts.

import { createDecipheriv, createHash, timingSafeEqual } from 'node:crypto'
import { isTooDeepValue } from '../runtime/json-depth.js'
import { parseJson } from '../runtime/json-text.js'

/** What a callback turned out to be. */
export type CallbackReading =
  | CallbackEvent
  /** The vendor checks that we are who it was told: answer with `text`. */
  | { readonly kind: 'challenge'; readonly text: string }
  /** Not from the vendor, or too old to tell. Nothing is said about which check failed. */
  | { readonly kind: 'forged' }
  /** From the vendor, but not in a form that is known here. */
  | { readonly kind: 'malformed' }

/** A genuine event. `payload` holds no credential any more. */
export interface CallbackEvent {
  readonly kind: 'event'
  /** 1 to 128 characters on one line; the same when the vendor sends the event again. */
  readonly eventId: string
  readonly eventType: string
  readonly payload: Readonly<Record<string, unknown>>
  /** What came with the event and was taken out of it. */
  readonly credential?: ReceivedCredential
}

/** A token to be kept under `name` until `expiresAt`, in milliseconds since 1970. */
export interface ReceivedCredential {
  readonly name: string
  readonly token: string
  readonly expiresAt: number
}

/** Header values by lower-case name, as Node hands them over. */
export type CallbackHeaders = Readonly<Record<string, string | string[] | undefined>>

/** Events are small; what is larger or deeper is not stored. */
const payloadBytesMax = 256 * 1024
/** In base64, with room for what stands around it. */
const sealedBytesMax = (payloadBytesMax * 4) / 3 + 4096
const payloadDepthMax = 20

/** Compares in constant time, whatever the lengths. */
export const isEqualSecret = (given: string, wanted: string): boolean => {
  const [one, other] = [given, wanted].map((text) => createHash('sha256').update(text).digest()) as [Buffer, Buffer]
  return timingSafeEqual(one, other)
}

/** A header that was sent once and is not absurdly long; else undefined. */
export const readHeader = (headers: CallbackHeaders, name: string): string | undefined => {
  const value = headers[name]
  return typeof value === 'string' && value.length > 0 && value.length <= 512 ? value : undefined
}

/** Whether a Unix time, in seconds or milliseconds, lies within the window around now. */
export const isRecent = (timestamp: string, windowMs: number, now: number): boolean => {
  if (!/^\d{1,16}$/.test(timestamp)) return false
  const value = Number(timestamp)
  return Math.abs(now - (value > 1e11 ? value : value * 1000)) <= windowMs
}

/** AES-256-CBC with PKCS7; null when the text is none of ours. */
export const decryptCbc = (key: Buffer, iv: Buffer, text: Buffer): string | null => {
  try {
    const decipher = createDecipheriv('aes-256-cbc', key, iv)
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')
  } catch {
    return null
  }
}

/** A JSON object within bounds, or null. `isSealed`: it wraps the encrypted event, whose base64 takes a third more. */
export const parseEventObject = (text: string, { isSealed = false } = {}): Readonly<Record<string, unknown>> | null => {
  if (Buffer.byteLength(text) > (isSealed ? sealedBytesMax : payloadBytesMax)) return null
  const parsed = parseJson(text)
  if (parsed.kind !== 'value' || isTooDeepValue(parsed.value, payloadDepthMax)) return null
  const { value } = parsed
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : null
}

/** A vendor's id or name of an event that fits where ours are kept; else undefined. */
export const toEventWord = (value: unknown): string | undefined =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
  typeof value === 'string' && /^[^\u0000-\u001f\u007f]{1,128}$/.test(value) ? value : undefined
