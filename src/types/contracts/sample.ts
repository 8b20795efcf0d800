// Makes documents that fit a contract, to find one that another contract refuses.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Validate } from '../validator.js'
import type { Contract, ContractType } from './contract.js'
import { typesOf } from './contract.js'
import { fillDefaults } from './defaults.js'
import { createContractValidators } from './validator.js'

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
/** Values made and checked in all tries; and in one go, which takes a few milliseconds. */
const workMax = 300_000
const workInOneGo = 5000
/** Of checking one document. */
const stepsMax = 10_000
/** Values of one document, a long text counting as several: those of lists of lists are without number. */
const valuesMax = 1000
/** Longer texts and lists make no better example. */
const textMax = 300
const entriesMax = 4
const depthMax = 12
/** A contract may ask for texts and lists of any length: they are not made. */
const lengthMax = 10_000

/**
 * A document that fits `from` and, once filled in, not `to`; undefined if none was found. Looks at the same ones every time, and lets others
 * have their turn meanwhile.
 */
export const findCounterexample = async (from: Contract, to: Contract): Promise<unknown> => {
  const budget = { steps: 0 }
  const validatorOf = createContractValidators(budget)
  /** Undefined: it took too long to tell. */
  const fits = (validate: Validate, document: unknown): boolean | undefined => {
    budget.steps = stepsMax
    const isFine = validate(document)
    work += stepsMax - budget.steps
    return budget.steps > 0 ? isFine : undefined
  }
  const [fitsFrom, fitsTo] = [validatorOf(from), validatorOf(to)]
  const random = createRandom(1)
  let work = 0
  let turnEnds = workInOneGo
  for (let tried = 0; tried < triesMax && work < workMax; tried++) {
    const making: Making = { random, left: valuesMax }
    const document = make(from, making, 0)
    work += valuesMax - making.left
    if (fits(fitsFrom, document) === true && fits(fitsTo, fillDefaults(to, document)) === false) return document
    if (work < turnEnds) continue
    await nextTurn()
    turnEnds = work + workInOneGo
  }
  return undefined
}

/** A document that fits, as a rule: of a text with a pattern only what is written in the contract is tried, and large ones end early. */
export const sampleDocument = (contract: Contract, random: Random): unknown => make(contract, { random, left: valuesMax }, 0)

/** One document in the making. */
interface Making {
  readonly random: Random
  /** Values that it may still hold. */
  left: number
}

const make = (contract: Contract, making: Making, depth: number): unknown => {
  const { random } = making
  making.left--
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  if (contract.const !== undefined) return contract.const
  if (contract.enum) return one(contract.enum)
  const written = [...(contract.examples ?? []), ...(contract.default === undefined ? [] : [contract.default])]
  if (written.length > 0 && random() < 0.3) return one(written)
  const branches = contract.oneOf ?? contract.anyOf
  if (branches) return make(one(branches), making, depth + 1)
  const types = typesOf(contract)
  // Whatever ends soonest.
  const type = depth > depthMax ? (types.find((each) => each !== 'object' && each !== 'array') ?? types[0]) : one(types)
  return samples[type as ContractType](contract, making, depth)
}

type Sample = (contract: Contract, making: Making, depth: number) => unknown

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

const sampleText: Sample = ({ minLength = 0, maxLength = textMax, format, pattern, examples = [], title = '' }, making) => {
  const { random } = making
  if (format) {
    const known = formatSamples[format] ?? []
    return known[between(random, 0, known.length - 1)]
  }
  if (pattern) return [...examples, 'a', 'A', '0', 'abc', 'a1', 'abc-def', '2026-01-31', title, ''][between(random, 0, 8)]
  const least = Math.min(minLength, lengthMax)
  const most = Math.max(least, Math.min(maxLength, textMax))
  const length = random() < 0.3 ? least : random() < 0.5 ? most : between(random, least, most)
  making.left -= length / 100
  return (random() < 0.1 ? '😀' : 'a').repeat(length)
}

const sampleNumber: Sample = (contract, { random }) => {
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

const sampleArray: Sample = ({ items, prefixItems = [], minItems = 0, maxItems = entriesMax }, making, depth) => {
  const { random } = making
  const most = Math.max(minItems, Math.min(maxItems, items === false ? prefixItems.length : entriesMax))
  const length = random() < 0.4 ? minItems : random() < 0.5 ? most : between(random, minItems, most)
  const entries: unknown[] = []
  while (entries.length < length && making.left > 0) {
    const entry = prefixItems[entries.length] ?? (items || undefined)
    entries.push(entry ? make(entry, making, depth + 1) : null)
  }
  return entries
}

const sampleObject: Sample = (contract, making, depth) => {
  const { random } = making
  const { properties = {}, required = [], additionalProperties, minProperties = 0, maxProperties = entriesMax } = contract
  const members = new Map<string, unknown>()
  const isRequired = new Set(required)
  const share = random()
  const add = (name: string, member: Contract) => {
    if (making.left > 0) members.set(name, make(member, making, depth + 1))
  }
  for (const [name, member] of Object.entries(properties)) if (isRequired.has(name) || random() < share) add(name, member)
  if (!additionalProperties) return Object.fromEntries(members)
  for (const name of required) if (!members.has(name)) add(name, additionalProperties)
  const most = between(random, minProperties, Math.max(minProperties, Math.min(maxProperties, entriesMax)))
  for (let at = 0; members.size < most && making.left > 0; at++) add(`key${at}`, additionalProperties)
  return Object.fromEntries(members)
}

const samples: Readonly<Record<ContractType, Sample>> = {
  object: sampleObject,
  array: sampleArray,
  string: sampleText,
  number: sampleNumber,
  integer: sampleNumber,
  boolean: (_contract, { random }) => random() < 0.5,
  null: () => null,
}
