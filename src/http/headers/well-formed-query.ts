// Refuses queries that are not percent-encoded UTF-8: what cannot be decoded would be looked for as it stands, and never be found.

import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type FieldProblem, illFormedDetail, toFragment, toPointerToken } from '../../types/field-problems.js'
import { problem } from '../problems/problem-json.js'

const problemsMax = 20

const wellFormedQuery = async (app: FastifyInstance) => {
  // Behind authentication, as every check of what a request asks for.
  app.addHook('preValidation', ({ url }, _reply, done) => {
    const start = url.indexOf('?')
    if (start === -1 || !url.includes('%', start)) return done()
    const errors = findProblems(url.slice(start + 1))
    if (errors.length === 0) return done()
    throw problem('validation-failed', 'The query is not percent-encoded UTF-8; see `errors`.', { errors })
  })
}

const findProblems = (query: string): FieldProblem[] => {
  if (decode(query) !== null) return []
  return query
    .split('&')
    .filter((pair) => decode(pair) === null)
    .slice(0, problemsMax)
    .map((pair) => {
      const name = pair.split('=', 1)[0] as string
      const parameter = decode(name) ?? name
      return { pointer: toFragment(`/${toPointerToken(parameter)}`), detail: illFormedDetail, in: 'query', parameter }
    })
}

const decode = (text: string): string | null => {
  try {
    return decodeURIComponent(text)
  } catch {
    return null
  }
}

export default fp(wellFormedQuery, { name: 'well-formed-query', dependencies: ['problem-json'] })
