// The two ways requests are validated: bodies exactly as sent, everything else converted from text.

import { AjvCompiler } from '@fastify/ajv-compiler'

/** What Fastify hands a validator builder. */
interface RouteSchema {
  schema: unknown
  method?: string
  url?: string
  httpPart?: string
  contentType?: string
}
interface Validate {
  (data: unknown): boolean
  errors?: unknown
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

const build = AjvCompiler() as unknown as (schemas: Record<string, unknown>, options: object) => Compile

/**
 * For Fastify's `schemaController.compilersFactory.buildValidator`.
 * In: shared schemas by `$id`. Out: a compiler that chooses by `httpPart`; without one, a body is assumed,
 * so that `request.compileValidationSchema` checks NDJSON lines like bodies.
 */
export const validatorCompilers = (schemas: Record<string, unknown>): Compile => {
  const quick = build(schemas, { customOptions: bodies, onCreate })
  const converting = build(schemas, { customOptions: texts, onCreate })
  let thorough: Compile | undefined
  const openThorough = (): Compile => {
    thorough ??= build(schemas, { customOptions: { ...bodies, allErrors: true }, onCreate })
    return thorough
  }

  return (route) => {
    if (route.httpPart === 'headers') return converting({ ...route, schema: toLowerCaseNames(route.schema) })
    if (route.httpPart === 'querystring' || route.httpPart === 'params') return converting(route)
    return toBodyValidator(quick(route), () => openThorough()(route))
  }
}

/** Stops at the first fault; only then, and only for a body of sensible size, collects the others. */
const toBodyValidator = (first: Validate, openAll: () => Validate): Validate => {
  let all: Validate | undefined
  const validate: Validate = (data) => {
    validate.errors = null
    if (first(data)) return true
    validate.errors = first.errors
    if (countValues(data, thoroughValuesMax) <= thoroughValuesMax) {
      all ??= openAll()
      if (!all(data)) validate.errors = all.errors
    }
    return false
  }
  return validate
}

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
