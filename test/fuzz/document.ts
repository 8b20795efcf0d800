// The OpenAPI document as requests are made from it: its operations, their parameters and bodies.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OpenApiDocument } from '../helpers/answer-check.js'
import { root } from '../helpers/source-files.js'

/** As much of JSON Schema as the document uses. */
export interface Schema {
  readonly $ref?: string
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly properties?: Readonly<Record<string, Schema>>
  readonly patternProperties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: boolean | Schema
  readonly required?: readonly string[]
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly items?: Schema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
}

export interface Parameter {
  readonly in: 'path' | 'query' | 'header'
  readonly name: string
  readonly required: boolean
  readonly schema: Schema
}

export interface Body {
  readonly mediaType: string
  readonly schema: Schema
  /** Bodies that the document shows. */
  readonly examples: readonly unknown[]
  /** Where its schema stands. */
  readonly at: readonly string[]
}

export interface Operation {
  readonly id: string
  readonly method: string
  readonly template: string
  /** Asks for no key. */
  readonly isPublic: boolean
  readonly parameters: readonly Parameter[]
  readonly bodies: readonly Body[]
  /** Its successful statuses. */
  readonly successes: readonly number[]
}

interface RawOperation {
  readonly operationId: string
  readonly security?: readonly unknown[]
  readonly parameters?: readonly Parameter[]
  readonly requestBody?: {
    readonly content: Readonly<Record<string, { schema: Schema; examples?: Readonly<Record<string, { value: unknown }>> }>>
  }
  readonly responses: Readonly<Record<string, object>>
}

export const document = JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')) as OpenApiDocument & {
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> }
}

export const resolve = (schema: Schema): Schema => {
  if (schema.$ref === undefined) return schema
  const found = document.components.schemas[schema.$ref.replace('#/components/schemas/', '')]
  if (!found) throw new Error(`The document has no ${schema.$ref}`)
  return resolve(found)
}

const toOperation = (template: string, method: string, raw: RawOperation): Operation => ({
  id: raw.operationId,
  method: method.toUpperCase(),
  template,
  isPublic: raw.security?.length === 0,
  parameters: raw.parameters ?? [],
  bodies: Object.entries(raw.requestBody?.content ?? {}).map(([mediaType, { schema, examples = {} }]) => ({
    mediaType,
    schema,
    examples: Object.values(examples).map(({ value }) => value),
    at: ['paths', template, method, 'requestBody', 'content', mediaType, 'schema'],
  })),
  successes: Object.keys(raw.responses)
    .filter((status) => /^[23]\d\d$/.test(status))
    .map(Number),
})

export const operations: readonly Operation[] = Object.entries(document.paths).flatMap(([template, methods]) =>
  Object.entries(methods).map(([method, raw]) => toOperation(template, method, raw as unknown as RawOperation)),
)
