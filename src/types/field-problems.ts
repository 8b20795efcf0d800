// Turns what Ajv found wrong with a request into the few entries that name the invalid members.

import { toPatternDetail } from './schema-parts.js'

/** `pointer` is a JSON Pointer fragment to the offending member; outside the body, `in` and `parameter` say where. */
export interface FieldProblem {
  readonly pointer: string
  readonly detail: string
  readonly in?: 'query' | 'path' | 'header'
  readonly parameter?: string
}

/** The part of an Ajv error that is read here. */
export interface SchemaError {
  readonly keyword: string
  readonly instancePath: string
  readonly schemaPath: string
  readonly params?: Record<string, unknown>
  readonly message?: string | undefined
}

/** Parts of a request other than its body, by the names Fastify gives them. */
const parameterKinds: Readonly<Record<string, 'query' | 'path' | 'header'>> = {
  querystring: 'query',
  params: 'path',
  headers: 'header',
}

const entriesMax = 20
/** A client chooses the names of unknown members: longer pointers stop at the parent. */
const pointerLengthMax = 512

/**
 * The invalid members, at most 20, each with the pointer to the member itself.
 * `part` is Fastify's name of the request part; `prefix` is put before pointers, such as `/items/3`.
 * Texts come from schemas alone: no value of a client is repeated.
 */
export const toFieldProblems = (errors: readonly SchemaError[], part: string = 'body', prefix = ''): FieldProblem[] => {
  const kind = parameterKinds[part]
  const entries = new Map<string, FieldProblem>()
  for (const error of foldBranches(errors)) {
    if (entries.size === entriesMax) break
    const path = toPath(error, prefix)
    const detail = toDetail(error)
    // The same finding may come from two keywords, such as a type beside an enum: one entry a member is enough.
    // Of a time that is none, its form says more than its length.
    if (entries.has(path) && error.keyword !== 'format') continue
    const pointer = toFragment(path)
    entries.set(path, kind ? { pointer, detail, in: kind, parameter: toParameter(path) } : { pointer, detail })
  }
  return [...entries.values()]
}

/** What is wrong with texts that are not well-formed Unicode. */
export const illFormedDetail = 'must be well-formed Unicode text'

/** Of a JSON text: `paths` as `parseJson` tells them. A name may be long: its pointer then stops at the parent. */
export const toIllFormedProblems = (paths: readonly (readonly string[])[]): FieldProblem[] =>
  paths.map((path) => {
    const pointer = toPointer(path)
    return { pointer: toFragment(pointer.length <= pointerLengthMax ? pointer : ''), detail: illFormedDetail }
  })

/** A JSON Pointer as URI fragment (RFC 6901, section 6). */
export const toFragment = (path: string): string =>
  // By way of bytes, since encodeURI throws on a lone surrogate.
  `#${encodeURI(Buffer.from(path).toString()).replaceAll('#', '%23')}`

/** A JSON Pointer of the names that lead to a member; '' for the whole. */
export const toPointer = (names: readonly string[]): string => names.map((name) => `/${toPointerToken(name)}`).join('')

/** One name as a part of a JSON Pointer. */
export const toPointerToken = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')

const memberParams = ['missingProperty', 'additionalProperty', 'unevaluatedProperty', 'propertyName'] as const

const toPath = ({ keyword, instancePath, params = {} }: SchemaError, prefix: string): string => {
  const base = `${prefix}${instancePath}`
  // Ajv's path stops at the parent when a member is missing or unknown.
  const member = keyword === 'discriminator' ? params['tag'] : params[memberParams.find((name) => typeof params[name] === 'string') ?? '']
  const path = typeof member === 'string' ? `${base}/${toPointerToken(member)}` : base
  if (path.length <= pointerLengthMax) return path
  return base.length <= pointerLengthMax ? base : prefix
}

const toParameter = (path: string): string => (path.split('/')[1] ?? '').replaceAll('~1', '/').replaceAll('~0', '~')

const toDetail = ({ keyword, params = {}, message }: SchemaError): string => {
  switch (keyword) {
    case 'required':
    case 'dependentRequired':
    case 'dependencies':
      return 'is missing'
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return 'is not a known member'
    case 'propertyNames':
      return 'has a name that is not allowed'
    case 'discriminator':
      return params['error'] === 'tag' ? 'must be a string that names a known type' : 'is not a known type'
    case 'enum':
      return `must be one of ${toList(params['allowedValues'])}`
    case 'const':
      return `must be ${JSON.stringify(params['allowedValue'])}`
    case 'anyOf':
    case 'oneOf':
      return 'matches none of the allowed forms'
    case 'pattern':
      return toPatternDetail(params['pattern']) ?? message ?? 'is not valid'
    case 'format':
      return params['format'] === 'date-time'
        ? 'must be a date-time with an offset, such as 2026-12-01T09:00:00.000Z'
        : (message ?? 'is not valid')
    case 'false schema':
      return 'is not allowed'
    default:
      return message ?? 'is not valid'
  }
}

const toList = (values: unknown): string =>
  Array.isArray(values)
    ? values
        .slice(0, 30)
        .map((value) => JSON.stringify(value))
        .join(', ')
    : 'the listed values'

/**
 * Replaces the findings of all branches of an `anyOf` or `oneOf` by those of the one branch that was meant,
 * or, if none can be told, by one entry.
 */
const foldBranches = (errors: readonly SchemaError[]): SchemaError[] => {
  const kept: SchemaError[] = []
  for (const error of errors) {
    if (error.keyword === 'if') continue
    if (error.keyword !== 'anyOf' && error.keyword !== 'oneOf') {
      kept.push(error)
      continue
    }
    // Ajv reports the branches right before the keyword itself.
    let start = kept.length
    while (start > 0 && isInBranch(kept[start - 1] as SchemaError, error)) start--
    const branches = kept.splice(start)
    kept.push(...toMeantBranch(branches, error))
  }
  return kept
}

const isInBranch = (candidate: SchemaError, parent: SchemaError): boolean => {
  const isBelow = candidate.instancePath === parent.instancePath || candidate.instancePath.startsWith(`${parent.instancePath}/`)
  // Behind a `$ref` the path starts over with the name of the schema.
  return isBelow && (candidate.schemaPath.startsWith(`${parent.schemaPath}/`) || !sharesDocument(candidate, parent))
}

const sharesDocument = (one: SchemaError, other: SchemaError): boolean =>
  toDocument(one) === toDocument(other) && !one.schemaPath.startsWith('#/definitions/')

const toDocument = ({ schemaPath }: SchemaError): string => schemaPath.slice(0, schemaPath.indexOf('#'))

const toMeantBranch = (found: readonly SchemaError[], parent: SchemaError): SchemaError[] => {
  const branches = new Map<string, SchemaError[]>()
  for (const error of found) {
    const isInline = error.schemaPath.startsWith(`${parent.schemaPath}/`)
    const key = isInline ? (error.schemaPath.slice(parent.schemaPath.length + 1).split('/')[0] as string) : `ref ${toDocument(error)}`
    branches.set(key, [...(branches.get(key) ?? []), error])
  }
  // A branch that refuses the value's very type was not meant.
  const isTypeOrConst = ({ keyword, instancePath }: SchemaError) =>
    instancePath === parent.instancePath && (keyword === 'type' || keyword === 'const')
  const meant = [...branches.values()].filter((branch) => !branch.some(isTypeOrConst))
  if (meant.length === 1) return meant[0] as SchemaError[]
  const types = new Set(found.filter(isTypeOrConst).map(({ params }) => params?.['type']))
  if (meant.length === 0 && types.size > 0 && !types.has(undefined)) {
    return [{ ...parent, keyword: 'type', message: `must be ${[...types].join(' or ')}` }]
  }
  return [parent]
}
