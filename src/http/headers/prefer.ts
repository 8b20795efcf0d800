// Reads the Prefer header (RFC 7240): how long a client wants to wait, and whether it wants to wait at all.

import type { FastifyInstance, FastifyReply } from 'fastify'
import fp from 'fastify-plugin'

export interface Preferences {
  /** `wait=N` in milliseconds, not yet capped; null without a valid one. */
  readonly waitMs: number | null
  readonly respondAsync: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    preferences: Preferences
  }
}

const headerLengthMax = 4096
const token = "[!#$%&'*+.^_`|~A-Za-z0-9-]+"
const quoted = '"(?:[^"\\\\]|\\\\.)*"'
/** One preference with its parameters: `name`, `name=value`, `name="value"; parameter`. Sticky, so every character is read once. */
const preference = new RegExp(
  `[\\t ]*(${token})(?:[\\t ]*=[\\t ]*(${token}|${quoted}))?((?:[\\t ]*;[^,"]*(?:${quoted}[^,"]*)*)?)[\\t ]*(?=,|$)`,
  'y',
)
/** What stands between commas, whatever it is. */
const anything = new RegExp(`(?:[^,"]|${quoted}|")*`, 'y')

/** Names in lower case and their values, the first occurrence of a name only; malformed ones are left out. */
export const parsePrefer = (header: string): Map<string, string> => {
  const found = new Map<string, string>()
  let at = 0
  while (at < header.length) {
    preference.lastIndex = at
    const match = preference.exec(header)
    if (match) {
      const name = (match[1] as string).toLowerCase()
      if (!found.has(name)) found.set(name, unquote(match[2] ?? ''))
      at = preference.lastIndex
    } else {
      anything.lastIndex = at
      anything.exec(header)
      at = anything.lastIndex
    }
    if (header[at] === ',') at++
  }
  return found
}

const unquote = (value: string): string => (value.startsWith('"') ? value.slice(1, -1).replace(/\\(.)/g, '$1') : value)

/** The preferences this server knows. Anything else is ignored, never an error. */
export const toPreferences = (header: string | undefined): Preferences => {
  if (header === undefined || header.length > headerLengthMax) return none
  const found = parsePrefer(header)
  const wait = found.get('wait')
  const isWhole = wait !== undefined && /^\d+$/.test(wait)
  return { waitMs: isWhole ? Number(wait) * 1000 : null, respondAsync: found.get('respond-async') === '' }
}

const none: Preferences = Object.freeze({ waitMs: null, respondAsync: false })

/**
 * Says that the answer depends on Prefer, and which preference was applied.
 * In: `wait`, the milliseconds that were granted; `respond-async`; or null when none was applied.
 */
export const applyPreference = (reply: FastifyReply, applied: { readonly waitMs: number } | 'respond-async' | null): void => {
  addVary(reply, 'Prefer')
  if (applied === 'respond-async') reply.header('preference-applied', 'respond-async')
  else if (applied) reply.header('preference-applied', `wait=${Math.floor(applied.waitMs / 1000)}`)
}

/** Adds a name to Vary without losing those that are there. */
export const addVary = (reply: FastifyReply, name: string): void => {
  if (!reply.hasHeader('vary')) {
    reply.header('vary', name)
    return
  }
  const present = String(reply.getHeader('vary'))
  const names = present
    .split(',')
    .map((each) => each.trim())
    .filter((each) => each !== '')
  if (!names.some((each) => each.toLowerCase() === name.toLowerCase())) reply.header('vary', [...names, name].join(', '))
}

const prefer = async (app: FastifyInstance) => {
  app.decorateRequest('preferences')
  app.addHook('onRequest', (request, _reply, done) => {
    const header = request.headers['prefer']
    request.preferences = toPreferences(Array.isArray(header) ? header.join(', ') : header)
    done()
  })
}

export default fp(prefer, { name: 'prefer' })
