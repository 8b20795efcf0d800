// Reads JSON that a stranger sent: bounded in what it consists of, well-formed Unicode only, without members that reach prototypes.

import { isUtf8 } from 'node:buffer'
import secureJson from 'secure-json-parse'
import { containersMax, depthMax, type Excess, findExcess, namesMax } from './json-measure.js'

/** A value, or why there is none, in words for the sender that repeat nothing of the text. */
export type ParsedJson =
  | { readonly kind: 'value'; readonly value: unknown }
  | { readonly kind: 'malformed' | 'excessive'; readonly detail: string }
  /** Texts within it, or names of members, hold half a surrogate pair, which no UTF-8 can: the ways to the first of them. */
  | { readonly kind: 'ill-formed'; readonly paths: readonly (readonly string[])[] }

const excesses: Readonly<Record<Excess, ParsedJson>> = {
  depth: { kind: 'malformed', detail: `The JSON is nested deeper than ${depthMax} levels.` },
  names: { kind: 'excessive', detail: `The JSON has more than ${namesMax} different member names.` },
  containers: { kind: 'excessive', detail: `The JSON has more than ${containersMax} objects and arrays.` },
}

/** Parses one JSON value, once it has been measured. */
export const parseJson = (text: string): ParsedJson => {
  const excess = findExcess(text)
  if (excess !== null) return excesses[excess]
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

/** Whether a value of JSON is an object: no list, and not null. */
export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The text of bytes that have to be UTF-8; null when they are not. */
export const toUtf8 = (bytes: Buffer): string | null => (isUtf8(bytes) ? bytes.toString('utf8') : null)

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
