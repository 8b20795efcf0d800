// Reads the Idempotency-Key header (draft-ietf-httpapi-idempotency-key-header, work in progress).

import { hash } from 'node:crypto'
import { ParseError, parseItem } from 'structured-headers'

export type IdempotencyKey =
  | { readonly kind: 'absent' }
  | { readonly kind: 'given'; readonly key: string }
  | { readonly kind: 'invalid'; readonly detail: string }

const keyCharsMax = 255
/** A quoted key with all its characters escaped, and room for parameters. */
const headerCharsMax = 1024
const bare = /^[A-Za-z0-9._~:@/+=-]{1,255}$/
/** What nearly every client sends: quoted, without escapes and parameters. Read here, since the parser takes a microsecond longer. */
const plainlyQuoted = /^"([\x20-\x21\x23-\x5b\x5d-\x7e]{1,255})"$/

/**
 * The key of a request. `"abc"` and `abc` are one key; `strict` accepts the quoted form only.
 * `rawHeaders` is Node's list of names and values: a header sent twice is refused.
 */
export const parseIdempotencyKey = (
  value: string | string[] | undefined,
  rawHeaders: readonly string[],
  strict: boolean,
): IdempotencyKey => {
  if (value === undefined) return { kind: 'absent' }
  if (Array.isArray(value) || isRepeated(rawHeaders)) return { kind: 'invalid', detail: 'Idempotency-Key was sent more than once.' }
  if (value.length > headerCharsMax) return { kind: 'invalid', detail: 'Idempotency-Key must have 1 to 255 characters.' }
  const text = value.trim()
  if (!text.startsWith('"')) {
    if (strict)
      return { kind: 'invalid', detail: 'Idempotency-Key must be a quoted string, such as "8e03978e-40d5-43dd-bc93-6894a57f9324".' }
    if (!bare.test(text)) return { kind: 'invalid', detail: invalidBare }
    return { kind: 'given', key: text }
  }
  const key = plainlyQuoted.exec(text)?.[1] ?? parseQuoted(text)
  if (key === undefined)
    return { kind: 'invalid', detail: 'Idempotency-Key is not a well-formed quoted string of printable ASCII characters.' }
  if (key.length === 0 || key.length > keyCharsMax) return { kind: 'invalid', detail: 'Idempotency-Key must have 1 to 255 characters.' }
  return { kind: 'given', key }
}

/** The text of an RFC 9651 String item; its parameters are ignored. Undefined when it is not one. */
const parseQuoted = (text: string): string | undefined => {
  try {
    const [value] = parseItem(text)
    return typeof value === 'string' ? value : undefined
  } catch (error) {
    if (error instanceof ParseError) return undefined
    throw error
  }
}

const invalidBare =
  'Idempotency-Key must have 1 to 255 characters. Without quotes, it can only contain letters, digits and . _ ~ : @ / + = -.'

const isRepeated = (rawHeaders: readonly string[]): boolean => {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if ((rawHeaders[at] as string).length === 15 && (rawHeaders[at] as string).toLowerCase() === 'idempotency-key') count++
  }
  return count > 1
}

/** Which names a key lives among: keys derived from the header of a batch, a vendor's event, a first job or a schedule never equal a client's own. */
export type KeySpace = 'key' | 'batch' | 'inbound' | 'follow-up' | 'schedule' | 'lease'

/** What Redis sees instead of a key: SHA-256 of tenant, space and key; 43 characters, base64url. */
export const digestIdempotencyKey = (tenant: string, space: KeySpace, key: string): string =>
  hash('sha256', JSON.stringify([tenant, space, key]), 'base64url')
