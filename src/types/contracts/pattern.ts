// Patterns of contracts: matched by an engine whose time grows with the text, never by RegExp, which can be made to take forever.

import { RE2JS } from 're2js'
import { limits } from './contract.js'

const compile = (pattern: string) => RE2JS.compile(RE2JS.translateRegExp(pattern))

/** What is wrong with the value of `pattern`; null: nothing. */
export const patternFault = (pattern: unknown): string | null => {
  if (typeof pattern !== 'string') return 'must be a string'
  if (pattern.length > limits.patternChars) return `must have at most ${limits.patternChars} characters`
  // Before it is compiled: that takes time for every repetition.
  if (estimateSize(pattern) > limits.patternSize)
    return `is too long with its repetitions written out (more than ${limits.patternSize} parts): write + or *, and bound the text with maxLength`
  // Generated schemas repeat their patterns.
  if (!known.has(pattern)) {
    if (known.size >= knownMax) known.clear()
    known.set(pattern, compiles(pattern))
  }
  if (known.get(pattern)) return null
  return 'must be a regular expression in the syntax of RE2, which has no look-ahead, look-behind or back-references'
}

const knownMax = 100
/** Whether patterns are ones, of those that were asked about lately. */
const known = new Map<string, boolean>()

const compiles = (pattern: string): boolean => {
  try {
    compile(pattern)
    return true
  } catch {
    return false
  }
}

const counted = /\{(\d{1,9})(?:,(\d{0,9}))?\}/y

/**
 * Of how many parts a pattern consists when its repetitions are written out: the engine compiles, and in the worst case follows, each of
 * them at every character of a text. A little more than it really is, never much less.
 */
export const estimateSize = (pattern: string): number => {
  /** Sizes of the groups that are open, the outermost first; and of what a repetition would repeat. */
  const open = [0]
  let last = 0
  const add = (size: number) => {
    open[open.length - 1] = (open.at(-1) as number) + size
  }
  for (let at = 0; at < pattern.length; at++) {
    counted.lastIndex = at
    const [text, least = '', most] = counted.exec(pattern) ?? []
    const char = pattern[at]
    if (text !== undefined) {
      // One that may be there or not takes two parts.
      const times = Math.max(Number(least) + 2 * Math.max(0, Number(most ?? 0) - Number(least)), 1)
      add(last * (times - 1))
      last *= times
      at += text.length - 1
    } else if (char === '(') {
      open.push(2)
      last = 0
    } else if (char === ')' && open.length > 1) {
      last = open.pop() as number
      add(last)
    } else {
      if (char === '[') at = endOfClass(pattern, at)
      if (char === '\\') at += escapeLength(pattern, at)
      last = 1
      add(1)
    }
  }
  return open.reduce((sum, size) => sum + size, 0)
}

/** Where the class that begins here ends: it is one part. */
const endOfClass = (pattern: string, from: number): number => {
  for (let at = from + 1; at < pattern.length; at++) {
    if (pattern[at] === ']') return at
    if (pattern[at] === '\\') at++
  }
  return pattern.length
}

/** Characters behind the backslash that belong to it: one, or all of `\p{Greek}`. */
const escapeLength = (pattern: string, at: number): number => {
  const end = /^\\[pPxu]\{/.test(pattern.slice(at, at + 3)) ? pattern.indexOf('}', at) : -1
  return end < 0 ? 1 : end - at
}

export interface Matcher {
  /** Whether a text holds a match, as in JSON Schema: patterns are not anchored. */
  readonly test: (text: string) => boolean
  /** See `estimateSize`. */
  readonly size: number
}

export const createMatcher = (pattern: string): Matcher => {
  const expression = compile(pattern)
  return { test: (text) => expression.test(text), size: expression.programSize() }
}
