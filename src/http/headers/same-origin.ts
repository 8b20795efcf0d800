// Tells requests of our own pages from those that another site makes a browser send along with our cookie.

import type { FastifyRequest } from 'fastify'
import { problem } from '../problems/problem-json.js'

/**
 * Throws `forbidden` unless the browser says that the request comes from a page of this gateway.
 * Browsers send Sec-Fetch-Site where the connection is trustworthy, and Origin with every form and act.
 */
export const requireSameOrigin = (request: FastifyRequest): void => {
  const { 'sec-fetch-site': site, origin } = request.headers
  const isSame = site === undefined ? isOwnOrigin(origin, request.host) : site === 'same-origin'
  if (!isSame) {
    throw problem(
      'forbidden',
      'This request must come from a page of this gateway. A proxy must forward Host and Origin unchanged. Programs must send `Authorization: Bearer <key>`.',
    )
  }
}

const isOwnOrigin = (origin: string | undefined, host: string): boolean => {
  if (origin === undefined || !URL.canParse(origin)) return false
  const from = new URL(origin)
  // A browser sends an origin and nothing beside it: no user, no path.
  if (from.origin !== origin) return false
  // A Host may name the port that its scheme implies.
  const own = `${from.protocol}//${host}`
  return URL.canParse(own) && new URL(own).host === from.host && from.host !== ''
}
