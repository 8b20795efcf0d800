// Fetches what an address in job data points to, after making sure that the address is a public one.

import { lookup as systemLookup } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { Agent, buildConnector, type Dispatcher, request } from 'undici'
import { toHttpEnd, traceCall } from '../telemetry/spans.js'
import type { OutboundFault, OutboundOutcome } from './outcome.js'
import { checkUrl, isExempt, isPrivateHost, isPublicAddress, judge, toHost, toPort } from './rules.js'
import type { OutboundSettings } from './settings.js'

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

/**
 * A client for addresses that others chose. Only public addresses are connected to: literal hosts, every resolved
 * address and the connected peer are checked, again on each redirect. Proxy variables are not read, nothing is unpacked.
 * `lookup` and `ca` stand in for the system's resolver and authorities.
 */
export const createOutbound = ({
  rules,
  lookup = systemLookup as LookupFunction,
  ca,
}: {
  rules: OutboundSettings
  lookup?: LookupFunction
  ca?: string
}) => {
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
  (rules: OutboundSettings, guarded: buildConnector.connector, exempt: buildConnector.connector): buildConnector.connector =>
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
    throw Object.assign(new Error(`The body was cut off: ${fault}`), { outboundFault: fault })
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
