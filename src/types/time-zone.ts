// IANA time zones in what clients send: their schema, and whether they exist.

import { Type } from '@sinclair/typebox'
import type { FieldProblem } from './field-problems.js'

/** The pattern only bounds it; whether the zone exists is checked at submission. */
export const TimeZone = Type.String({
  minLength: 1,
  maxLength: 64,
  pattern: '^[A-Za-z][A-Za-z0-9_+/-]*$',
  description: 'IANA time zone for displaying times. Defaults to UTC.',
  examples: ['Asia/Shanghai'],
})

export const timeZoneProblems = (pointer: string, zone: string | undefined): FieldProblem[] =>
  zone === undefined || isTimeZone(zone) ? [] : [{ pointer, detail: 'is not an IANA time zone' }]

const isTimeZone = (zone: string): boolean => {
  try {
    new Intl.DateTimeFormat('en', { timeZone: zone })
    return true
  } catch (error) {
    if (error instanceof RangeError) return false
    throw error
  }
}
