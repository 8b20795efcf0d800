// Patterns of contracts: matched by an engine whose time grows with the text, never by RegExp, which can be made to take forever.

import { RE2JS } from 're2js'
import { limits } from './contract.js'

const compile = (pattern: string) => RE2JS.compile(RE2JS.translateRegExp(pattern))

/** What is wrong with the value of `pattern`; null: nothing. */
export const patternFault = (pattern: unknown): string | null => {
  if (typeof pattern !== 'string') return 'must be a string'
  if (pattern.length > limits.patternChars) return `must have at most ${limits.patternChars} characters`
  try {
    compile(pattern)
    return null
  } catch {
    return 'must be a regular expression in the syntax of RE2, which has no look-ahead, look-behind or back-references'
  }
}

/** Whether a text holds a match, as in JSON Schema: patterns are not anchored. */
export const createMatcher = (pattern: string): ((text: string) => boolean) => {
  const expression = compile(pattern)
  return (text) => expression.test(text)
}
