// Names each request, in its responses and in the log.

import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const sane = /^[A-Za-z0-9._~:@/+=-]{1,128}$/

/** Of this process, random; a count behind it tells its requests apart. */
const prefix = randomBytes(12).toString('base64url')
let count = 0

export const mintRequestId = (): string => {
  count++
  return `${prefix}-${count.toString(36)}`
}

/** Keeps a sane inbound `X-Request-Id`, else mints one. */
export const toRequestId = (request: Pick<IncomingMessage, 'headers'>): string => {
  const given = request.headers['x-request-id']
  return typeof given === 'string' && sane.test(given) ? given : mintRequestId()
}
