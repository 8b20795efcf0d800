// Whether two answers tell the same: all that a caller sees, without what tells one request from another.

import type { Answer } from './client.js'

/** Of the request, not of the object; quotas go down with every request. */
const ownHeaders = new Set(['date', 'x-request-id', 'ratelimit', 'content-length', 'keep-alive'])

/** Everything that could tell an object that is hidden from one that is absent. Lengths of ids in it are equal. */
export const toShape = ({ status, headers, json, text }: Answer): string => {
  const kept = Object.entries(headers)
    .filter(([name]) => !ownHeaders.has(name))
    .sort(([one], [other]) => one.localeCompare(other))
  const { instance, requestId, ...document } = (json ?? { text }) as Record<string, unknown>
  return JSON.stringify([status, kept, { ...document, hasInstance: instance !== undefined, hasRequestId: requestId !== undefined }])
}
