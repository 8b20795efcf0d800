// The fingerprint of a payload: the same for every way of writing the same JSON value.

import { hash } from 'node:crypto'

/** What a fingerprint is of: the same payload sent for another purpose is another request. */
export type Operation = 'submit' | 'lease' | `retry ${string}` | `trigger ${string}` | 'job-type'

/**
 * SHA-256 over the operation and the canonical JSON of `payload`, as received; 43 characters, base64url.
 * White space and the order of members do not matter.
 */
export const fingerprint = (operation: Operation, payload: unknown): string =>
  hash('sha256', `${operation}\n${toCanonicalJson(payload)}`, 'base64url')

/** JSON with sorted members. Depth is bounded by the body parser. */
export const toCanonicalJson = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(toCanonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  const object = value as Record<string, unknown>
  let text = ''
  for (const name of Object.keys(object).sort()) {
    const member = object[name]
    if (member !== undefined) text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${toCanonicalJson(member)}`
  }
  return `{${text}}`
}
