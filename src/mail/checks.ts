// What the schemas of e-mail jobs cannot say: links to allowed hosts, times that lie ahead, zones that exist, distinct recipients.

import type { FieldProblem } from '../types/field-problems.js'
import { toPointerToken } from '../types/field-problems.js'
import type { Recipients } from './schema.js'

const loopbackHost = /^(localhost|127\.\d{1,3}\.\d{1,3}\.\d{1,3}|\[::1\])$/

/**
 * Links have to be https (http to a loopback host, for development), and lead to a host of `hosts`.
 * In: `links` by pointer; `hosts` of EMAIL_LINK_HOSTS, `*.example.com` meaning every host below it, none meaning any host.
 */
export const linkProblems = (links: Readonly<Record<string, string | undefined>>, hosts: readonly string[]): FieldProblem[] =>
  Object.entries(links).flatMap(([pointer, link]) => {
    const fault = link === undefined ? null : linkFault(link, hosts)
    return fault === null ? [] : [{ pointer, detail: fault }]
  })

const linkFault = (link: string, hosts: readonly string[]): string | null => {
  // Readers disagree about the host of an address with a backslash.
  if (!URL.canParse(link) || link.includes('\\')) return 'is not a valid URL'
  const { protocol, hostname, username, password } = new URL(link)
  if (username !== '' || password !== '') return 'must not contain a user name or password'
  const isHttpAllowed = protocol === 'http:' && loopbackHost.test(hostname)
  if (protocol !== 'https:' && !isHttpAllowed) return 'must start with https://'
  const isAllowed = hosts.length === 0 || hosts.some((host) => matchesHost(hostname, host.trim().toLowerCase()))
  return isAllowed ? null : 'points to a host that EMAIL_LINK_HOSTS does not allow'
}

const matchesHost = (hostname: string, allowed: string): boolean =>
  allowed.startsWith('*.') ? hostname.endsWith(allowed.slice(1)) : hostname === allowed

/** The schema vouches for the form of `time`, though not that it is a time Node can read (leap seconds). */
export const futureProblems = (pointer: string, time: string, now: number): FieldProblem[] => {
  const at = Date.parse(time)
  if (Number.isNaN(at)) return [{ pointer, detail: 'is not a valid time' }]
  return at > now ? [] : [{ pointer, detail: 'must be in the future' }]
}

/** Every address once, whatever its capitals: two jobs for one person would be two messages. */
export const recipientProblems = (to: Recipients): FieldProblem[] => {
  if (typeof to === 'string') return []
  const seen = new Set<string>()
  return to.flatMap((address, index) => {
    const key = address.toLowerCase()
    const isRepeated = seen.has(key)
    seen.add(key)
    return isRepeated ? [{ pointer: `#/data/to/${index}`, detail: 'repeats an earlier recipient' }] : []
  })
}

/** `value` as JSON may have at most `bytesMax` bytes and be `depthMax` deep; a plain object is 1 deep. */
export const jsonSizeProblems = (
  pointer: string,
  value: unknown,
  { bytesMax, depthMax }: { readonly bytesMax: number; readonly depthMax: number },
): FieldProblem[] => {
  if (isDeeperThan(value, depthMax)) return [{ pointer, detail: `is nested more than ${depthMax} levels deep` }]
  return Buffer.byteLength(JSON.stringify(value)) > bytesMax ? [{ pointer, detail: `is larger than ${bytesMax} bytes of JSON` }] : []
}

const isDeeperThan = (value: unknown, levels: number): boolean => {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => isDeeperThan(member, levels - 1))
}

const linkOnly = /^\s*(?:https?:\/\/|javascript:|data:|vbscript:|file:)\S*\s*$/i

/** Every string in `value` that is an address with a scheme and nothing else, by pointer: a template may make a link of it. */
export const textLinks = (pointer: string, value: unknown): Record<string, string> => {
  if (typeof value === 'string') return linkOnly.test(value) ? { [pointer]: value.trim() } : {}
  if (typeof value !== 'object' || value === null) return {}
  return Object.assign(
    {},
    ...Object.entries(value).map(([member, each]) => textLinks(`${pointer}/${toPointerToken(member)}`, each)),
  ) as Record<string, string>
}
