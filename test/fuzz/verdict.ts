// What an answer must be like, whatever the request was.

import { createAnswerCheck } from '../helpers/answer-check.js'
import { type Body, document, type Operation } from './document.js'
import type { Plan } from './requests.js'
import type { WireAnswer, WireRequest } from './wire.js'

const { check, find, validatorAt } = createAnswerCheck(document)

/** Words of our insides. */
const inside = /node_modules|\/dist\/|\bat [\w.<>]+ \(|ReplyError|WRONGTYPE|ERR_[A-Z]+_|\[object Object\]/

const requireThat = (condition: boolean, message: string): void => {
  if (!condition) throw new Error(message)
}

const checkProblem = ({ status, headers, body }: WireAnswer, method: string): void => {
  requireThat(status < 500 || status === 503, `a ${status}: ${body.slice(0, 2000)}`)
  if (status === 429 || status === 503) requireThat(/^\d+$/.test(headers['retry-after'] ?? ''), `a ${status} without Retry-After`)
  if (status === 401) requireThat(headers['www-authenticate'] !== undefined, 'a 401 without WWW-Authenticate')
  if (status === 405) requireThat(headers['allow'] !== undefined, 'a 405 without Allow')
  if (method === 'HEAD') return
  // Where it may be something else says the document.
  if (headers['content-type'] !== 'application/problem+json') return
  const problem = JSON.parse(body) as Record<string, unknown>
  requireThat(problem['status'] === status, `the problem has another status than ${status}: ${body}`)
  requireThat(problem['requestId'] === headers['x-request-id'], `the problem has another requestId than X-Request-Id: ${body}`)
  requireThat(typeof problem['detail'] === 'string' && problem['detail'] !== '', `the problem says nothing: ${body}`)
  requireThat(!inside.test(body), `the problem tells of our insides: ${body}`)
}

const parse = (bytes: Buffer): { value: unknown } | null => {
  try {
    return { value: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) }
  } catch {
    return null
  }
}

/** What is wrong with a member by its schema alone. Rules that no schema states are told in other words, but for fields of templates. */
const bySchema =
  /^(?:is not a known member|must match pattern|must NOT have|must be one of "|must be [<>]|is missing$|is not a known type|matches none of|has a name that|must be (?:string|integer|number|boolean|object|array|null)\b)/

/** No schema states which types can be leased, nor what a contract may hold and an example has to fit. */
const isBeyondSchema = (operation: string, pointer: string, detail: string): boolean =>
  (/^#\/types\/\d+$/.test(pointer) && detail === 'is not a known type') ||
  (operation === 'registerJobType' && /^#\/(?:data|result|example)\b/.test(pointer))

/** Bodies are judged as the document says: what it does not allow is refused, what it allows is not refused for its form. */
const checkRefusal = ({ id, bodies }: Operation, { body: sent }: WireRequest, { status, body }: WireAnswer): void => {
  const parsed = parse(sent ?? Buffer.alloc(0))
  const isAllowed = parsed !== null && validatorAt((bodies[0] as Body).at)(parsed.value)
  // Of many items each is judged by itself.
  requireThat(isAllowed || status >= 400 || status === 207, `a ${status} for a body that the document does not allow`)
  if (!isAllowed || status !== 400) return
  const { errors = [] } = JSON.parse(body) as { errors?: { pointer: string; detail: string; in?: string }[] }
  const wrong = errors.filter(
    ({ pointer, detail, in: place }) =>
      place === undefined && bySchema.test(detail) && !pointer.includes('/templateData') && !isBeyondSchema(id, pointer, detail),
  )
  requireThat(
    wrong.length === 0,
    `a body that the document allows is refused: ${JSON.stringify(wrong)}\n${JSON.stringify(parsed.value).slice(0, 3000)}`,
  )
}

/** Throws with one line that says what is wrong, and whatever helps after it. */
export const judge = (operation: Operation, plan: Plan, request: WireRequest, answer: WireAnswer): void => {
  const { method, target } = request
  const { status, headers } = answer
  requireThat(headers['x-request-id'] !== undefined, 'an answer without X-Request-Id')
  if (status >= 400) checkProblem(answer, method)

  // A hostile path may lead to another operation, or to none.
  const asked = method === 'HEAD' ? 'GET' : method
  const template = find(asked, target.split('?')[0] as string)
  if (template === undefined) {
    requireThat(status >= 400, `${method} ${target.slice(0, 200)} answers ${status} and is not documented`)
    const type = headers['content-type']
    requireThat(method === 'HEAD' || type === 'application/problem+json', `a ${status} as ${type}`)
    return
  }
  check(asked, template, answer)
  if (template !== operation.template || asked !== operation.method) return
  const [body] = operation.bodies
  const isSigned = operation.isPublic && plan.flavor === 'valid'
  if (body?.mediaType === 'application/json' && operation.bodies.length === 1 && !isSigned) checkRefusal(operation, request, answer)
}
