// A definition as its author sent it, made into a job type.

import type { JobType } from '../definition.js'
import type { Validate } from '../validator.js'
import type { Contract } from './contract.js'
import { fillDefaults } from './defaults.js'
import { type JobTypeDefinition, parseDefinition, type TypeDefinition } from './definition.js'
import type { SensitivePaths } from './sensitive-paths.js'
import { createContractValidator } from './validator.js'

/** Where the definition of a type says nothing. */
const defaultTimeoutMs = 60_000

/**
 * What the registry keeps of a definition, which has been found to be one: its contracts are taken apart when the first document is checked.
 * `sensitive` are the paths to the members that it or an earlier version protects.
 */
export const toJobType = (name: string, body: JobTypeDefinition, sensitive: SensitivePaths, registration = ''): JobType => {
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
      registration,
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
