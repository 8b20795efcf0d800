// Which addresses that others chose may be fetched, as far as their text and their numbers tell.

import ipaddr from 'ipaddr.js'
import type { OutboundSettings } from './settings.js'

/** Which rule an address breaks. */
export type OutboundRefusal = 'malformed' | 'scheme' | 'userinfo' | 'port' | 'host' | 'address' | 'downgrade'

/** What a refusal says to the client; never the address itself, whose query may be a credential. */
const refusals: Readonly<Record<OutboundRefusal, string>> = {
  malformed: 'is not an absolute URL',
  scheme: 'must start with https://',
  userinfo: 'must not contain a user name or password',
  port: 'uses a port that is not allowed',
  host: 'points to a host that is not allowed',
  address: 'does not point to a public address',
  downgrade: 'redirects from https to http',
}

/** Platform endpoints of a cloud that ipaddr.js 2.5 counts as ordinary unicast. */
const platformAddresses: ReadonlySet<string> = new Set(['168.63.129.16'])
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3')

/**
 * Whether an IP address, in any textual form, belongs to a host on the public Internet.
 * Loopback, private, link-local, reserved, translated and tunnelled ranges do not count; nor does what is no address.
 */
export const isPublicAddress = (address: string): boolean => {
  const canonical = toCanonical(address)
  if (canonical === null) return false
  const parsed = ipaddr.process(canonical)
  if (parsed.range() !== 'unicast') return false
  // Beyond 2000::/3 lie the deprecated IPv4-compatible addresses, which ipaddr.js 2.5 counts as unicast too.
  return parsed.kind() === 'ipv6' ? (parsed as ipaddr.IPv6).match(globalUnicast) : !platformAddresses.has(parsed.toString())
}

/** ipaddr.js 2.5 reads `::1.2.3.4` as if it were `::ffff:1.2.3.4`: hexadecimal groups leave it no room. */
const toCanonical = (address: string): string | null => {
  if (!address.includes(':')) return ipaddr.isValid(address) ? address : null
  return URL.canParse(`http://[${address}]`) ? new URL(`http://[${address}]`).hostname.slice(1, -1) : null
}

/** Says what is wrong with an address as far as its text tells, or null. Names are resolved only when connecting. */
export const checkUrl = (url: string, rules: OutboundSettings): string | null => {
  const verdict = judge(url, rules)
  return 'refused' in verdict ? refusals[verdict.refused] : null
}

/** What the text of an address tells; `from` is the one that redirected to it. */
export const judge = (text: string, rules: OutboundSettings, from?: URL): { url: URL } | { refused: OutboundRefusal } => {
  if (!URL.canParse(text, from?.href)) return { refused: 'malformed' }
  const url = new URL(text, from?.href)
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return { refused: 'scheme' }
  if (url.username !== '' || url.password !== '') return { refused: 'userinfo' }
  if (from?.protocol === 'https:' && url.protocol === 'http:') return { refused: 'downgrade' }
  const host = toHost(url.hostname)
  const port = toPort(url.port, url.protocol)
  if (isExempt(rules, host, port)) return { url }
  if (isPrivateHost(host)) return { refused: 'address' }
  if (url.protocol !== 'https:') return { refused: 'scheme' }
  if (port !== 443 && port !== 80 && !rules.allowPorts.includes(port)) return { refused: 'port' }
  return isListed(rules.allowHosts, host) ? { url } : { refused: 'host' }
}

/** Without the brackets of an IPv6 address and the dot of a fully qualified name. */
export const toHost = (hostname: string): string =>
  hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')

/** The port of an address, that of its scheme when it names none. */
export const toPort = (port: string, protocol: string): number => (port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port))

/** Whether a host is an address that is not public, or a name of this machine. */
export const isPrivateHost = (host: string): boolean =>
  toCanonical(host) !== null ? !isPublicAddress(host) : host === 'localhost' || host.endsWith('.localhost')

/** Whether the operator allows this host and port although they are private. */
export const isExempt = (rules: OutboundSettings, host: string, port: number): boolean =>
  rules.allowPrivateHosts.some((entry) => toHost(entry.host) === host && entry.port === port)

const isListed = (hosts: readonly string[], host: string): boolean =>
  hosts.length === 0 || hosts.some((entry) => (entry.startsWith('.') ? host.endsWith(entry) || host === entry.slice(1) : host === entry))
