// Makes documents that fit a contract, to find one that another contract refuses.

import type { Contract, ContractType } from './contract.js'
import { typesOf } from './contract.js'
import { fillDefaults } from './defaults.js'
import { createContractValidator } from './validator.js'

/** From 0 up to, and not including, 1. */
export type Random = () => number

/** The same numbers for the same seed (mulberry32). */
export const createRandom = (seed: number): Random => {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const triesMax = 500
/** Longer texts and lists make no better example. */
const textMax = 300
const entriesMax = 4
const depthMax = 12

/** A document that fits `from` and, once filled in, not `to`; undefined if none was found. Looks at the same ones every time. */
export const findCounterexample = (from: Contract, to: Contract): unknown => {
  const [fitsFrom, fitsTo] = [createContractValidator(from), createContractValidator(to)]
  const random = createRandom(1)
  for (let tried = 0; tried < triesMax; tried++) {
    const document = sampleDocument(from, random)
    if (fitsFrom(document) && !fitsTo(fillDefaults(to, document))) return document
  }
  return undefined
}

/** A document that fits, as a rule: of a text with a pattern only what is written in the contract is tried. */
export const sampleDocument = (contract: Contract, random: Random, depth = 0): unknown => {
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  if (contract.const !== undefined) return contract.const
  if (contract.enum) return one(contract.enum)
  const written = [...(contract.examples ?? []), ...(contract.default === undefined ? [] : [contract.default])]
  if (written.length > 0 && random() < 0.3) return one(written)
  const branches = contract.oneOf ?? contract.anyOf
  if (branches) return sampleDocument(one(branches), random, depth + 1)
  const types = typesOf(contract)
  // Whatever ends soonest.
  const type = depth > depthMax ? (types.find((each) => each !== 'object' && each !== 'array') ?? types[0]) : one(types)
  return samples[type as ContractType](contract, random, depth)
}

type Sample = (contract: Contract, random: Random, depth: number) => unknown

const between = (random: Random, low: number, high: number): number => low + Math.floor(random() * (high - low + 1))

const formatSamples: Readonly<Record<string, readonly string[]>> = {
  'date-time': ['2026-01-31T09:00:00Z', '2026-12-01T23:59:59.999+08:00'],
  date: ['2026-01-31', '2024-02-29'],
  time: ['09:00:00Z', '23:59:59+08:00'],
  duration: ['PT1H', 'P1Y2M3DT4H5M6S'],
  email: ['a@example.com', 'first.last+tag@mail.example.org'],
  uri: ['https://example.com/a?b=c#d', 'urn:isbn:0451450523'],
  uuid: ['6f1f4f0e-0d3c-4a53-9c52-8a6c2d1d3b11'],
  ipv4: ['192.0.2.1', '255.255.255.255'],
  ipv6: ['2001:db8::1', '::'],
  hostname: ['example.com', 'a'],
  'json-pointer': ['', '/a/b~1c'],
}

const sampleText: Sample = ({ minLength = 0, maxLength = textMax, format, pattern, examples = [], title = '' }, random) => {
  if (format) {
    const known = formatSamples[format] ?? []
    return known[between(random, 0, known.length - 1)]
  }
  if (pattern) return [...examples, 'a', 'A', '0', 'abc', 'a1', 'abc-def', '2026-01-31', title, ''][between(random, 0, 8)]
  const most = Math.max(minLength, Math.min(maxLength, textMax))
  const length = random() < 0.3 ? minLength : random() < 0.5 ? most : between(random, minLength, most)
  return (random() < 0.1 ? '😀' : 'a').repeat(length)
}

const sampleNumber: Sample = (contract, random) => {
  const isInteger = !typesOf(contract).includes('number')
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum } = contract
  const step = contract.multipleOf ?? (isInteger ? 1 : 0.5)
  const low = Math.max(minimum ?? Number.NEGATIVE_INFINITY, exclusiveMinimum ?? Number.NEGATIVE_INFINITY)
  const high = Math.min(maximum ?? Number.POSITIVE_INFINITY, exclusiveMaximum ?? Number.POSITIVE_INFINITY)
  const first = Number.isFinite(low) ? Math.ceil(low / step) : Number.isFinite(high) ? Math.floor(high / step) - 100 : -100
  const last = Number.isFinite(high) ? Math.floor(high / step) : first + 200
  const choice = random()
  const count =
    choice < 0.25 ? first : choice < 0.5 ? last : choice < 0.6 ? first + 1 : choice < 0.7 ? last - 1 : between(random, first, last)
  const value = Number((count * step).toPrecision(15))
  return isInteger ? Math.round(value) : value
}

const sampleArray: Sample = ({ items, prefixItems = [], minItems = 0, maxItems = entriesMax }, random, depth) => {
  const most = Math.max(minItems, Math.min(maxItems, items === false ? prefixItems.length : entriesMax))
  const length = random() < 0.4 ? minItems : random() < 0.5 ? most : between(random, minItems, most)
  return Array.from({ length }, (_, index) => {
    const entry = prefixItems[index] ?? (items || undefined)
    return entry ? sampleDocument(entry, random, depth + 1) : null
  })
}

const sampleObject: Sample = (contract, random, depth) => {
  const { properties = {}, required = [], additionalProperties, minProperties = 0, maxProperties = entriesMax } = contract
  const document: Record<string, unknown> = {}
  const [share] = [random()]
  for (const [name, member] of Object.entries(properties)) {
    if (required.includes(name) || random() < share) document[name] = sampleDocument(member, random, depth + 1)
  }
  if (!additionalProperties) return document
  for (const name of required) if (!Object.hasOwn(document, name)) document[name] = sampleDocument(additionalProperties, random, depth + 1)
  const most = between(random, minProperties, Math.max(minProperties, Math.min(maxProperties, entriesMax)))
  for (let at = 0; Object.keys(document).length < most; at++) document[`key${at}`] = sampleDocument(additionalProperties, random, depth + 1)
  return document
}

const samples: Readonly<Record<ContractType, Sample>> = {
  object: sampleObject,
  array: sampleArray,
  string: sampleText,
  number: sampleNumber,
  integer: sampleNumber,
  boolean: (_contract, random) => random() < 0.5,
  null: () => null,
}
