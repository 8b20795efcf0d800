// The keywords of JSON Schema: those of the subset, each with what its value may be, and for all others what to write instead.

import { isObject } from '../../runtime/json-text.js'
import { contractTypes, isScalar, limits } from './contract.js'
import { formatNames, isKnownFormat } from './formats.js'
import { patternFault } from './pattern.js'

/** What is wrong with the value of a keyword; null: nothing. */
type ValueFault = (value: unknown) => string | null

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
const count: ValueFault = (value) => (isCount(value) ? null : 'must be an integer of at least 0')
const countUpTo =
  (max: number): ValueFault =>
  (value) =>
    isCount(value) && value <= max ? null : `must be an integer from 0 to ${max}`
const text: ValueFault = (value) => (typeof value === 'string' ? null : 'must be a string')
const flag: ValueFault = (value) => (typeof value === 'boolean' ? null : 'must be true or false')
const anything: ValueFault = () => null
const finite: ValueFault = (value) => (Number.isFinite(value) ? null : 'must be a number')
const schemas =
  (max: number): ValueFault =>
  (value) =>
    Array.isArray(value) && value.length >= 1 && value.length <= max ? null : `must be a list of 1 to ${max} schemas`

const typeNames: ReadonlySet<unknown> = new Set(contractTypes)
const typeFault: ValueFault = (value) => {
  const names: unknown[] = Array.isArray(value) ? value : [value]
  const isFine = names.length > 0 && new Set(names).size === names.length && names.every((name) => typeNames.has(name))
  return isFine ? null : `must be one of ${contractTypes.join(', ')}, or a list of them`
}

const enumFault: ValueFault = (value) => {
  if (!Array.isArray(value) || value.length === 0 || value.length > limits.enumValues)
    return `must be a list of 1 to ${limits.enumValues} values`
  return value.every(isScalar) ? null : 'may hold strings, numbers, booleans and null only: describe objects and arrays with oneOf'
}

const propertiesFault: ValueFault = (value) => {
  if (!isObject(value)) return 'must be an object of schemas'
  const names = Object.keys(value)
  if (names.length > limits.properties) return `must have at most ${limits.properties} members`
  return names.includes('__proto__') ? 'must not have the member __proto__' : null
}

const requiredFault: ValueFault = (value) => {
  if (!Array.isArray(value) || !value.every((name) => typeof name === 'string') || new Set(value).size < value.length)
    return 'must be a list of distinct names'
  return value.length <= limits.properties ? null : `must have at most ${limits.properties} names`
}

const formatFault: ValueFault = (value) =>
  isKnownFormat(value) ? null : `must be one of ${formatNames.join(', ')}: for another form use maxLength and pattern`

const itemsFault: ValueFault = (value) => {
  if (Array.isArray(value)) return 'must be one schema: call a list of them prefixItems, and add "items": false'
  return isObject(value) || value === false ? null : 'must be a schema, or false beside prefixItems'
}

export interface Keyword {
  /** The types of values it applies to; all of them unless given. */
  readonly of?: readonly string[]
  readonly fault: ValueFault
}

const numbers = ['number', 'integer']

/** The subset. */
export const keywords: Readonly<Record<string, Keyword>> = {
  type: { fault: typeFault },
  enum: { fault: enumFault },
  const: { fault: (value) => (isScalar(value) ? null : 'must be a string, a number, a boolean or null') },
  title: { fault: text },
  description: { fault: text },
  default: { fault: anything },
  examples: { fault: (value) => (Array.isArray(value) ? null : 'must be a list') },
  deprecated: { fault: flag },
  'x-sensitive': { fault: flag },
  $comment: { fault: text },
  $ref: { fault: text },
  oneOf: { fault: schemas(limits.branches) },
  anyOf: { fault: schemas(limits.branches) },
  properties: { of: ['object'], fault: propertiesFault },
  required: { of: ['object'], fault: requiredFault },
  additionalProperties: {
    of: ['object'],
    fault: (value) => (isObject(value) || typeof value === 'boolean' ? null : 'must be false or a schema'),
  },
  minProperties: { of: ['object'], fault: count },
  maxProperties: { of: ['object'], fault: countUpTo(limits.mapMembers) },
  items: { of: ['array'], fault: itemsFault },
  prefixItems: { of: ['array'], fault: schemas(limits.properties) },
  minItems: { of: ['array'], fault: count },
  maxItems: { of: ['array'], fault: count },
  uniqueItems: { of: ['array'], fault: flag },
  minLength: { of: ['string'], fault: count },
  maxLength: { of: ['string'], fault: count },
  pattern: { of: ['string'], fault: patternFault },
  format: { of: ['string'], fault: formatFault },
  minimum: { of: numbers, fault: finite },
  maximum: { of: numbers, fault: finite },
  exclusiveMinimum: { of: numbers, fault: finite },
  exclusiveMaximum: { of: numbers, fault: finite },
  multipleOf: { of: numbers, fault: (value) => (Number.isFinite(value) && (value as number) > 0 ? null : 'must be a number above 0') },
}

/** At the top of a schema only. `discriminator` is OpenAPI's, and says nothing that `oneOf` does not. */
export const rootKeywords: ReadonlySet<string> = new Set(['$schema', '$defs'])

/** May stand beside `$ref`, `oneOf` and `anyOf`. */
export const annotations: ReadonlySet<string> = new Set([
  'title',
  'description',
  'default',
  'examples',
  'deprecated',
  'x-sensitive',
  '$comment',
  'discriminator',
])

const closedInstead = 'list the members in properties and add "additionalProperties": false'
const mapInstead = 'write the schema of the values in additionalProperties, with maxProperties'
const branchesInstead = 'write the allowed forms as branches of oneOf, each with a const member that tells them apart'

const advice: ReadonlyMap<string, string> = new Map([
  ['allOf', 'merge its schemas into one'],
  ['not', `describe what is allowed: ${branchesInstead}`],
  ['if', branchesInstead],
  ['then', branchesInstead],
  ['else', branchesInstead],
  ['dependentRequired', branchesInstead],
  ['dependentSchemas', branchesInstead],
  ['dependencies', branchesInstead],
  ['patternProperties', mapInstead],
  ['propertyNames', 'remove it; maxProperties bounds a map'],
  ['unevaluatedProperties', closedInstead],
  ['unevaluatedItems', 'use prefixItems with "items": false'],
  ['additionalItems', 'use prefixItems with "items": false'],
  ['contains', 'describe every entry in items'],
  ['minContains', 'describe every entry in items'],
  ['maxContains', 'describe every entry in items'],
  ['definitions', 'call it $defs, and refer to it as #/$defs/…'],
  ['$id', 'remove it: a contract is known by the name of its job type'],
  ['$anchor', 'refer to definitions as #/$defs/…'],
  ['$dynamicRef', 'use $ref to #/$defs/…'],
  ['$dynamicAnchor', 'use $ref to #/$defs/…'],
  ['$recursiveRef', 'use $ref to #/$defs/…'],
  ['$recursiveAnchor', 'remove it'],
  ['$vocabulary', 'remove it'],
  ['$data', 'write the value itself'],
  ['nullable', 'add "null" to type'],
  ['example', 'use examples, a list'],
  ['readOnly', 'remove it'],
  ['writeOnly', 'remove it; "x-sensitive": true masks a member in answers'],
  ['contentEncoding', 'remove it; a description can say how the text is encoded'],
  ['contentMediaType', 'remove it; a description can say what the text holds'],
  ['contentSchema', 'remove it'],
  ['divisibleBy', 'use multipleOf'],
  ['$defs', 'move it to the top of the schema'],
  ['$schema', 'move it to the top of the schema'],
])

/** What to do about a keyword that is not in the subset. */
export const adviceFor = (keyword: string): string => advice.get(keyword) ?? 'remove it'
