// Problems as whole HTTP responses, for connections on which nothing can be answered any more but this.

import { STATUS_CODES } from 'node:http'
import { mintRequestId } from '../headers/request-id.js'
import { toProblemDocument } from './problem-json.js'
import { type ProblemDetails, problems } from './problem-types.js'

/** A response after which the connection is to be closed. */
export const toRawProblem = (details: ProblemDetails): string => {
  const { status } = problems[details.problem]
  const requestId = mintRequestId()
  const body = JSON.stringify(toProblemDocument(details, { requestId, instance: `#${requestId}` }))
  return [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/problem+json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Date: ${new Date().toUTCString()}`,
    `X-Request-Id: ${requestId}`,
    'X-Content-Type-Options: nosniff',
    'Cache-Control: no-store',
    ...(details.retryAfterSeconds === undefined ? [] : [`Retry-After: ${details.retryAfterSeconds}`]),
    'Connection: close',
    '',
    body,
  ].join('\r\n')
}
