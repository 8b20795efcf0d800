// Checks answers against the application's own OpenAPI document: status described, body as its schema says.

import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import type { App } from '../../src/app.js'
import { isDateTime } from '../../src/types/validator.js'

interface Operation {
  responses: Record<string, { content?: Record<string, { schema: object }> }>
}
interface Document {
  paths: Record<string, Record<string, Operation>>
}

const documents = new WeakMap<App, { document: Document; ajv: Ajv2020 }>()

const documentOf = (app: App) => {
  let known = documents.get(app)
  if (!known) {
    const document = app.swagger() as unknown as Document
    const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true, formats: { 'date-time': isDateTime } })
    ajv.addSchema(document, 'openapi.json')
    known = { document, ajv }
    documents.set(app, known)
  }
  return known
}

/** Throws when the document does not describe what was answered. Unknown routes answer problems only. */
export const checkAnswer = (app: App, { method = 'GET', url }: InjectOptions, answer: LightMyRequestResponse): void => {
  const { document, ajv } = documentOf(app)
  const path = String(url).split('?')[0] as string
  const template = Object.keys(document.paths).find((each) => toPattern(each).test(path) && document.paths[each]?.[method.toLowerCase()])
  if (!template) {
    if (answer.statusCode < 400 && !/^\/(livez|readyz|metrics|docs|openapi|problems|favicon|$)/.test(path))
      throw new Error(`${method} ${path} answers ${answer.statusCode} and is not documented`)
    return
  }
  const { responses } = (document.paths[template] as Record<string, Operation>)[method.toLowerCase()] as Operation
  const status = [String(answer.statusCode), `${String(answer.statusCode)[0]}XX`].find((each) => responses[each])
  if (!status) throw new Error(`${method} ${template} answers ${answer.statusCode}, which is not documented`)
  const { content } = responses[status] as Operation['responses'][string]
  if (!content || answer.body === '') return
  const mediaType = String(answer.headers['content-type']).split(';')[0] as string
  if (!content[mediaType]) throw new Error(`${method} ${template} answers ${mediaType}, documented is ${Object.keys(content)}`)
  if (!mediaType.endsWith('json')) return
  const pointer = ['paths', template, method.toLowerCase(), 'responses', status, 'content', mediaType, 'schema']
    .map(escapePointer)
    .join('/')
  const validate = ajv.getSchema(`openapi.json#/${pointer}`) as ValidateFunction
  if (!validate(answer.json())) {
    throw new Error(`${method} ${template} ${status} does not fit its schema: ${ajv.errorsText(validate.errors)}\n${answer.body}`)
  }
}

const toPattern = (template: string): RegExp => new RegExp(`^${template.replace(/\{[^}]+\}/g, '[^/]+')}$`)
const escapePointer = (part: string): string => encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
