// Reads JSON that a stranger sent: bounded in depth, UTF-8 only, without members that reach prototypes.

import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'

export const depthMax = 64

/** A value, or why there is none, in words for the sender that repeat nothing of the text. */
export type ParsedJson = { readonly kind: 'value'; readonly value: unknown } | { readonly kind: 'malformed'; readonly detail: string }

/** Parses one JSON value. The depth is measured before anything is built. */
export const parseJson = (text: string): ParsedJson => {
  if (isTooDeep(text)) return { kind: 'malformed', detail: `The JSON is nested deeper than ${depthMax} levels.` }
  try {
    return { kind: 'value', value: secureJson.parse(text, undefined, { protoAction: 'error', constructorAction: 'error' }) }
  } catch (error) {
    const isForbidden = error instanceof SyntaxError && error.message === 'Object contains forbidden prototype property'
    return {
      kind: 'malformed',
      detail: isForbidden ? 'The JSON contains a `__proto__` or `constructor` member.' : 'The text is not a single complete JSON value.',
    }
  }
}

/** The text of bytes that have to be UTF-8; null when they are not. */
export const toUtf8 = (bytes: Buffer): string | null => (isUtf8(bytes) ? bytes.toString('utf8') : null)

const quote = 0x22
const backslash = 0x5c
const brackets = { open: 0x5b, close: 0x5d }
const braces = { open: 0x7b, close: 0x7d }

const isTooDeep = (text: string): boolean => {
  // A text of fewer characters than levels and their ends cannot be too deep.
  if (text.length <= depthMax) return false
  let depth = 0
  let at = 0
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = skipString(text, at + 1)
      continue
    }
    if (code === brackets.open || code === braces.open) {
      if (++depth > depthMax) return true
    } else if (code === brackets.close || code === braces.close) depth--
    at++
  }
  return false
}

/** Where the string ends that starts before `at`. */
const skipString = (text: string, start: number): number => {
  let at = start
  for (;;) {
    const end = text.indexOf('"', at)
    if (end === -1) return text.length
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === backslash && end - 1 - slashes >= start) slashes++
    at = end + 1
    if (slashes % 2 === 0) return at
  }
}
