// Checks texts against a contract: their length, their format, their pattern.

import { type Contract, typesOf } from './contract.js'
import { createFormatTest } from './formats.js'
import type { Matcher } from './pattern.js'
import { type Check, type Run, report, spend, stepsMax } from './run.js'

/** Shorter ones take no time to count, and those that are longer than that are refused unread. */
const longText = 1000
const formatSteps = 6
/** Of a short text. */
const patternSteps = 5
/** Work of patterns, 100 ns each at worst and far less as a rule, between two looks at the clock; and how long they may take. */
const workBetweenLooks = 100_000
const patternsMsMax = 15

/**
 * False once patterns have taken too long for one document. What a pattern costs depends on how the engine gets along with a text: in the
 * worst case it follows all parts at every character. So it is the processor's time that counts, and that alone when the worst is possible.
 */
const mayMatch = (run: Run, length: number, size: number): boolean => {
  run.patternWork += length * size
  if (run.patternWork > workBetweenLooks) {
    run.patternWork = 0
    if (run.patternsSince === undefined) run.patternsSince = process.cpuUsage()
    const { user, system } = process.cpuUsage(run.patternsSince)
    if (user + system > patternsMsMax * 1000) return spend(run, stepsMax)
  }
  return spend(run, patternSteps + (length >> 3))
}

/** In characters of Unicode, not in halves of surrogate pairs. */
const lengthOf = (text: string): number => {
  let length = text.length
  for (let at = 0; at < text.length - 1; at++) {
    const code = text.charCodeAt(at)
    if (code < 0xd800 || code > 0xdbff) continue
    const next = text.charCodeAt(at + 1)
    if (next < 0xdc00 || next > 0xdfff) continue
    length--
    at++
  }
  return length
}

export const textChecks = (contract: Contract, matcherOf: (pattern: string) => Matcher): Check[] => {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, format, pattern } = contract
  if (!typesOf(contract).includes('string')) return []
  const ofText = (test: (text: string) => boolean, keyword: string, params: Record<string, unknown>, message: string): Check => {
    return (value, run) => typeof value !== 'string' || test(value) || report(run, keyword, params, message)
  }
  // Long texts have to be read to be counted.
  const isLongText: Check = (value, run) => typeof value !== 'string' || value.length < 64 || spend(run, value.length >> 6)
  const checks: Check[] = maxLength < longText ? [] : [isLongText]
  if (maxLength < Number.POSITIVE_INFINITY) {
    const isShort = (text: string) => text.length <= maxLength || (text.length <= 2 * maxLength && lengthOf(text) <= maxLength)
    checks.push(ofText(isShort, 'maxLength', { limit: maxLength }, `must NOT have more than ${maxLength} characters`))
  }
  if (minLength > 0) {
    const isLong = (text: string) => text.length >= minLength && (text.length >= 2 * minLength || lengthOf(text) >= minLength)
    checks.push(ofText(isLong, 'minLength', { limit: minLength }, `must NOT have fewer than ${minLength} characters`))
  }
  if (format) {
    const test = createFormatTest(format)
    const message = `must match format "${format}"`
    checks.push(
      (value, run) => typeof value !== 'string' || (spend(run, formatSteps) && (test(value) || report(run, 'format', { format }, message))),
    )
  }
  if (pattern) {
    const { test, size } = matcherOf(pattern)
    const message = `must match pattern "${pattern}"`
    checks.push(
      (value, run) =>
        typeof value !== 'string' || (mayMatch(run, value.length, size) && (test(value) || report(run, 'pattern', { pattern }, message))),
    )
  }
  return checks
}
