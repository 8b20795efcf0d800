// Values made from schemas: those that fit, those with one broken member, and hostile ones.

import fc from 'fast-check'
import { JobId } from '../../src/types/job-schema.js'
import { resolve, type Schema } from './document.js'

/** Stands for the id of a job that exists; put in when the request is sent. */
export const jobPlaceholder = (at: number): string => `@@job:${at}@@`

/** Longer texts, lists and objects only fill memory. */
const usualLengthMax = 60
const usualItemsMax = 3
/** Each so many values as long or as many as the schema allows. */
const edgeWeight = { weight: 1 } as const
const usualWeight = { weight: 12 } as const
const edgeLengthMax = 20_000

const ofTimes = fc.integer({ min: -2 * 86_400, max: 400 * 86_400 }).map((seconds) => new Date(Date.now() + seconds * 1000).toISOString())
const anyText = fc.string({ unit: 'binary', maxLength: usualLengthMax })

const ofPattern = (pattern: string): fc.Arbitrary<string> => {
  // fast-check reads no assertions and makes no sense of negated classes of control characters.
  if (pattern.includes('(?!') || pattern.startsWith('^[^')) return fc.oneof(fc.string({ maxLength: usualLengthMax }), anyText)
  return fc.stringMatching(new RegExp(pattern), { size: 'small' })
}

const ofString = ({ pattern, format, minLength = 0, maxLength = 1000 }: Schema): fc.Arbitrary<string> => {
  if (format === 'date-time') return ofTimes
  if (pattern !== undefined && pattern === JobId.pattern) return fc.oneof(fc.nat(1000).map(jobPlaceholder), ofPattern(pattern))
  const matcher = pattern === undefined ? null : new RegExp(pattern, 'u')
  const fits = (text: string) => {
    const length = [...text].length
    return length >= minLength && length <= maxLength && (matcher?.test(text) ?? true)
  }
  const usual =
    pattern === undefined
      ? fc.string({ unit: 'grapheme', minLength, maxLength: Math.min(maxLength, Math.max(minLength, usualLengthMax)) })
      : ofPattern(pattern)
  const edge = ['x', '1', '/', '字'].map((one) => one.repeat(Math.min(maxLength, edgeLengthMax))).filter(fits)
  return edge.length === 0
    ? usual.filter(fits)
    : fc.oneof({ arbitrary: usual.filter(fits), ...usualWeight }, { arbitrary: fc.constantFrom(...edge), ...edgeWeight })
}

const ofArray = (schema: Schema): fc.Arbitrary<unknown[]> => {
  const { items = {}, minItems = 0, maxItems = usualItemsMax, uniqueItems = false } = schema
  const constraints = { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, usualItemsMax)) }
  const item = fitting(items)
  return uniqueItems ? fc.uniqueArray(item, { ...constraints, selector: (value) => JSON.stringify(value) }) : fc.array(item, constraints)
}

const ofEntries = (name: fc.Arbitrary<string>, value: Schema, { minProperties = 0, maxProperties = usualItemsMax }: Schema) =>
  fc.dictionary(name, fitting(value), { minKeys: minProperties, maxKeys: Math.max(minProperties, Math.min(maxProperties, usualItemsMax)) })

/** Values of members that rules beyond the schema allow: without them hardly any request would get past these rules. */
const sensible: Readonly<Record<string, readonly unknown[]>> = {
  cron: ['* * * * *', '0 9 * * MON-FRI', '*/5 * L * *', '30 2 29 2 *'],
  timezone: ['UTC', 'Asia/Shanghai', 'Europe/Berlin', 'America/New_York'],
  contentType: ['video/mp4', 'audio/mpeg', 'text/vtt'],
  template: ['notification'],
  templateData: [{ body: 'It is nine.' }],
  fileUrl: ['https://example.com/recording.mp4'],
  resetUrl: ['https://example.com/reset?token=a'],
  verificationUrl: ['https://example.com/verify'],
  meetingUrl: ['https://example.com/meeting'],
  resultInto: [{}],
}
/** Members that exclude each other. */
const rivals: readonly (readonly [string, string])[] = [
  ['delayMs', 'runAt'],
  ['cron', 'everyMs'],
  ['ids', 'filter'],
]

const ofMember = (name: string, schema: Schema): fc.Arbitrary<unknown> => {
  const known = sensible[name]
  return known ? fc.oneof({ arbitrary: fc.constantFrom(...known), weight: 4 }, { arbitrary: fitting(schema), weight: 1 }) : fitting(schema)
}

const withoutRivals = (value: Record<string, unknown>): Record<string, unknown> => {
  const losers = rivals.filter(([one, other]) => one in value && other in value).map(([, other]) => other)
  return losers.length === 0 ? value : Object.fromEntries(Object.entries(value).filter(([name]) => !losers.includes(name)))
}

const ofObject = (schema: Schema): fc.Arbitrary<unknown> => {
  const {
    properties = {},
    required = [],
    patternProperties = {},
    additionalProperties,
    minProperties = 0,
    maxProperties = Number.POSITIVE_INFINITY,
  } = schema
  const [pattern] = Object.entries(patternProperties)
  if (pattern) return ofEntries(ofPattern(pattern[0]), pattern[1], schema)
  const members = Object.entries(properties)
  if (members.length === 0) {
    return additionalProperties === false
      ? fc.constant({})
      : ofEntries(fc.string({ minLength: 1, maxLength: 12 }), typeof additionalProperties === 'object' ? additionalProperties : {}, schema)
  }
  const model = Object.fromEntries(members.map(([name, each]) => [name, ofMember(name, each)]))
  const whole = fc.record(model, { requiredKeys: [...required] as never[] }) as fc.Arbitrary<Record<string, unknown>>
  const isAllowed = (value: object) => Object.keys(value).length >= minProperties && Object.keys(value).length <= maxProperties
  return fc.tuple(whole.filter(isAllowed), fc.nat(9)).map(([value, draw]) => (draw === 0 ? value : withoutRivals(value)))
}

const made = new WeakMap<Schema, fc.Arbitrary<unknown>>()

/** Values that fit the schema. */
export const fitting = (unresolved: Schema): fc.Arbitrary<unknown> => {
  const schema = resolve(unresolved)
  const known = made.get(schema)
  if (known) return known
  const arbitrary = make(schema)
  made.set(schema, arbitrary)
  return arbitrary
}

const make = (schema: Schema): fc.Arbitrary<unknown> => {
  if (schema.enum) return fc.constantFrom(...schema.enum)
  if (schema.const !== undefined) return fc.constant(schema.const)
  const branches = schema.oneOf ?? schema.anyOf
  if (branches) return fc.oneof(...branches.map(fitting))
  const { minimum = -1e9, maximum = 1e9 } = schema
  switch (schema.type) {
    case 'string':
      return ofString(schema)
    case 'integer':
      return fc.oneof(fc.integer({ min: minimum, max: maximum }), fc.constantFrom(minimum, maximum))
    case 'number':
      return fc.double({ min: minimum, max: maximum, noNaN: true })
    case 'boolean':
      return fc.boolean()
    case 'null':
      return fc.constant(null)
    case 'array':
      return ofArray(schema)
    case 'object':
      return ofObject(schema)
    default:
      return fc.jsonValue({ maxDepth: 2 })
  }
}

/** Texts that have broken programs. */
export const hostileTexts: readonly string[] = [
  '',
  ' ',
  '\u0000',
  'a\u0000b',
  'a\r\nX-Injected: 1',
  '\u202eabc',
  '\ud800',
  'a\udc00b',
  '\ufeff',
  '\u2028',
  '__proto__',
  'constructor',
  'toString',
  'null',
  'NaN',
  '-1',
  '1e999',
  '0x7f000001',
  '../../etc/passwd',
  '%00',
  '{{7*7}}',
  '<script>alert(1)</script>',
  "' OR 1=1 --",
  '{jobgate}:',
  '*',
  '@@',
  'http://127.0.0.1:6379/',
  'http://[::ffff:169.254.169.254]/',
  'x'.repeat(10_000),
  '𝕏'.repeat(300),
  '9'.repeat(400),
]

const hostileValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -0,
  -1,
  1.5,
  1e21,
  Number.MAX_SAFE_INTEGER + 2,
  5e-324,
  [],
  {},
  [[]],
  [null],
  JSON.parse('{"__proto__":{"polluted":true}}'),
  JSON.parse('{"constructor":{"prototype":{"polluted":true}}}'),
  { toJSON: 1, toString: 2, valueOf: 3, hasOwnProperty: 4, length: -1 },
  JSON.parse('{"then":1}'),
  Array.from({ length: 2000 }, (_, index) => index),
  Object.fromEntries(Array.from({ length: 300 }, (_, index) => [`member${index}`, index])),
  ...hostileTexts,
]

export const hostile: fc.Arbitrary<unknown> = fc.oneof(
  { arbitrary: fc.constantFrom(...hostileValues), weight: 6 },
  { arbitrary: anyText, weight: 2 },
  {
    arbitrary: fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((code) => String.fromCharCode(code)), maxLength: 20 }),
    weight: 1,
  },
  { arbitrary: fc.jsonValue({ maxDepth: 4 }), weight: 1 },
  { arbitrary: fc.double(), weight: 1 },
)

type Path = readonly (string | number)[]

/** Every place in a value, the value itself first. */
const placesOf = (value: unknown, path: Path = []): Path[] => {
  if (typeof value !== 'object' || value === null) return [path]
  const entries: [string | number, unknown][] = Array.isArray(value) ? value.map((each, index) => [index, each]) : Object.entries(value)
  return [path, ...entries.flatMap(([name, each]) => placesOf(each, [...path, name]))]
}

/** A copy with `change` applied at a place; what `change` gives as `absent` is removed. */
const absent = Symbol('absent')
const changeAt = (value: unknown, path: Path, change: (member: unknown) => unknown): unknown => {
  const [name, ...rest] = path
  if (name === undefined) return change(value)
  if (Array.isArray(value)) {
    const copy = [...value]
    const changed = changeAt(copy[name as number], rest, change)
    if (changed === absent) copy.splice(name as number, 1)
    else copy[name as number] = changed
    return copy
  }
  const entries = Object.entries(value as object).flatMap(([key, each]): [string, unknown][] => {
    if (key !== name) return [[key, each]]
    const changed = changeAt(each, rest, change)
    return changed === absent ? [] : [[key, changed]]
  })
  return Object.fromEntries(entries)
}

type Change = (member: unknown) => unknown

const withMember =
  (name: string, value: unknown): Change =>
  (member) => {
    if (typeof member !== 'object' || member === null) return { [name]: value }
    return Array.isArray(member)
      ? [...member, value]
      : JSON.parse(
          `${JSON.stringify(member).slice(0, -1)}${Object.keys(member).length > 0 ? ',' : ''}${JSON.stringify(name)}:${JSON.stringify(value)}}`,
        )
  }

const changes: fc.Arbitrary<Change> = fc.oneof(
  {
    arbitrary: hostile.map(
      (value): Change =>
        () =>
          value,
    ),
    weight: 6,
  },
  { arbitrary: fc.constant<Change>(() => absent), weight: 2 },
  {
    arbitrary: fc
      .tuple(fc.constantFrom('unknown', '__proto__', 'constructor', '', '\u0000', 'type', 'x'.repeat(300)), hostile)
      .map(([name, value]) => withMember(name, value ?? null)),
    weight: 2,
  },
  {
    arbitrary: fc.constantFrom<Change>(
      (member) => [member],
      (member) => (typeof member === 'string' ? member.repeat(500).slice(0, 50_000) : JSON.stringify(member)),
      (member) => (typeof member === 'number' ? member * 1e6 : typeof member === 'string' ? member.toUpperCase() : member),
      (member) => (Array.isArray(member) ? Array.from({ length: 1001 }, () => member[0] ?? null) : member),
    ),
    weight: 2,
  },
)

/** One change at one place. */
export const broken = (value: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.tuple(value, fc.nat(10_000), changes).map(([whole, at, change]) => {
    const places = placesOf(whole)
    const changed = changeAt(whole, places[at % places.length] as Path, change)
    return changed === absent ? undefined : changed
  })

/** JSON texts in which a value was replaced by something that no serializer writes, or that are no JSON at all. */
const fragments: readonly string[] = [
  '1e400',
  '-0',
  '01',
  'NaN',
  'undefined',
  '"\\ud800"',
  '"\\u0000"',
  '"\u0001"',
  '{"__proto__":1}',
  '{"a":1,"a":2}',
  '[1,]',
  "'x'",
  '/**/1',
  `${'['.repeat(70)}${']'.repeat(70)}`,
  `${'{"a":'.repeat(3000)}1${'}'.repeat(3000)}`,
  '123456789012345678901234567890',
]

/** The text with its `at`-th value replaced. */
const withFragment = (text: string, at: number, fragment: string): string => {
  const values = [...text.matchAll(/(?<=[:[,])(?:"(?:[^"\\]|\\.)*"|-?\d[\d.e+-]*|true|false|null)(?=[,\]}])/g)]
  const found = values[at % Math.max(1, values.length)]
  return found ? `${text.slice(0, found.index)}${fragment}${text.slice(found.index + found[0].length)}` : fragment
}

const strangeTexts: readonly string[] = [
  '',
  ' ',
  'null',
  '[]',
  '{',
  '{}',
  '"',
  '\u0000',
  '﻿{}',
  '{}{}',
  '{"a":1}\n{"b":2}',
  '<xml/>',
  'a=1&b=2',
  '--x\r\n\r\n--x--',
]

/** Bytes of bodies that claim to be JSON. */
export const hostileBody = (value: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> =>
  fc.oneof(
    {
      arbitrary: fc
        .tuple(value, fc.nat(1000), fc.constantFrom(...fragments))
        .map(([whole, at, fragment]) => Buffer.from(withFragment(JSON.stringify(whole), at, fragment))),
      weight: 4,
    },
    { arbitrary: hostile.map((each) => Buffer.from(JSON.stringify(each) ?? '')), weight: 2 },
    { arbitrary: fc.constantFrom(...strangeTexts).map((text) => Buffer.from(text)), weight: 2 },
    { arbitrary: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)), weight: 1 },
    // Cut in the middle, or with bytes that are not UTF-8.
    { arbitrary: fc.tuple(value, fc.nat(100)).map(([whole, at]) => Buffer.from(JSON.stringify(whole)).subarray(0, at)), weight: 1 },
    { arbitrary: value.map((whole) => Buffer.from(JSON.stringify(whole), 'latin1')), weight: 1 },
  )
