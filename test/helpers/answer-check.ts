// Checks answers against an OpenAPI document: status described, media type described, body as its schema says.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import { isDateTime } from '../../src/types/validator.js'

interface DescribedAnswer {
  readonly content?: Readonly<Record<string, { readonly schema: object }>>
  readonly headers?: Readonly<Record<string, { readonly schema: object }>>
}

interface DescribedOperation {
  readonly responses: Readonly<Record<string, DescribedAnswer>>
}

export interface OpenApiDocument {
  readonly paths: Readonly<Record<string, Readonly<Record<string, DescribedOperation>>>>
}

export interface Answer {
  readonly status: number
  /** By lower-case name. */
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
}

/** Headers that only some answers of a status have: whether a job is finished, or a preference was applied, changes with each. */
const occasionalHeaders: ReadonlySet<string> = new Set(['Retry-After', 'Idempotent-Replayed', 'Preference-Applied'])
/** Of several templates that fit a path, the one with the fewest parameters is meant. */
const parameterCount = (template: string): number => template.split('{').length
const toPattern = (template: string): RegExp => new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`)
const escapePointer = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))

export const createAnswerCheck = (document: OpenApiDocument) => {
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true, formats: { 'date-time': isDateTime } })
  ajv.addSchema(document, 'openapi.json')
  const templates = Object.keys(document.paths)
    .toSorted((a, b) => parameterCount(a) - parameterCount(b))
    .map((template) => ({ template, pattern: toPattern(template) }))

  /** The validator of what stands at a place of the document. */
  const validatorAt = (parts: readonly string[]): ValidateFunction =>
    ajv.getSchema(`openapi.json#/${parts.map(escapePointer).join('/')}`) as ValidateFunction

  const requireFit = (what: string, parts: readonly string[], value: unknown): void => {
    const validate = validatorAt(parts)
    if (!validate(value))
      throw new Error(`${what} does not fit its schema: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 2000)}`)
  }

  return {
    validatorAt,

    /** The template of a path that the document describes for a method. */
    find: (method: string, path: string): string | undefined =>
      templates.find(({ template, pattern }) => document.paths[template]?.[method.toLowerCase()] && pattern.test(path))?.template,

    /** Throws when the document does not describe such an answer. */
    check(method: string, template: string, { status, headers, body }: Answer): void {
      const at = ['paths', template, method.toLowerCase(), 'responses']
      const responses = document.paths[template]?.[method.toLowerCase()]?.responses ?? {}
      const described = [String(status), `${String(status)[0]}XX`].find((each) => responses[each])
      if (!described) throw new Error(`${method} ${template} answers ${status}, which is not documented`)
      const { content, headers: known = {} } = responses[described] as DescribedAnswer
      for (const [name, { schema }] of Object.entries(known)) {
        const value = headers[name.toLowerCase()]
        if (value === undefined) {
          if (status < 300 && !occasionalHeaders.has(name))
            throw new Error(`${method} ${template} answers ${status} without ${name}, which is documented`)
          continue
        }
        const read = (schema as { type?: string }).type === 'integer' ? Number(value) : value
        requireFit(`${method} ${template} ${status}: header ${name}`, [...at, described, 'headers', name, 'schema'], read)
      }
      if (body === '') return
      if (!content) throw new Error(`${method} ${template} answers ${status} with a body, documented is none\n${body.slice(0, 2000)}`)
      const mediaType = String(headers['content-type']).split(';')[0] as string
      if (!content[mediaType])
        throw new Error(`${method} ${template} answers ${status} as ${mediaType}, documented is ${Object.keys(content)}`)
      if (!mediaType.endsWith('json')) return
      const texts = mediaType === 'application/x-ndjson' ? body.split('\n').filter((line) => line !== '') : [body]
      for (const text of texts)
        requireFit(`${method} ${template} ${status}`, [...at, described, 'content', mediaType, 'schema'], JSON.parse(text))
    },
  }
}

export type AnswerCheck = ReturnType<typeof createAnswerCheck>
