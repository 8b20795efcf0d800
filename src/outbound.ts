// Fetches what an address in job data points to, after making sure that the address is a public one.

import { lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import ipaddr from 'ipaddr.js'
import { Agent, buildConnector, type Dispatcher, request } from 'undici'
import type { Config } from './config.js'
import { toHttpEnd, traceCall } from './telemetry/spans.js'

/** Which rule an address breaks. */
export type OutboundRefusal = 'malformed' | 'scheme' | 'userinfo' | 'port' | 'host' | 'address' | 'downgrade'

/** What a refusal says to the client; never the address itself, whose query may be a credential. */
const refusals: Readonly<Record<OutboundRefusal, string>> = {
  malformed: 'is not an absolute address',
  scheme: 'has to start with https://',
  userinfo: 'must not contain a user name or password',
  port: 'names a port that is not allowed here',
  host: 'points to a host that is not allowed here',
  address: 'does not point to a public address',
  downgrade: 'leads from https to http',
}

/** How a fetch ended, or, for `response`, how it began. */
export type OutboundOutcome =
  | OutboundResponse
  /** A rule forbids the address or one it redirects to; nothing was sent there. */
  | { readonly kind: 'refused'; readonly reason: OutboundRefusal }
  | { readonly kind: 'too-many-redirects' }
  /** The announced length exceeds `maxBytes`. */
  | { readonly kind: 'too-large' }
  /** The server compressed the body although it was asked not to; it is not unpacked here. */
  | { readonly kind: 'encoded' }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'timeout' }
  | { readonly kind: 'aborted' }

export interface OutboundResponse {
  readonly kind: 'response'
  /** Any status; 3xx only where no redirect could be followed. */
  readonly status: number
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  /** As announced; null when the server announces none. */
  readonly sizeBytes: number | null
  /** To be read once. Throws errors that `outboundFault` explains. */
  readonly body: AsyncIterable<Buffer>
  /** Drops the connection; harmless after the body was read. */
  discard(): void
}

/** Why a body broke off: over `maxBytes`, cut off, silent or slow for too long, or aborted by the caller. */
export type OutboundFault = 'too-large' | 'interrupted' | 'timeout' | 'aborted'

export interface OutboundRequest {
  readonly signal: AbortSignal
  /** More bytes than this are never read. */
  readonly maxBytes: number
  readonly headers?: Readonly<Record<string, string>>
  /** The server may take this long to answer with headers. */
  readonly headersTimeoutMs?: number
  /** The body may pause this long. */
  readonly idleTimeoutMs?: number
  /** All of it, redirects and body included. */
  readonly totalTimeoutMs?: number
}

const connectTimeoutMs = 10_000
const defaults = { headersTimeoutMs: 30_000, idleTimeoutMs: 30_000, totalTimeoutMs: 3_600_000 }
const redirectStatuses: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])

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
export const checkUrl = (url: string, rules: Config['outbound']): string | null => {
  const verdict = judge(url, rules)
  return 'refused' in verdict ? refusals[verdict.refused] : null
}

/**
 * A client for addresses that others chose. Only public addresses are connected to: literal hosts, every resolved
 * address and the connected peer are checked, on each redirect anew. Proxy variables are not read, nothing is unpacked.
 * `lookup` and `ca` stand in for the system's resolver and authorities.
 */
export const createOutbound = ({
  config,
  lookup = systemLookup as LookupFunction,
  ca,
}: {
  config: Pick<Config, 'outbound'>
  lookup?: LookupFunction
  ca?: string
}) => {
  const rules = config.outbound
  const tls = { rejectUnauthorized: true, ...(ca === undefined ? {} : { ca }) }
  const agent = new Agent({
    connect: guard(
      rules,
      buildConnector({ timeout: connectTimeoutMs, ...tls, lookup: onlyPublic(lookup) }),
      buildConnector({ timeout: connectTimeoutMs, ...tls, lookup }),
    ),
    // One request a connection: a kept connection would outlive the check of its name.
    pipelining: 0,
  })

  const follow = async (first: URL, options: OutboundRequest, signal: AbortSignal): Promise<OutboundOutcome> => {
    let url = first
    for (let hop = 0; hop <= rules.maxRedirects; hop += 1) {
      const answer = await request(url, {
        dispatcher: agent,
        headers: { 'accept-encoding': 'identity', 'user-agent': 'jobgate', ...options.headers },
        headersTimeout: options.headersTimeoutMs ?? defaults.headersTimeoutMs,
        bodyTimeout: options.idleTimeoutMs ?? defaults.idleTimeoutMs,
        signal,
      })
      // The body's iterator reports errors; without a listener one that comes before or after reading would end the process.
      answer.body.on('error', () => undefined)
      const location = answer.headers['location']
      if (!redirectStatuses.has(answer.statusCode) || location === undefined) return toResponse(answer, options, signal)
      drop(answer)
      const verdict = judge(String(location), rules, url)
      if ('refused' in verdict) return { kind: 'refused', reason: verdict.refused }
      url = verdict.url
    }
    return { kind: 'too-many-redirects' }
  }

  const get = async (url: URL, options: OutboundRequest): Promise<OutboundOutcome> => {
    const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.totalTimeoutMs ?? defaults.totalTimeoutMs)])
    try {
      return await follow(url, options, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === refusedCode) return { kind: 'refused', reason: 'address' }
      const fault = toFault(error, options, signal)
      return { kind: fault === 'interrupted' || fault === 'too-large' ? 'unreachable' : fault }
    }
  }

  return {
    /** See the function of the same name. */
    checkUrl: (url: string): string | null => checkUrl(url, rules),

    /** Sends a GET. Never throws; the body of a response may. */
    async fetch(url: string, options: OutboundRequest): Promise<OutboundOutcome> {
      const verdict = judge(url, rules)
      if ('refused' in verdict) return { kind: 'refused', reason: verdict.refused }
      // Until the headers are there; the body is read at the caller's pace.
      return traceCall(
        { name: 'GET', host: verdict.url.hostname, method: 'GET' },
        () => get(verdict.url, options),
        (outcome) => (outcome.kind === 'response' ? toHttpEnd(outcome.status) : { fault: outcome.kind }),
      )
    },

    close: (): Promise<void> => agent.destroy(),
  }
}

/** Explains an error that a response's body threw; null for errors from elsewhere. */
export const outboundFault = (error: unknown): OutboundFault | null => (error as { outboundFault?: OutboundFault })?.outboundFault ?? null

const judge = (text: string, rules: Config['outbound'], from?: URL): { url: URL } | { refused: OutboundRefusal } => {
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
const toHost = (hostname: string): string =>
  hostname
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/\.$/, '')

const toPort = (port: string, protocol: string): number => (port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port))

const isPrivateHost = (host: string): boolean =>
  toCanonical(host) !== null ? !isPublicAddress(host) : host === 'localhost' || host.endsWith('.localhost')

const isExempt = (rules: Config['outbound'], host: string, port: number): boolean =>
  rules.allowPrivateHosts.some((entry) => toHost(entry.host) === host && entry.port === port)

const isListed = (hosts: readonly string[], host: string): boolean =>
  hosts.length === 0 || hosts.some((entry) => (entry.startsWith('.') ? host.endsWith(entry) || host === entry.slice(1) : host === entry))

const refusedCode = 'ERR_OUTBOUND_ADDRESS'
const refusedAddress = (): NodeJS.ErrnoException => Object.assign(new Error('not a public address'), { code: refusedCode })

/** Refuses a name as soon as one of its addresses is not public, so that what is connected to was checked. */
const onlyPublic =
  (lookup: LookupFunction): LookupFunction =>
  (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) return callback(error, '')
      const addresses = found as unknown as { address: string; family: number }[]
      const [first] = addresses
      if (!first || !addresses.every(({ address }) => isPublicAddress(address))) return callback(refusedAddress(), '')
      if (options.all) return callback(null, addresses)
      callback(null, first.address, first.family)
    })
  }

/** Checks in the connector: a literal address never reaches `lookup`. */
const guard =
  (rules: Config['outbound'], guarded: buildConnector.connector, exempt: buildConnector.connector): buildConnector.connector =>
  (options, callback) => {
    const host = toHost(options.hostname)
    if (isExempt(rules, host, toPort(options.port, options.protocol))) return exempt(options, callback)
    if (isPrivateHost(host)) return callback(refusedAddress(), null)
    guarded(options, (...[error, socket]) => {
      if (error) return callback(error, null)
      if (isPublicAddress(socket.remoteAddress ?? '')) return callback(null, socket)
      socket.destroy()
      callback(refusedAddress(), null)
    })
  }

const toResponse = (answer: Dispatcher.ResponseData, options: OutboundRequest, signal: AbortSignal): OutboundOutcome => {
  const headers = Object.fromEntries(Object.entries(answer.headers).map(([name, value]) => [name, String(value)]))
  const length = headers['content-length']
  const sizeBytes = length === undefined || !/^\d{1,15}$/.test(length) ? null : Number(length)
  const refuse = (kind: 'too-large' | 'encoded'): OutboundOutcome => {
    drop(answer)
    return { kind }
  }
  if (sizeBytes !== null && sizeBytes > options.maxBytes) return refuse('too-large')
  if (!['', 'identity'].includes(headers['content-encoding']?.toLowerCase() ?? '')) return refuse('encoded')
  return {
    kind: 'response',
    status: answer.statusCode,
    headers,
    sizeBytes,
    body: readBody(answer, options, signal),
    discard: () => drop(answer),
  }
}

async function* readBody(answer: Dispatcher.ResponseData, options: OutboundRequest, signal: AbortSignal): AsyncGenerator<Buffer> {
  let received = 0
  try {
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      received += chunk.length
      if (received > options.maxBytes) throw Object.assign(new Error(), { code: tooLargeCode })
      yield chunk
    }
  } catch (error) {
    const fault = toFault(error, options, signal)
    throw Object.assign(new Error(`The body broke off: ${fault}`), { outboundFault: fault })
  }
}

const tooLargeCode = 'ERR_OUTBOUND_SIZE'
const timeoutCodes: ReadonlySet<string> = new Set([
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'ETIMEDOUT',
])

const toFault = (error: unknown, options: OutboundRequest, signal: AbortSignal): OutboundFault => {
  const code = (error as NodeJS.ErrnoException)?.code ?? ''
  if (code === tooLargeCode) return 'too-large'
  if (options.signal.aborted) return 'aborted'
  return signal.aborted || timeoutCodes.has(code) ? 'timeout' : 'interrupted'
}

/** Ends the connection without reading on. */
const drop = (answer: Dispatcher.ResponseData): void => {
  answer.body.destroy()
}
