// What one job type that was registered at run time adds to the API description: its schemas by name, its examples.

import { isObject } from '../../runtime/json-text.js'
import { type Schema, schemasBelow } from '../../types/contracts/contract.js'
import { definitionOf } from '../../types/contracts/parse.js'
import type { JobType } from '../../types/definition.js'
import { toEnvelopes, toExampleSchedule, toExampleSubmission, toPascalCase } from './submission-schemas.js'

export interface OwnComponents {
  /** Schemas by the name under which they stand in `components.schemas`. */
  readonly schemas: readonly (readonly [name: string, schema: unknown])[]
  /** By union: which of the schemas it lists. */
  readonly branches: ReadonlyMap<string, string>
  /** Ready to send to `POST /v1/jobs`, and to `PUT /v1/schedules/{id}`. Absent when they are too long to be shown. */
  readonly examples?: { readonly submission: unknown; readonly schedule: unknown }
}

/** Longer examples are found at GET /v1/job-types/{type} only. */
const exampleCharsMax = 8192

/**
 * In: the type, which is a registered one; the names that the document has without own types. Names depend on these and on the name
 * of the type alone, so that other types never change them, and no two are the same:
 * `toPascalCase` is one to one and writes neither `_` nor `.`; none of the endings is the end of another.
 */
export const toOwnComponents = (type: JobType, taken: ReadonlySet<string>): OwnComponents => {
  const prefix = toPrefix(type, taken)
  const data = `${prefix}Data`
  const envelopes = toEnvelopes(type, prefix)
  const isShown = JSON.stringify(type.example).length <= exampleCharsMax
  return {
    schemas: [
      ...toDataSchemas(data, type.data as Schema),
      ...envelopes.map(({ schema }) => [schema.$id as string, toDocumented(schema)] as const),
    ],
    branches: new Map(envelopes.map(({ union, schema }) => [union, schema.$id as string])),
    ...(isShown ? { examples: { submission: toExampleSubmission(type), schedule: toExampleSchedule(type) } } : {}),
  }
}

/** What is taken is avoided by all names of a type alike: `job` has `Job_Submission`, and `Job_Data` with it. */
const toPrefix = (type: JobType, taken: ReadonlySet<string>): string => {
  const plain = toPascalCase(type.name)
  const names = [`${plain}Data`, ...toEnvelopes(type, plain).map(({ schema }) => schema.$id as string)]
  return names.some((name) => taken.has(name)) ? `${plain}_` : plain
}

export const toRef = (name: string): string => `#/components/schemas/${name}`

/** A schema of TypeBox as the document has it: references are places, and its name stands outside. */
const toDocumented = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(toDocumented)
  if (!isObject(schema)) return schema
  const { $id: _name, ...rest } = schema
  return Object.fromEntries(
    Object.entries(rest).map(([key, value]) => [key, key === '$ref' && typeof value === 'string' ? toRef(value) : toDocumented(value)]),
  )
}

/** The contract under its name, and each of its definitions beside it, since `#/$defs/…` would lead to the top of the document. */
const toDataSchemas = (name: string, contract: Schema): [string, unknown][] => {
  const { $defs = {}, $schema: _draft, ...root } = contract
  const nameOf = (definition: string) => `${name}.${toNamePart(definition)}`
  const definitions = Object.entries($defs as Readonly<Record<string, unknown>>)
  return [...definitions.map(([key, schema]): [string, unknown] => [nameOf(key), relocate(schema, nameOf)]), [name, relocate(root, nameOf)]]
}

/** A copy whose references lead to where `nameOf` says their definitions are. Only schemas are looked at, no values. */
const relocate = (schema: unknown, nameOf: (definition: string) => string): unknown => {
  if (!isObject(schema)) return schema
  // A discriminator says nothing that oneOf does not, and its mapping could say anything.
  const { discriminator: _discriminator, ...copy } = schema as Record<string, unknown>
  if (typeof copy['$ref'] === 'string') copy['$ref'] = toRef(nameOf(definitionOf(copy['$ref']) ?? ''))
  for (const name of ['properties', 'prefixItems', 'oneOf', 'anyOf'] as const) {
    const below = copy[name]
    if (Array.isArray(below)) copy[name] = [...below]
    else if (isObject(below)) copy[name] = { ...below }
  }
  for (const [[name, token], below] of schemasBelow(schema)) {
    const moved = relocate(below, nameOf)
    if (token === undefined) copy[name as string] = moved
    else (copy[name as string] as Record<string, unknown>)[token] = moved
  }
  return copy
}

/** Names of components may hold letters, digits, `-`, `_` and `.`; all else is written as its code, between dots. */
const toNamePart = (text: string): string => text.replace(/[^\w-]/gu, (char) => `.${(char.codePointAt(0) as number).toString(16)}.`)
