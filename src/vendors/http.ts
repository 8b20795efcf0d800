// Makes one HTTP call to a vendor at an address that the operator configured, and says how far it got.

import { Agent, type Dispatcher, request } from 'undici'
import { toHttpEnd, traceCall } from '../telemetry/spans.js'

export interface VendorRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Path and query exactly as they go out: a signature may cover them. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | undefined
  readonly signal: AbortSignal
}

/** How far one call got. Nothing of the vendor's or the network's own words is kept. */
export type VendorReply =
  /** Any status, redirects included: they are not followed. `json` is undefined when the body is none. */
  | { readonly kind: 'answered'; readonly status: number; readonly headers: Dispatcher.ResponseData['headers']; readonly json: unknown }
  /** No connection came about: the vendor saw nothing. */
  | { readonly kind: 'not-sent' }
  /** Broken off after the vendor may have read the request: timeout, reset, abort, or an answer too large. */
  | { readonly kind: 'broken' }

export type VendorHttp = ReturnType<typeof openVendorHttp>

/** An answer larger than this is not one of the documented ones. */
const replyBytesMax = 8 * 1024 * 1024

/** Seen with undici 7.30 and Node 20: what a failed connect is called. All else may have happened after sending. */
const connectCodes =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL|UND_ERR_CONNECT_TIMEOUT|CERT_.+|DEPTH_ZERO_SELF_SIGNED_CERT|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_.+|ERR_TLS_CERT_ALTNAME_INVALID)$/

/**
 * Opens connections to one vendor. `baseUrl` is the operator's: it may be loopback, and no job can change it.
 * In: `connectTimeoutMs` bounds the connect, `timeoutMs` the whole call.
 */
export const openVendorHttp = ({
  baseUrl,
  connectTimeoutMs,
  timeoutMs,
}: {
  baseUrl: string
  connectTimeoutMs: number
  timeoutMs: number
}) => {
  const { origin } = new URL(baseUrl)
  const agent = new Agent({ connect: { timeout: connectTimeoutMs }, headersTimeout: timeoutMs, bodyTimeout: timeoutMs, connections: 32 })

  const send = async ({ method, path, headers, body, signal }: VendorRequest): Promise<VendorReply> => {
    if (signal.aborted) return { kind: 'not-sent' }
    const end = new AbortController()
    const abort = () => end.abort()
    const timer = setTimeout(abort, timeoutMs)
    signal.addEventListener('abort', abort, { once: true })
    try {
      const response = await request(`${origin}${path}`, { method, headers, body: body ?? null, dispatcher: agent, signal: end.signal })
      const text = await readText(response.body)
      return text === null
        ? { kind: 'broken' }
        : { kind: 'answered', status: response.statusCode, headers: response.headers, json: parse(text) }
    } catch (error) {
      return { kind: connectCodes.test((error as NodeJS.ErrnoException).code ?? '') ? 'not-sent' : 'broken' }
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', abort)
    }
  }

  const { host, hostname } = new URL(baseUrl)
  return {
    /** Never throws for what the network or the vendor does. */
    call: (options: VendorRequest): Promise<VendorReply> =>
      traceCall(
        { name: options.method, host: hostname, method: options.method },
        () => send(options),
        (reply) => (reply.kind === 'answered' ? toHttpEnd(reply.status) : { fault: reply.kind }),
      ),
    host,
    close: () => agent.destroy(),
  }
}

const readText = async (body: Dispatcher.ResponseData['body']): Promise<string | null> => {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > replyBytesMax) return null
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
