// A definition as its author sent it, made into a job type.

import type { JobType } from '../definition.js'
import type { Validate } from '../validator.js'
import type { Contract } from './contract.js'
import { fillDefaults } from './defaults.js'
import { type JobTypeDefinition, parseDefinition, type TypeDefinition } from './definition.js'
import { createContractValidator } from './validator.js'

/** Where the definition of a type says nothing. */
const defaultTimeoutMs = 60_000

/** Paths to sensitive members, as `jobs/sensitive-data` reads them. */
export type SensitivePaths = readonly (readonly string[])[]

/**
 * What the registry keeps of a definition, which has been found to be one: its contracts are taken apart when the first document is checked.
 * `sensitive` are the paths to the members that it or an earlier version protects.
 */
export const toJobType = (name: string, body: JobTypeDefinition, sensitive: SensitivePaths): JobType => {
  const { description, data, result, example, defaults = {}, runs, compatibility = 'backward' } = body
  let parsed: TypeDefinition | undefined
  const definition = (): TypeDefinition => {
    parsed ??= requireDefinition(name, body)
    return parsed
  }
  return {
    name,
    queue: name,
    description,
    data,
    result,
    example,
    defaults: { ...defaults, priority: defaults.priority ?? 'normal', timeoutMs: defaults.timeoutMs ?? defaultTimeoutMs },
    requires: [],
    registered: {
      runs,
      compatibility,
      checkData: onFirstCall(() => createContractValidator(definition().data)),
      ...(result === undefined ? {} : { checkResult: onFirstCall(() => createContractValidator(definition().result as Contract)) }),
      fillDefaults: (value) => fillDefaults(definition().data, value),
      sensitive,
    },
  }
}

const requireDefinition = (name: string, body: JobTypeDefinition): TypeDefinition => {
  const read = parseDefinition(body)
  if (read.kind === 'definition') return read.definition
  throw new Error(`The stored definition of the job type ${name} is not one: ${read.faults[0]?.pointer} ${read.faults[0]?.detail}`)
}

const onFirstCall = (open: () => Validate): Validate => {
  let opened: Validate | undefined
  const validate: Validate = (data) => {
    opened ??= open()
    const fits = opened(data)
    validate.errors = opened.errors
    return fits
  }
  return validate
}

/** The sensitive members that a contract allows; `*` stands for every entry of an array or map. */
export const sensitivePathsOf = (contract: Contract): SensitivePaths => {
  const visit = (node: Contract, path: readonly string[]): (readonly string[])[] => {
    if (node['x-sensitive']) return [path]
    const { properties = {}, additionalProperties, items, prefixItems = [], anyOf = [], oneOf = [] } = node
    const entries = [...prefixItems, ...(items ? [items] : []), ...(additionalProperties ? [additionalProperties] : [])]
    return [
      ...[...anyOf, ...oneOf].flatMap((each) => visit(each, path)),
      ...Object.entries(properties).flatMap(([name, each]) => visit(each, [...path, name])),
      ...entries.flatMap((each) => visit(each, [...path, '*'])),
    ]
  }
  return union(visit(contract, []))
}

/** Every path once. */
export const union = (...all: SensitivePaths[]): SensitivePaths => [
  ...new Map(all.flat().map((path) => [JSON.stringify(path), path])).values(),
]
