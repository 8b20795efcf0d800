// Writes every failure as an RFC 9457 document, whatever part of the trip it comes from.

import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { classifyRedisError } from '../../redis/failures.js'
import { type SchemaError, toFieldProblems } from '../../types/field-problems.js'
import { findHostFault } from '../headers/host.js'
import { announceEnd } from '../limits/unread-body.js'
import { createRouteTable } from '../route-table.js'
import type { Problem } from './problem-schema.js'
import { type ProblemDetails, type ProblemKind, type ProblemName, problems } from './problem-types.js'

const problemType = 'application/problem+json'
/** A lost Redis fails thousands of requests: its errors are logged at most once in this time. */
const redisLogIntervalMs = 1000
/** Seconds after which a retry makes sense, for a 503 that names none. */
const retryAfterDefault = 1

/** An Error that `problem-json` writes as the problem it carries. Throw it from routes, hooks and parsers. */
export const problem = (name: ProblemName, detail: string, extra: Omit<ProblemDetails, 'problem' | 'detail'> = {}): Error => {
  const problemDetails: ProblemDetails = { problem: name, detail, ...extra }
  return Object.assign(new Error(`${name}: ${detail}`), { statusCode: problems[name].status, problemDetails })
}

/** The details that an Error made by `problem` carries, else undefined. */
export const problemDetailsOf = (error: unknown): ProblemDetails | undefined =>
  error instanceof Error ? (error as { problemDetails?: ProblemDetails }).problemDetails : undefined

/** The document of a problem. Batch items use it without `requestId` and `instance`. */
export const toProblemDocument = (details: ProblemDetails, occurrence: { requestId?: string; instance?: string } = {}): Problem => {
  const kind: ProblemKind = problems[details.problem]
  return {
    type: kind.type ?? `/problems/${details.problem}`,
    title: kind.title,
    status: kind.status,
    detail: details.detail,
    ...occurrence,
    ...(details.errors ? { errors: [...details.errors] } : {}),
    ...details.extensions,
  }
}

/**
 * What a client is told about any error: problems as they are, errors of validation, parsing and Redis translated,
 * everything else as `internal-error` without its message.
 */
export const toProblemDetails = (error: unknown, method = 'POST'): ProblemDetails => {
  const own = problemDetailsOf(error)
  if (own) return own
  const redis = classifyRedisError(error)
  if (redis) return { problem: 'redis-unavailable', detail: toRedisDetail(redis, method) }
  return (
    fromFastifyError(error as FastifyError) ?? {
      problem: 'internal-error',
      detail: 'Something unexpected happened. Find the requestId in the logs.',
    }
  )
}

const toRedisDetail = (outcome: 'refused' | 'unknown', method: string): string => {
  if (method === 'GET' || method === 'HEAD') return 'The job store is not responding. Nothing was changed; retry shortly.'
  return outcome === 'refused'
    ? 'The job store is refusing commands; what it refused was not stored. The same request with the same Idempotency-Key is safe to retry.'
    : 'The job store did not respond in time, so the outcome is unknown. The same request with the same Idempotency-Key is safe to retry.'
}

/** Errors of Fastify and its plugins, by code. Their messages may repeat input, so none is passed on. */
const frameworkProblems: Readonly<Record<string, ProblemDetails>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: { problem: 'payload-too-large', detail: 'The body exceeds the limit of this route.' },
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    problem: 'unsupported-media-type',
    detail: 'This route does not support the media type in Content-Type.',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: { problem: 'malformed-body', detail: 'The length of the body does not match Content-Length.' },
  FST_ERR_CTP_EMPTY_JSON_BODY: { problem: 'malformed-body', detail: 'The body is empty, but Content-Type is JSON.' },
  FST_ERR_CTP_INVALID_JSON_BODY: {
    problem: 'malformed-body',
    detail: 'The body is not valid JSON, or contains a `__proto__` or `constructor` member.',
  },
  FST_ERR_BAD_URL: { problem: 'bad-request', detail: 'The URL contains an invalid percent-encoding.' },
  FST_ERR_MAX_PARAM_LENGTH: { problem: 'bad-request', detail: 'A part of the URL is too long.' },
  FST_UNDER_PRESSURE: { problem: 'overloaded', detail: 'This instance has more work than it can handle in time. Nothing was stored.' },
}

const fromFastifyError = (error: FastifyError): ProblemDetails | null => {
  if (!(error instanceof Error)) return null
  if (error.validation) {
    const errors = toFieldProblems(error.validation as unknown as SchemaError[], error.validationContext)
    return { problem: 'validation-failed', detail: toValidationDetail(errors.length, error.validationContext), errors }
  }
  const known = error.code ? frameworkProblems[error.code] : undefined
  if (known) return known
  // A client that goes away in the middle of its body.
  if ((error.code === 'ECONNRESET' || error.message === 'aborted') && error.statusCode === 400) {
    return { problem: 'malformed-body', detail: 'The body ended before it was complete.' }
  }
  const status = error.statusCode
  if (status === undefined || status < 400 || status > 499) return null
  return byStatus[status] ?? { problem: 'bad-request', detail: 'The request cannot be read.' }
}

const byStatus: Readonly<Record<number, ProblemDetails>> = {
  404: { problem: 'not-found', detail: 'There is nothing at this URL.' },
  406: { problem: 'not-acceptable', detail: 'This route serves none of the media types in Accept.' },
  408: { problem: 'request-timeout', detail: 'The request did not arrive in time.' },
  413: { problem: 'payload-too-large', detail: 'The request is too large.' },
  415: { problem: 'unsupported-media-type', detail: 'This route does not support the media type in Content-Type.' },
  429: { problem: 'quota-exceeded', detail: 'The rate limit is exhausted.' },
}

const toValidationDetail = (count: number, part: string | undefined): string => {
  const place =
    part === undefined || part === 'body' ? 'The body' : part === 'querystring' ? 'The query' : part === 'params' ? 'The URL' : 'A header'
  return count === 1 ? `${place} has one error; see \`errors\`.` : `${place} has ${count} errors; see \`errors\`.`
}

/** Names this occurrence: the path without its query, and the request id as fragment. */
const toInstance = (request: FastifyRequest): string => {
  const path = request.url?.split('?', 1)[0] ?? ''
  return /^\/(?!\/)[A-Za-z0-9._~!$&'()*+,;=:@%/-]{0,511}$/.test(path) ? `${path}#${request.id}` : `#${request.id}`
}

/** Answers with a problem. For plugins that cannot throw, such as those behind a raw reply. */
export const sendProblem = (request: FastifyRequest, reply: FastifyReply, details: ProblemDetails): FastifyReply => {
  const { status } = problems[details.problem]
  announceEnd(request, reply)
  const document = toProblemDocument(details, { requestId: request.id, instance: toInstance(request) })
  if (details.headers) reply.headers(details.headers)
  const retryAfter = details.retryAfterSeconds ?? (status === 503 && !reply.hasHeader('retry-after') ? retryAfterDefault : undefined)
  if (retryAfter !== undefined) reply.header('retry-after', String(Math.max(0, Math.ceil(retryAfter))))
  if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store')
  // As bytes: Fastify would add a charset, which this media type does not have.
  return reply
    .code(status)
    .header('x-request-id', request.id)
    .header('x-content-type-options', 'nosniff')
    .header('content-type', problemType)
    .send(Buffer.from(JSON.stringify(document)))
}

const createErrorLog = () => {
  let nextAt = 0
  let suppressed = 0
  return (error: unknown, request: FastifyRequest, details: ProblemDetails): void => {
    if (details.problem === 'internal-error') {
      request.log.error({ err: error, problem: details.problem }, 'request failed')
      return
    }
    const outcome = problemDetailsOf(error) ? null : classifyRedisError(error)
    if (!outcome) {
      request.log.debug({ problem: details.problem, detail: details.detail }, 'request refused')
      return
    }
    const now = Date.now()
    if (now < nextAt) {
      suppressed++
      return
    }
    nextAt = now + redisLogIntervalMs
    request.log.warn({ err: error, outcome, suppressed }, 'redis failed a request')
    suppressed = 0
  }
}

const problemJson = async (app: FastifyInstance) => {
  const table = createRouteTable()
  const logError = createErrorLog()

  app.addHook('onRoute', (route) => table.add(route.method, route.url))
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id).header('x-content-type-options', 'nosniff')
    const fault = findHostFault(request.raw)
    done(fault === null ? undefined : problem('bad-request', fault, { headers: { connection: 'close' } }))
  })
  // Node answers an unknown Expect with a bare 417; ignoring it is allowed as well (RFC 9110, section 10.1.1).
  app.server.on('checkExpectation', (request, response) => app.server.emit('request', request, response))

  app.setErrorHandler((error, request, reply) => {
    const details = toProblemDetails(error, request.method)
    logError(error, request, details)
    return sendProblem(request, reply, details)
  })

  app.setNotFoundHandler((request, reply) => {
    const methods = table.methodsAt(request.url.split('?', 1)[0] as string)
    // A route that answers the method, but has nothing under this name, calls this too.
    if (methods.length === 0 || methods.includes(request.method)) return sendProblem(request, reply, byStatus[404] as ProblemDetails)
    const allow = methods.join(', ')
    return sendProblem(request, reply, {
      problem: 'method-not-allowed',
      detail: `This URL supports ${allow} only.`,
      headers: { allow },
    })
  })
}

export default fp(problemJson, { name: 'problem-json' })
