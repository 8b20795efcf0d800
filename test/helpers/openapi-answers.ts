// Checks answers against the application's own OpenAPI document: status described, body as its schema says.

import type { InjectOptions, LightMyRequestResponse } from 'fastify'
import type { App } from '../../src/app.js'
import { type AnswerCheck, createAnswerCheck, type OpenApiDocument } from './answer-check.js'

const checks = new WeakMap<App, AnswerCheck>()

const checkOf = (app: App): AnswerCheck => {
  let known = checks.get(app)
  if (!known) {
    known = createAnswerCheck(app.swagger() as unknown as OpenApiDocument)
    checks.set(app, known)
  }
  return known
}

/** Throws when the document does not describe what was answered. Unknown routes answer problems only. */
export const checkAnswer = (app: App, { method = 'GET', url }: InjectOptions, answer: LightMyRequestResponse): void => {
  const { find, check } = checkOf(app)
  const path = String(url).split('?')[0] as string
  const template = find(method, path)
  if (template !== undefined) check(method, template, { status: answer.statusCode, headers: answer.headers, body: answer.body })
  else if (answer.statusCode < 400 && !/^\/(livez|readyz|metrics|docs|openapi|problems|favicon|$)/.test(path))
    throw new Error(`${method} ${path} answers ${answer.statusCode} and is not documented`)
}
