// Checks documents against a contract. Nothing is generated or evaluated: a contract becomes a tree of small functions.

import { isObject } from '../../runtime/json-text.js'
import type { Validate } from '../validator.js'
import { type Contract, type Scalar, typesOf } from './contract.js'
import { isMultipleOf } from './multiple-of.js'
import { createMatcher, type Matcher } from './pattern.js'
import { type Check, createRun, type Fault, faultsMax, type Run, report, spend, stepsMax, toErrors } from './run.js'
import { textChecks } from './text-checks.js'

/** Steps that several documents share. */
export interface Budget {
  steps: number
}

/**
 * Takes contracts apart, each part once, however many contracts it is part of. Validators take time in proportion to the document, and
 * give up on one that takes too long; those of one `budget` together have so many steps.
 */
export const createContractValidators = (budget?: Budget) => {
  const compile = createCompiler()
  return (contract: Contract): Validate => {
    const check = compile(contract)
    const validate: Validate = (data) => {
      const steps = Math.min(budget?.steps ?? stepsMax, stepsMax)
      const run = createRun(steps)
      const fits = steps > 0 && check(data, run) && run.faults.length === 0
      if (budget) budget.steps -= steps - run.steps
      validate.errors = fits ? null : toErrors(run)
      return fits
    }
    return validate
  }
}

export const createContractValidator = (contract: Contract): Validate => createContractValidators()(contract)

/** Checks the value one level below. */
const checkBelow = (check: Check, token: string, value: unknown, run: Run): boolean => {
  run.path.push(token)
  const fits = check(value, run)
  run.path.pop()
  return fits
}

const createCompiler = () => {
  const compiled = new Map<Contract, Check>()
  const matchers = new Map<string, Matcher>()
  const matcherOf = (pattern: string): Matcher => {
    const matcher = matchers.get(pattern) ?? createMatcher(pattern)
    matchers.set(pattern, matcher)
    return matcher
  }
  const compile = (contract: Contract): Check => {
    const known = compiled.get(contract)
    if (known) return known
    const checks = [
      ...typeChecks(contract),
      ...valueChecks(contract),
      ...textChecks(contract, matcherOf),
      ...numberChecks(contract),
      ...objectChecks(contract, compile),
      ...arrayChecks(contract, compile),
      ...branchChecks(contract, compile),
    ]
    const check = checks.length === 1 ? (checks[0] as Check) : inOrder(checks)
    compiled.set(contract, check)
    return check
  }
  return compile
}

/** Stops at the first that fails: what follows asks more of a value that is wrong already. */
const inOrder =
  (checks: readonly Check[]): Check =>
  (value, run) => {
    for (const check of checks) if (!check(value, run)) return false
    return true
  }

const typeTests: Readonly<Record<string, (value: unknown) => boolean>> = {
  object: isObject,
  array: Array.isArray,
  string: (value) => typeof value === 'string',
  number: (value) => typeof value === 'number',
  // Beyond 2^53 what arrives is not what was sent.
  integer: Number.isSafeInteger,
  boolean: (value) => typeof value === 'boolean',
  null: (value) => value === null,
}

const typeChecks = (contract: Contract): Check[] => {
  const types = typesOf(contract)
  const [first, ...others] = types.map((type) => typeTests[type] as (value: unknown) => boolean)
  if (!first) return []
  const test = others.length === 0 ? first : (value: unknown) => first(value) || others.some((other) => other(value))
  const message = `must be ${types.join(' or ')}`
  return [(value, run) => test(value) || report(run, 'type', { type: types }, message)]
}

const valueChecks = ({ enum: values, const: constant }: Contract): Check[] => {
  const allowed = new Set<unknown>(values)
  return [
    ...(values ? [((value, run) => allowed.has(value) || report(run, 'enum', { allowedValues: values })) as Check] : []),
    ...(constant === undefined
      ? []
      : [((value, run) => value === constant || report(run, 'const', { allowedValue: constant satisfies Scalar })) as Check]),
  ]
}

/** To tell whether a fraction is a multiple of another. */
const fractionSteps = 60
const numberChecks = (contract: Contract): Check[] => {
  const { minimum, maximum, exclusiveMinimum, exclusiveMaximum, multipleOf } = contract
  const ofNumber = (limit: number | undefined, test: (value: number, limit: number) => boolean, keyword: string, sign: string): Check[] =>
    limit === undefined
      ? []
      : [(value, run) => typeof value !== 'number' || test(value, limit) || report(run, keyword, { limit }, `must be ${sign} ${limit}`)]
  return [
    ...ofNumber(minimum, (value, limit) => value >= limit, 'minimum', '>='),
    ...ofNumber(maximum, (value, limit) => value <= limit, 'maximum', '<='),
    ...ofNumber(exclusiveMinimum, (value, limit) => value > limit, 'exclusiveMinimum', '>'),
    ...ofNumber(exclusiveMaximum, (value, limit) => value < limit, 'exclusiveMaximum', '<'),
    ...(multipleOf === undefined ? [] : [((value, run) => Number.isSafeInteger(value) || spend(run, fractionSteps)) as Check]),
    ...ofNumber(multipleOf, isMultipleOf, 'multipleOf', 'multiple of'),
  ]
}

const objectChecks = (contract: Contract, compile: (contract: Contract) => Check): Check[] => {
  const { properties = {}, required = [], additionalProperties, minProperties = 0, maxProperties = Number.POSITIVE_INFINITY } = contract
  if (!typesOf(contract).includes('object')) return []
  const members = new Map(Object.entries(properties).map(([name, each]) => [name, compile(each)]))
  const others = additionalProperties ? compile(additionalProperties) : undefined
  return [
    (value, run) => {
      if (!isObject(value)) return true
      const names = Object.keys(value)
      let fits = true
      if (names.length > maxProperties)
        return report(run, 'maxProperties', { limit: maxProperties }, `must NOT have more than ${maxProperties} properties`)
      if (names.length < minProperties)
        return report(run, 'minProperties', { limit: minProperties }, `must NOT have fewer than ${minProperties} properties`)
      if (!spend(run, (names.length + required.length) >> 1)) return false
      for (const name of required)
        if (!Object.hasOwn(value, name)) fits = report(run, 'required', { missingProperty: name }, `must have required property '${name}'`)
      for (const name of names) {
        if (!spend(run, 1)) return false
        const check = members.get(name) ?? others
        if (!check) fits = report(run, 'additionalProperties', { additionalProperty: name }, 'must NOT have additional properties')
        else if (!checkBelow(check, name, value[name], run)) fits = false
        if (!fits && run.faults.length >= faultsMax) return false
      }
      return fits
    },
  ]
}

const arrayChecks = (contract: Contract, compile: (contract: Contract) => Check): Check[] => {
  const { items, prefixItems = [], minItems = 0, maxItems = Number.POSITIVE_INFINITY, uniqueItems = false } = contract
  if (!typesOf(contract).includes('array')) return []
  const first = prefixItems.map(compile)
  const each = items ? compile(items) : undefined
  const most = items === false ? Math.min(maxItems, first.length) : maxItems
  return [
    (value, run) => {
      if (!Array.isArray(value)) return true
      if (value.length > most) return report(run, 'maxItems', { limit: most }, `must NOT have more than ${most} items`)
      if (value.length < minItems) return report(run, 'minItems', { limit: minItems }, `must NOT have fewer than ${minItems} items`)
      let fits = true
      for (let at = 0; at < value.length; at++) {
        if (!spend(run, 1)) return false
        const check = first[at] ?? each
        if (check && !checkBelow(check, String(at), value[at], run)) fits = false
        if (!fits && run.faults.length >= faultsMax) return false
      }
      if (fits && uniqueItems)
        return hasDuplicates(value, run) ? report(run, 'uniqueItems', {}, 'must NOT have duplicate items') : run.steps > 0
      return fits
    },
  ]
}

const hasDuplicates = (values: readonly unknown[], run: Run): boolean => {
  const seen = new Set<unknown>()
  for (const value of values) {
    const comparable = toComparable(value)
    if (!spend(run, typeof comparable === 'string' ? 1 + (comparable.length >> 3) : 1)) return false
    seen.add(comparable)
  }
  return seen.size < values.length
}

/** Two values are the same to JSON Schema if these are. */
const toComparable = (value: unknown): unknown => (typeof value === 'number' ? value : JSON.stringify(value, sorted))

/** Members in the order of their names. */
const sorted = (_name: string, value: unknown): unknown =>
  isObject(value) ? Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))) : value

const branchChecks = ({ oneOf, anyOf }: Contract, compile: (contract: Contract) => Check): Check[] => [
  ...(oneOf ? [taggedCheck(oneOf, compile)] : []),
  ...(anyOf ? [anyCheck(anyOf.map(compile))] : []),
]

/** The member that tells branches apart says which one is meant: only that one is checked. */
const taggedCheck = (branches: readonly Contract[], compile: (contract: Contract) => Check): Check => {
  const tag = tagOf(branches)
  const byValue = new Map(branches.map((branch) => [constantOf(branch.properties?.[tag]), compile(branch)]))
  const allowedValues = [...byValue.keys()]
  return (value, run) => {
    if (!isObject(value)) return report(run, 'type', { type: 'object' }, 'must be object')
    if (!Object.hasOwn(value, tag)) return report(run, 'required', { missingProperty: tag }, `must have required property '${tag}'`)
    const check = byValue.get(value[tag] as Scalar)
    if (check) return check(value, run)
    return checkBelow((_tag, below) => report(below, 'enum', { allowedValues }), tag, value[tag], run)
  }
}

/** The one value that fits, if there is but one. */
export const constantOf = (contract: Contract | undefined): Scalar | undefined =>
  contract?.const !== undefined ? contract.const : contract?.enum?.length === 1 ? contract.enum[0] : undefined

const tags = new WeakMap<readonly Contract[], string>()

/** The member whose constants tell the branches of a `oneOf` apart. */
export const tagOf = (branches: readonly Contract[]): string => {
  const tag = tags.get(branches) ?? findTag(branches)
  tags.set(branches, tag)
  return tag
}

const findTag = (branches: readonly Contract[]): string => {
  const isTag = (name: string) => {
    const values = branches.map((branch) => (branch.required?.includes(name) ? constantOf(branch.properties?.[name]) : undefined))
    return !values.includes(undefined) && new Set(values).size === branches.length
  }
  return (branches[0]?.required ?? []).find(isTag) as string
}

/** Of branches that fail, the one that was meant speaks, if the type of the value tells it; else one fault for all. */
const anyCheck =
  (checks: readonly Check[]): Check =>
  (value, run) => {
    const mark = run.faults.length
    let meant: Fault[] | null | undefined
    const depth = run.path.length
    for (const check of checks) {
      // With what it may find out.
      if (!spend(run, 3)) return false
      if (check(value, run)) {
        run.faults.length = mark
        return true
      }
      // Nothing was found out about the branches.
      if (run.steps <= 0) return false
      const found = run.faults.splice(mark)
      const isOfOtherType = found.length === 1 && found[0]?.keyword === 'type' && found[0].path.length === depth
      if (!isOfOtherType) meant = meant === undefined ? found : null
    }
    if (meant) run.faults.push(...meant)
    else report(run, 'anyOf', {}, 'must match a schema in anyOf')
    return false
  }
