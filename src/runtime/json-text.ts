// Reads JSON that a stranger sent: bounded in depth, well-formed Unicode only, without members that reach prototypes.

import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'

export const depthMax = 64

/** A value, or why there is none, in words for the sender that repeat nothing of the text. */
export type ParsedJson =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'malformed'; readonly detail: string }
  /** Texts within it, or names of members, hold half a surrogate pair, which no UTF-8 can: the ways to the first of them. */
  | { readonly kind: 'ill-formed'; readonly paths: readonly (readonly string[])[] }

/** Parses one JSON value. The depth is measured before anything is built. */
export const parseJson = (text: string): ParsedJson => {
  if (isTooDeep(text)) return { kind: 'malformed', detail: `The JSON is nested deeper than ${depthMax} levels.` }
  try {
    const value: unknown = secureJson.parse(text, undefined, { protoAction: 'error', constructorAction: 'error' })
    const paths = mayBeIllFormed(text) ? findIllFormed(value) : []
    return paths.length === 0 ? { kind: 'value', value } : { kind: 'ill-formed', paths }
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

const surrogateEscape = /\\u[dD][89a-fA-F]/

/** UTF-8 itself holds no surrogates, so only an escape can bring half a pair. */
const mayBeIllFormed = (text: string): boolean => (text.includes('\\ud') || text.includes('\\uD')) && surrogateEscape.test(text)

const pathsMax = 20

/** The ways to the first texts and names that are not well-formed. The depth is bounded by now. */
const findIllFormed = (value: unknown): string[][] => {
  const found: string[][] = []
  const path: string[] = []
  const visit = (name: string, member: unknown): void => {
    if (found.length === pathsMax) return
    path.push(name)
    if (!name.isWellFormed() || (typeof member === 'string' && !member.isWellFormed())) found.push([...path])
    else visitMembers(member)
    path.pop()
  }
  const visitMembers = (parent: unknown): void => {
    if (typeof parent === 'object' && parent !== null) for (const [name, member] of Object.entries(parent)) visit(name, member)
  }
  if (typeof value === 'string' && !value.isWellFormed()) found.push([])
  visitMembers(value)
  return found
}
