// What a contract is made of: the subset of JSON Schema 2020-12 that job types registered at run time may use.

import { isObject } from '../../runtime/json-text.js'

/** One schema of the subset, its references resolved: two places that refer to one definition share one object. */
export interface Contract {
  readonly type?: ContractType | readonly ContractType[]
  readonly enum?: readonly Scalar[]
  readonly const?: Scalar
  readonly title?: string
  readonly description?: string
  readonly default?: unknown
  readonly examples?: readonly unknown[]
  readonly deprecated?: boolean
  readonly 'x-sensitive'?: boolean
  readonly properties?: Readonly<Record<string, Contract>>
  readonly required?: readonly string[]
  readonly additionalProperties?: false | Contract
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly items?: false | Contract
  readonly prefixItems?: readonly Contract[]
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: number
  readonly exclusiveMaximum?: number
  readonly multipleOf?: number
  readonly oneOf?: readonly Contract[]
  readonly anyOf?: readonly Contract[]
}

export const contractTypes = ['object', 'array', 'string', 'number', 'integer', 'boolean', 'null'] as const
export type ContractType = (typeof contractTypes)[number]
export type Scalar = string | number | boolean | null

/** A schema as it was sent. */
export type Schema = Readonly<Record<string, unknown>>

/** Bounds of a contract. */
export const limits = {
  bytes: 32_768,
  depth: 16,
  /** Schemas as written. */
  nodes: 500,
  /** Schemas with every reference written out: what a document may have to be checked against. */
  expandedNodes: 5000,
  properties: 200,
  enumValues: 200,
  branches: 20,
  uniqueItems: 1000,
  mapMembers: 10_000,
  patternChars: 512,
  /** Of a text that is matched against a pattern: the linear-time engine takes about a microsecond for each of its characters. */
  patternedText: 4096,
  /** Parts of a pattern, with its repetitions written out; and of all those that differ in one contract. */
  patternSize: 1200,
  patternSizes: 2000,
  /** Of one pattern, times the length of the text beside it: 100 ns for each of these at worst. */
  patternWork: 200_000,
  /** Characters of the paths to all sensitive members, which every instance reads whenever a type changes. */
  sensitiveChars: 16_384,
} as const

export const typesOf = ({ type }: Contract): readonly ContractType[] => (type === undefined ? [] : typeof type === 'string' ? [type] : type)

export const isScalar = (value: unknown): value is Scalar => value === null || ['string', 'number', 'boolean'].includes(typeof value)

/** A schema directly below another, and the tokens that lead to it. */
export type Below = readonly [path: readonly string[], schema: unknown]

/** What stands directly below a schema, as written or resolved. */
export const schemasBelow = (schema: Schema): Below[] => [
  ...(isObject(schema['properties'])
    ? Object.entries(schema['properties']).map(([name, each]): Below => [['properties', name], each])
    : []),
  ...(['additionalProperties', 'items'] as const).flatMap((name): Below[] => (isObject(schema[name]) ? [[[name], schema[name]]] : [])),
  ...(['prefixItems', 'oneOf', 'anyOf'] as const).flatMap((name): Below[] =>
    Array.isArray(schema[name]) ? schema[name].map((each: unknown, index): Below => [[name, String(index)], each]) : [],
  ),
]
