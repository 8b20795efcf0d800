// Compares two versions of a contract: whether whatever fits the one also fits the other.

import { toFragment, toPointer } from '../field-problems.js'
import { type Contract, type ContractType, type Scalar, typesOf } from './contract.js'
import { branchesFor } from './defaults.js'
import { isMultipleOf } from './multiple-of.js'
import { type Budget, constantOf, createContractValidators, tagOf } from './validator.js'

/** Why something that fits the one contract may not fit the other. */
export interface Finding {
  /** A JSON Pointer fragment into documents; `*` stands for any entry. */
  readonly pointer: string
  /** The keyword that decides. */
  readonly rule: string
  readonly detail: string
  /** False: the rules cannot tell. */
  readonly isCertain: boolean
}

export interface Comparison {
  /** Empty: whatever fits `from` fits `to`, once missing members with a default are filled in. */
  readonly findings: readonly Finding[]
  /** What is allowed and still worth knowing. */
  readonly warnings: readonly Omit<Finding, 'isCertain'>[]
}

const findingsMax = 20
/** Pairs of schemas, members and values looked at: some 10 ms. More would hold up other requests. */
const stepsMax = 15_000
/** Of the values that are tried one by one. */
const valueStepsMax = 20_000
const valuesTold = 10

export const compareContracts = (from: Contract, to: Contract): Comparison => {
  const budget = { steps: valueStepsMax }
  const state: State = { steps: stepsMax, budget, validatorOf: createContractValidators(budget), warnings: [] }
  const findings = compare(from, to, { path: [], state, canFill: true })
  return { findings: findings.slice(0, findingsMax), warnings: state.warnings }
}

interface State {
  steps: number
  readonly budget: Budget
  readonly validatorOf: ReturnType<typeof createContractValidators>
  readonly warnings: Omit<Finding, 'isCertain'>[]
}
interface At {
  readonly path: readonly string[]
  readonly state: State
  /** Whether missing members can be filled in here: not where it is open which branch a document fits. */
  readonly canFill: boolean
}

const below = (at: At, ...tokens: string[]): At => ({ ...at, path: [...at.path, ...tokens] })
/** False: no more is looked at. */
const spend = ({ state }: At, steps: number): boolean => {
  state.steps -= steps
  return state.steps > 0
}
const tooComplex: Finding[] = [{ pointer: '#', rule: 'size', detail: 'is too complex to be compared', isCertain: false }]
const pointerOf = (at: At): string => {
  for (const token of at.path) spend(at, 1 + token.length / 32)
  return toFragment(toPointer(at.path))
}
const toList = (values: readonly Scalar[]): string => {
  const told = values.slice(0, valuesTold).map((value) => JSON.stringify(value))
  return `${told.join(', ')}${values.length > valuesTold ? `, and ${values.length - valuesTold} more` : ''}`
}
const narrower = (at: At, rule: string, detail: string): Finding[] => [{ pointer: pointerOf(at), rule, detail, isCertain: true }]
const undecided = (at: At, rule: string, detail: string): Finding[] => [{ pointer: pointerOf(at), rule, detail, isCertain: false }]

const compare = (from: Contract, to: Contract, at: At): Finding[] => {
  if (from === to) return []
  if (!spend(at, 1)) return tooComplex
  const values = valuesOf(from)
  if (values) return compareValues(values, from, to, at)
  const branches = from.oneOf ?? from.anyOf
  if (branches) return branches.flatMap((branch) => compare(branch, to, at))
  return typesOf(from).flatMap((type) => compareType(type, from, to, at))
}

/** All values that fit, if they are few. */
const valuesOf = (contract: Contract): readonly Scalar[] | undefined => {
  const listed = contract.const !== undefined ? [contract.const] : contract.enum
  if (listed) return listed
  const types = typesOf(contract)
  const areFew = types.length > 0 && types.every((type) => type === 'boolean' || type === 'null')
  return areFew ? types.flatMap((type): Scalar[] => (type === 'null' ? [null] : [true, false])) : undefined
}

/** Few values are tried one by one. */
const compareValues = (values: readonly Scalar[], from: Contract, to: Contract, at: At): Finding[] => {
  if (!spend(at, values.length + (to.enum?.length ?? 0))) return tooComplex
  const { budget, validatorOf, warnings } = at.state
  const [fitsFrom, fitsTo] = [validatorOf(from), validatorOf(to)]
  const known = new Set(values)
  const added = to.enum?.filter((value) => !known.has(value)) ?? []
  if (from.enum && added.length > 0 && warnings.length < findingsMax)
    warnings.push({
      pointer: pointerOf(at),
      rule: 'enum',
      detail: `may also be ${toList(added)}: workers of an older version may not know it`,
    })
  const lost = values.filter((value) => fitsFrom(value) && !fitsTo(value))
  if (budget.steps <= 0) return tooComplex
  if (lost.length === 0) return []
  return narrower(at, 'enum', `no longer allows ${toList(lost)}`)
}

/** `from` as far as values of one type go. */
const compareType = (type: ContractType, from: Contract, to: Contract, at: At): Finding[] => {
  if (to.oneOf) return compareTagged(type, from, to.oneOf, at)
  if (to.anyOf) return compareToAny(type, from, to.anyOf, at)
  const types = typesOf(to)
  if (valuesOf(to) !== undefined) return compareToValues(type, to, at)
  if (!types.includes(type) && !(type === 'integer' && types.includes('number')))
    return narrower(at, 'type', `was ${type}, which is no longer allowed`)
  if (type === 'boolean' || type === 'null') return []
  return comparisons[type](from, to, at)
}

const compareToValues = (type: ContractType, to: Contract, at: At): Finding[] => {
  const fits = at.state.validatorOf(to)
  if (type === 'null' && fits(null)) return []
  if (type === 'boolean' && fits(true) && fits(false)) return []
  return narrower(at, 'enum', `was ${type}, and now allows listed values only`)
}

/** One branch has to allow all of it: what two of them allow together is not seen. */
const compareToAny = (type: ContractType, from: Contract, branches: readonly Contract[], at: At): Finding[] => {
  if (!spend(at, branches.length)) return tooComplex
  const single = { ...from, type }
  const canFill = at.canFill && branchesFor(type, branches).length === 1
  const tried = branches.map((branch) => compare(single, branch, { ...at, canFill }))
  if (tried.some((findings) => findings.length === 0)) return []
  const meant = tried.filter((findings) => !findings.every(({ rule, pointer }) => rule === 'type' && pointer === pointerOf(at)))
  const [only] = meant
  if (only === undefined) return narrower(at, 'type', `was ${type}, which is no longer allowed`)
  if (meant.length === 1) return only
  return undecided(at, 'anyOf', 'is allowed by no single branch')
}

const compareTagged = (type: ContractType, from: Contract, branches: readonly Contract[], at: At): Finding[] => {
  if (type !== 'object') return narrower(at, 'type', `was ${type}, which is no longer allowed`)
  const tag = tagOf(branches)
  const member = from.properties?.[tag]
  const values = member && valuesOf(member)
  if (!values || !from.required?.includes(tag)) return narrower(below(at, tag), 'oneOf', 'was not required, or not a constant')
  const byValue = new Map(branches.map((branch) => [constantOf(branch.properties?.[tag]), branch]))
  return values.flatMap((value) => {
    if (!spend(at, Object.keys(from.properties ?? {}).length)) return tooComplex
    const branch = byValue.get(value)
    if (!branch) return narrower(below(at, tag), 'oneOf', `no longer allows ${JSON.stringify(value)}`)
    return compare({ ...from, properties: { ...from.properties, [tag]: { const: value } } }, branch, at)
  })
}

const compareText = (from: Contract, to: Contract, at: At): Finding[] => {
  const { minLength = 0, maxLength = Number.POSITIVE_INFINITY, format, pattern } = to
  const isPatternKept = pattern === undefined || pattern === from.pattern
  const most = from.maxLength ?? Number.POSITIVE_INFINITY
  return [
    ...(minLength > (from.minLength ?? 0) ? atLeast(at, 'minLength', 'characters', from.minLength ?? 0, minLength, from.format) : []),
    ...(maxLength < most ? atMost(at, 'maxLength', 'characters', most, maxLength) : []),
    ...(format === undefined || format === from.format
      ? []
      : from.format
        ? undecided(at, 'format', `was "${from.format}", and is now "${format}"`)
        : narrower(at, 'format', `now asks for "${format}"`)),
    ...(isPatternKept ? [] : undecided(at, 'pattern', 'has another pattern, which may allow less')),
  ]
}

/** A format may ask for more than the bound does, so that a new bound changes nothing. */
const atLeast = (at: At, rule: string, what: string, was: number, is: number, format?: string): Finding[] =>
  (format ? undecided : narrower)(at, rule, `needed at least ${was} ${what}, and now ${is}`)

const atMost = (at: At, rule: string, what: string, was: number, is: number): Finding[] =>
  was === Number.POSITIVE_INFINITY
    ? undecided(at, rule, `had no bound of its own, and now allows at most ${is} ${what}`)
    : narrower(at, rule, `allowed ${was} ${what}, and now at most ${is}`)

/** The lowest or highest number, as something that can be compared: those that only come close count as a little more. */
const boundsOf = ({ minimum, maximum, exclusiveMinimum, exclusiveMaximum, ...contract }: Contract) => {
  const isInteger = !typesOf(contract).includes('number')
  const lows = [minimum ?? Number.NEGATIVE_INFINITY, exclusiveMinimum ?? Number.NEGATIVE_INFINITY]
  const highs = [maximum ?? Number.POSITIVE_INFINITY, exclusiveMaximum ?? Number.POSITIVE_INFINITY]
  if (!isInteger) return { low: toLow(lows), high: toHigh(highs) }
  const low = Math.max(Math.ceil(lows[0] as number), Math.floor(lows[1] as number) + 1)
  const high = Math.min(Math.floor(highs[0] as number), Math.ceil(highs[1] as number) - 1)
  return { low: { value: low, isOpen: false }, high: { value: high, isOpen: false } }
}
const toLow = ([closed = 0, open = 0]: readonly number[]) => ({
  value: Math.max(closed, open),
  isOpen: open >= closed && Number.isFinite(open),
})
const toHigh = ([closed = 0, open = 0]: readonly number[]) => ({
  value: Math.min(closed, open),
  isOpen: open <= closed && Number.isFinite(open),
})

const compareNumber = (from: Contract, to: Contract, at: At): Finding[] => {
  const was = boundsOf(from)
  // Integers that fitted are compared with what is now allowed of integers, even if other numbers are as well.
  const is = boundsOf(typesOf(from).includes('number') ? { ...to, type: 'number' } : { ...to, type: 'integer' })
  const isLowKept = is.low.value < was.low.value || (is.low.value === was.low.value && (!is.low.isOpen || was.low.isOpen))
  const isHighKept = is.high.value > was.high.value || (is.high.value === was.high.value && (!is.high.isOpen || was.high.isOpen))
  const step = to.multipleOf
  const ownStep = from.multipleOf ?? (typesOf(from).includes('number') ? undefined : 1)
  const isStepKept = step === undefined || (ownStep !== undefined && isMultipleOf(ownStep, step))
  return [
    ...(isLowKept ? [] : narrower(at, 'minimum', `allowed smaller numbers than ${is.low.value}`)),
    ...(isHighKept ? [] : narrower(at, 'maximum', `allowed larger numbers than ${is.high.value}`)),
    ...(isStepKept ? [] : narrower(at, 'multipleOf', `must now be a multiple of ${step}`)),
  ]
}

const lengthsOf = ({ items, prefixItems = [], minItems = 0, maxItems = Number.POSITIVE_INFINITY }: Contract) => ({
  least: minItems,
  most: items === false ? Math.min(maxItems, prefixItems.length) : maxItems,
})

const compareArray = (from: Contract, to: Contract, at: At): Finding[] => {
  const was = lengthsOf(from)
  const is = lengthsOf(to)
  const places = Math.max(from.prefixItems?.length ?? 0, to.prefixItems?.length ?? 0)
  if (!spend(at, places)) return tooComplex
  const entryOf = ({ prefixItems, items }: Contract, index: number) => prefixItems?.[index] ?? (items || undefined)
  const compareEntry = (index: number, token: string): Finding[] => {
    const [before, after] = [entryOf(from, index), entryOf(to, index)]
    return before && after && was.most > index ? compare(before, after, below(at, token)) : []
  }
  return [
    ...(is.least > was.least ? atLeast(at, 'minItems', 'entries', was.least, is.least) : []),
    ...(is.most < was.most ? atMost(at, 'maxItems', 'entries', was.most, is.most) : []),
    ...(to.uniqueItems && !from.uniqueItems && was.most > 1 ? narrower(at, 'uniqueItems', 'allowed the same entry twice') : []),
    ...Array.from({ length: places }, (_, index) => compareEntry(index, String(index))).flat(),
    ...compareEntry(places, '*'),
  ]
}

const sizesOf = ({ properties = {}, required = [], additionalProperties, minProperties = 0, maxProperties }: Contract) => ({
  least: Math.max(minProperties, required.length),
  most: Math.min(
    maxProperties ?? Number.POSITIVE_INFINITY,
    additionalProperties ? Number.POSITIVE_INFINITY : Object.keys(properties).length,
  ),
})

const memberOf = ({ properties = {}, additionalProperties }: Contract, name: string): Contract | undefined =>
  Object.hasOwn(properties, name) ? properties[name] : additionalProperties || undefined

const compareObject = (from: Contract, to: Contract, at: At): Finding[] => {
  const names = new Set([...Object.keys(from.properties ?? {}), ...Object.keys(to.properties ?? {}), ...(to.required ?? [])])
  if (!spend(at, names.size)) return tooComplex
  const [wasRequired, isRequired] = [new Set(from.required), new Set(to.required)]
  const isFilled = (name: string) => at.canFill && Object.hasOwn(to.properties ?? {}, name) && to.properties?.[name]?.default !== undefined
  const filled = (to.required ?? []).filter((name) => !wasRequired.has(name) && isFilled(name)).length
  const was = sizesOf(from)
  const compareMember = (name: string): Finding[] => {
    const [before, after] = [memberOf(from, name), memberOf(to, name)]
    const isNew = isRequired.has(name) && !wasRequired.has(name) && !isFilled(name)
    if (isNew) return narrower(below(at, name), 'required', 'is now required: give it a default, or leave it optional')
    if (!before) return []
    return after ? compare(before, after, below(at, name)) : narrower(below(at, name), 'properties', 'was removed')
  }
  const compareOthers = (): Finding[] => {
    if (!from.additionalProperties) return []
    if (!to.additionalProperties) return narrower(at, 'additionalProperties', 'no longer allows other members')
    return compare(from.additionalProperties, to.additionalProperties, below(at, '*'))
  }
  return [
    ...[...names].flatMap(compareMember),
    ...compareOthers(),
    ...((to.minProperties ?? 0) > was.least ? atLeast(at, 'minProperties', 'members', was.least, to.minProperties as number) : []),
    ...((to.maxProperties ?? Number.POSITIVE_INFINITY) < was.most + filled
      ? atMost(at, 'maxProperties', 'members', was.most + filled, to.maxProperties as number)
      : []),
  ]
}

const comparisons = {
  string: compareText,
  number: compareNumber,
  integer: compareNumber,
  array: compareArray,
  object: compareObject,
} as const
