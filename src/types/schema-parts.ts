// Building blocks that every schema shares: ids, times, durations, bounded text.

import { type Static, type StringOptions, type TSchema, Type } from '@sinclair/typebox'

/** A set of strings, written once: a typed `enum` (TypeBox's union of literals would emit `anyOf`). */
export const StringEnum = <const T extends readonly string[]>(values: T, options: Record<string, unknown> = {}) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], ...options })

/** A value or null, as OpenAPI 3.1 writes it. */
export const Nullable = <T extends TSchema>(schema: T, options: Record<string, unknown> = {}) => Type.Union([schema, Type.Null()], options)

/** A closed object: unknown members are refused, never stripped. */
export const closed = { additionalProperties: false } as const

const patternDetails = new Map<unknown, string>()

/** A text that matches `pattern`; `detail` tells the client what one that does not match lacks. */
export const Matching = (pattern: string, detail: string, options: StringOptions = {}) => {
  patternDetails.set(pattern, detail)
  return Type.String({ pattern, ...options })
}

/** What a text lacks that does not match `pattern`; null for patterns that say it best themselves. */
export const toPatternDetail = (pattern: unknown): string | null => patternDetails.get(pattern) ?? null

/** 1 to `max` characters on one line: no control character. */
export const Line = (max: number, options: StringOptions = {}) =>
  Matching('^[^\\u0000-\\u001f\\u007f]*$', 'must be a single line without control characters', {
    minLength: 1,
    maxLength: max,
    ...options,
  })

/** 1 to `max` characters, line breaks allowed. */
export const Text = (max: number, options: StringOptions = {}) => Type.String({ minLength: 1, maxLength: max, ...options })

/** Marks a member as secret: masked in every answer and event, never logged, encrypted at rest on demand. */
export const sensitive = { 'x-sensitive': true } as const

/** RFC 3339 in any offset; answers are always UTC with milliseconds. */
export const Time = (options: StringOptions = {}) => Type.String({ format: 'date-time', minLength: 20, maxLength: 40, ...options })

export const DurationMs = (minimum: number, maximum: number, description: string) => Type.Integer({ minimum, maximum, description })

/** An absolute https address (http only where the operator allows it). Userinfo is refused. */
export const Link = (options: StringOptions = {}) =>
  Matching('^https?://[^\\s@/?#]+(?:[/?#][^\\s]*)?$', 'must be an http or https URL without a user name or spaces', {
    minLength: 8,
    maxLength: 2048,
    ...options,
  })

/** A member of an enum schema. */
export type Member<T extends TSchema> = Static<T>

/** The router refuses longer parts of an address. Any shorter one that names nothing is not found. */
export const paramCharsMax = 512

/** Node refuses longer headers. What each of them may hold says its parser, in words of its own. */
export const headerCharsMax = 16_384
