// Defaults of a contract: whether they fit, and filling in what a newer version requires and an older one did not know.

import { isObject } from '../../runtime/json-text.js'
import { toFragment, toPointer } from '../field-problems.js'
import { type Contract, type ContractType, type Schema, schemasBelow, typesOf } from './contract.js'
import type { ContractFault } from './parse.js'
import { constantOf, createContractValidators, tagOf } from './validator.js'

/** Steps that all defaults of a contract take together. */
const stepsMax = 20_000

/** Every default that does not fit the schema it stands in, by the pointer to that schema with its references resolved. */
export const defaultFaults = (contract: Contract): ContractFault[] => {
  const seen = new Set<Contract>()
  const budget = { steps: stepsMax }
  const validatorOf = createContractValidators(budget)
  const visit = (node: Contract, path: readonly string[]): ContractFault[] => {
    if (seen.has(node)) return []
    seen.add(node)
    const isWrong = node.default !== undefined && !validatorOf(node)(node.default)
    return [
      ...(isWrong ? [toFault(path)] : []),
      ...schemasBelow(node as Schema).flatMap(([tokens, each]) => visit(each as Contract, [...path, ...tokens])),
    ]
  }
  const faults = visit(contract, [])
  if (budget.steps > 0) return faults
  return [{ pointer: '#', rule: 'default', detail: 'has defaults that take too long to check against their schemas' }]
}

const toFault = (path: readonly string[]): ContractFault => ({
  pointer: toFragment(toPointer([...path, 'default'])),
  rule: 'default',
  detail: 'does not fit the schema it stands in',
})

/** A copy in which every missing member that is required and has a default has it. What fits already stays as it is. */
export const fillDefaults = (contract: Contract, value: unknown): unknown => {
  if (Array.isArray(value)) return fillEntries(contract, value)
  if (!isObject(value)) return value
  if (contract.oneOf) {
    const tag = tagOf(contract.oneOf)
    const branch = contract.oneOf.find(({ properties }) => constantOf(properties?.[tag]) === value[tag])
    return branch ? fillDefaults(branch, value) : value
  }
  if (contract.anyOf) {
    const objects = branchesFor('object', contract.anyOf)
    return objects.length === 1 ? fillDefaults(objects[0] as Contract, value) : value
  }
  return fillMembers(contract, value)
}

/** The branches that a value of a type may fit, or that may have such branches: with more than one it is open which defaults count. */
export const branchesFor = (type: ContractType, branches: readonly Contract[]): readonly Contract[] =>
  branches.filter((branch) => typesOf(branch).includes(type) || branch.oneOf || branch.anyOf)

const fillMembers = ({ properties = {}, required = [], additionalProperties }: Contract, value: Readonly<Record<string, unknown>>) => {
  const filled: Record<string, unknown> = {}
  for (const [name, member] of Object.entries(value)) {
    const contract = Object.hasOwn(properties, name) ? properties[name] : additionalProperties || undefined
    filled[name] = contract ? fillDefaults(contract, member) : member
  }
  for (const name of required) {
    const missing = Object.hasOwn(properties, name) ? properties[name]?.default : undefined
    if (!Object.hasOwn(filled, name) && missing !== undefined) filled[name] = missing
  }
  return filled
}

const fillEntries = ({ prefixItems, items, anyOf }: Contract, value: readonly unknown[]): unknown[] => {
  const arrays = branchesFor('array', anyOf ?? [])
  if (arrays.length === 1) return fillEntries(arrays[0] as Contract, value)
  return value.map((each, index) => {
    const contract = prefixItems?.[index] ?? (items || undefined)
    return contract ? fillDefaults(contract, each) : each
  })
}
