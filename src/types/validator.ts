// The two ways requests are validated: bodies exactly as sent, everything else converted from text.

import { AjvCompiler } from '@fastify/ajv-compiler'
import type { SchemaError } from './field-problems.js'

/** What Fastify hands a validator builder. */
interface RouteSchema {
  schema: unknown
  method?: string
  url?: string
  httpPart?: string
  contentType?: string
}
/** Whether data fit; `errors` tells what was wrong with those of the last call. */
export interface Validate {
  (data: unknown): boolean
  errors?: readonly SchemaError[] | null | undefined
}
type Compile = (route: RouteSchema) => Validate

/** Bodies with more values than this get their first fault only: collecting all of them would cost more than parsing. */
const thoroughValuesMax = 5000

const shared = {
  removeAdditional: false,
  discriminator: true,
  strict: true,
  strictTypes: false,
  strictRequired: false,
  strictTuples: false,
  allowUnionTypes: true,
  allowMatchingProperties: true,
  // Ajv tidying up the code it writes took a tenth of the time of a start, and made validation no faster.
  code: { optimize: false },
} as const
const bodies = { ...shared, coerceTypes: false, useDefaults: false }
const texts = { ...shared, coerceTypes: true, useDefaults: true, allErrors: true }

/** Keywords that say something to readers of a schema and nothing to a validator. */
const annotations = ['x-sensitive', 'example', 'contact', 'separator']

interface AjvLike {
  addKeyword(keyword: string): unknown
  addFormat(name: string, format: (text: string) => boolean): unknown
}

const onCreate = (ajv: AjvLike): void => {
  for (const keyword of annotations) ajv.addKeyword(keyword)
  ajv.addFormat('date-time', isDateTime)
}

const timeParts = /^(\d{4})-(\d\d)-(\d\d)T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/

/** RFC 3339, stricter than most: capital T and Z, seconds and offset present, a day that exists, no leap second. */
export const isDateTime = (text: string): boolean => {
  const parts = timeParts.exec(text)
  if (!parts) return false
  const [year, month, day] = parts.slice(1, 4).map(Number) as [number, number, number]
  const isLeapYear = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  const days = [31, isLeapYear ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
  return day >= 1 && day <= (days[month - 1] ?? 0)
}

const createBuild = AjvCompiler as unknown as () => (schemas: Record<string, unknown>, options: object) => Compile
const build = createBuild()

/** Bodies that are checked by hand, and the schemas that only describe them, both by `$id`. */
export interface OwnChecks {
  readonly checks: ReadonlyMap<string, Validate>
  readonly documentOnly: ReadonlySet<string>
}
const noChecks: OwnChecks = { checks: new Map(), documentOnly: new Set() }

/**
 * For Fastify's `schemaController.compilersFactory.buildValidator`.
 * In: shared schemas by `$id`. Out: a compiler that chooses by `httpPart`; without one, a body is assumed.
 * A body whose schema is a `$ref` to one of `checks` is given to that check.
 */
export const validatorCompilers = (shared: Record<string, unknown>, { checks, documentOnly } = noChecks): Compile => {
  const schemas = Object.fromEntries(Object.entries(shared).filter(([id]) => !documentOnly.has(id)))
  const quick = build(schemas, { customOptions: bodies, onCreate })
  const converting = build(schemas, { customOptions: texts, onCreate })
  let thorough: Compile | undefined
  const openThorough = (): Compile => {
    thorough ??= build(schemas, { customOptions: { ...bodies, allErrors: true }, onCreate })
    return thorough
  }

  const convert: Compile = (route) => (holdsNumbers(route.schema) ? requireFinite(converting(route)) : converting(route))

  return (route) => {
    if (route.httpPart === 'headers') return convert({ ...route, schema: toLowerCaseNames(route.schema) })
    if (route.httpPart === 'querystring' || route.httpPart === 'params') return convert(route)
    const own = checks.get((route.schema as { $ref?: string }).$ref ?? '')
    if (own) return own
    const first = quick(route)
    return toBodyValidator(
      () => first,
      () => openThorough()(route),
    )
  }
}

/**
 * A validator of bodies that is compiled on its first call, by an Ajv of its own: one that is shared keeps every schema permanently,
 * even after `removeSchema` (ajv 8, issue 1413). `schema` refers to nothing outside itself. That it is a schema at all is not
 * checked here, which makes an Ajv of its own as cheap as a shared one.
 */
export const createOwnValidator = (schema: unknown): Validate => {
  const open = (options: object): Validate =>
    createBuild()({}, { customOptions: { ...options, meta: false, validateSchema: false }, onCreate })({ schema })
  return toBodyValidator(
    () => open(bodies),
    () => open({ ...bodies, allErrors: true }),
  )
}

/** Most routes convert none, and pay nothing for those that do. A reference may lead to one. */
const holdsNumbers = (schema: unknown): boolean => /"(?:number|integer)"|"\$ref"/.test(JSON.stringify(schema))

/** Refuses numbers that are too large for one: Ajv 8.20 converts `1e999` to Infinity and then asks it for no bounds. */
const requireFinite = (validate: Validate): Validate => {
  const finite: Validate = (data) => {
    const fits = validate(data)
    finite.errors = validate.errors
    if (!fits) return false
    const name = Object.entries(data as object).find(
      ([, value]) => value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY,
    )?.[0]
    if (name === undefined) return true
    finite.errors = [
      { keyword: 'type', instancePath: `/${name}`, schemaPath: '#/type', params: { type: 'number' }, message: 'must be a finite number' },
    ]
    return false
  }
  return finite
}

/** Stops at the first fault; only then, and only for a body of sensible size, collects the others. */
const toBodyValidator = (openFirst: () => Validate, openAll: () => Validate): Validate => {
  let first: Validate | undefined
  let all: Validate | undefined
  const validate: Validate = (data) => {
    validate.errors = null
    first ??= openFirst()
    if (first(data)) return true
    validate.errors = first.errors
    if (isThorough(data)) {
      all ??= openAll()
      if (!all(data)) validate.errors = all.errors
    }
    return false
  }
  return validate
}

/** Whether all faults of a body are collected. */
export const isThorough = (data: unknown): boolean => countValues(data, thoroughValuesMax) <= thoroughValuesMax

/** Counts members and items, giving up above `max`. */
const countValues = (data: unknown, max: number): number => {
  const open: unknown[] = [data]
  let count = 0
  while (open.length > 0 && count <= max) {
    const value = open.pop()
    count++
    if (typeof value !== 'object' || value === null) continue
    for (const member of Object.values(value)) {
      if (open.length > max) return max + 1
      open.push(member)
    }
  }
  return count
}

/** Node hands header names over in lower case. */
const toLowerCaseNames = (schema: unknown): unknown => {
  if (typeof schema !== 'object' || schema === null) return schema
  const { properties, required, ...rest } = schema as { properties?: Record<string, unknown>; required?: string[] }
  return {
    ...rest,
    ...(properties
      ? { properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name.toLowerCase(), value])) }
      : {}),
    ...(required ? { required: required.map((name) => name.toLowerCase()) } : {}),
  }
}
