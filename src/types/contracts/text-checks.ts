// Checks texts against a contract: their length, their format, their pattern.

import { type Contract, typesOf } from './contract.js'
import { createFormatTest } from './formats.js'
import type { Matcher } from './pattern.js'
import { type Check, type Run, report, spend, stepsMax } from './run.js'

const formatSteps = 6
/** Work of patterns, 100 ns each at worst and far less as a rule, between two looks at the clock; and how long they may take. */
const workBetweenLooks = 100_000
const patternsMsMax = 20

/**
 * False once patterns have taken too long for one document. What a pattern costs depends on how the engine gets along with a text: in the
 * worst case it follows all parts at every character. So it is the processor's time that counts, and that alone when the worst is possible.
 */
const mayMatch = (run: Run, length: number, size: number): boolean => {
  const { patterns } = run
  patterns.since ??= process.cpuUsage()
  patterns.work += length * size
  if (patterns.work > workBetweenLooks) {
    patterns.work = 0
    const { user, system } = process.cpuUsage(patterns.since)
    if (user + system > patternsMsMax * 1000) return spend(run, stepsMax)
  }
  return spend(run, 1 + length / 8)
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
  const checks: Check[] = [(value, run) => typeof value !== 'string' || value.length < 64 || spend(run, value.length / 64)]
  if (maxLength < Number.POSITIVE_INFINITY) {
    const isShort = (text: string) => text.length <= maxLength || (text.length <= 2 * maxLength && lengthOf(text) <= maxLength)
    checks.push(ofText(isShort, 'maxLength', { limit: maxLength }, `must NOT have more than ${maxLength} characters`))
  }
  if (minLength > 0) {
    const isLong = (text: string) => text.length >= minLength && (text.length >= 2 * minLength || lengthOf(text) >= minLength)
    checks.push(ofText(isLong, 'minLength', { limit: minLength }, `must NOT have fewer than ${minLength} characters`))
  }
  if (format) {
    checks.push((_value, run) => spend(run, formatSteps))
    checks.push(ofText(createFormatTest(format), 'format', { format }, `must match format "${format}"`))
  }
  if (pattern) {
    const { test, size } = matcherOf(pattern)
    checks.push((value, run) => typeof value !== 'string' || mayMatch(run, value.length, size))
    checks.push(ofText(test, 'pattern', { pattern }, `must match pattern "${pattern}"`))
  }
  return checks
}
