// Reads and writes W3C trace context, so that one trace leads from the caller through the job to what the job calls.

import { randomBytes } from 'node:crypto'

/** Where a request stands in its trace. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string
  /** 16 hex digits: the part of the trace that this request is. */
  readonly spanId: string
  /** The caller's part; null where the trace begins here. */
  readonly parentSpanId: string | null
  /** Two hex digits, as the caller sent them. */
  readonly flags: string
  /** As the caller sent it, bounded; null without one. */
  readonly traceState: string | null
  /** The caller's trace, where it is not carried on. */
  readonly link: { readonly traceId: string; readonly spanId: string } | null
}

type Header = string | readonly string[] | undefined

const traceparentForm = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/
const headerLengthMax = 512
const stateLengthRead = 8192
const stateLengthMax = 512
const stateMembersMax = 32
/** `key=value`; a key may name a tenant before `@`. */
const stateMember =
  /^(?:[a-z0-9][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/

/** The caller's place in its trace; null for anything invalid, which is never an error. Of higher versions the first four fields count. */
export const parseTraceparent = (header: Header): { traceId: string; spanId: string; flags: string } | null => {
  if (typeof header !== 'string' || header.length > headerLengthMax) return null
  const [, version, traceId = '', spanId = '', flags = '', rest] = traceparentForm.exec(header.trim()) ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  // Of flags that a later version defines, only `sampled` is known here.
  return { traceId, spanId, flags: version === '00' ? flags : (Number.parseInt(flags, 16) & 1).toString().padStart(2, '0') }
}

/** At most 32 members and 512 characters, dropped in whole members; null when there is none or one is malformed. */
export const parseTracestate = (header: Header): string | null => {
  const text = typeof header === 'string' ? header : header?.join(',')
  if (text === undefined || text.length > stateLengthRead) return null
  const members = text
    .split(',')
    .map((member) => member.replace(/^[ \t]+|[ \t]+$/g, ''))
    .filter((member) => member !== '')
  const keys = new Set(members.map((member) => member.slice(0, member.indexOf('='))))
  if (keys.size !== members.length || !members.every((member) => stateMember.test(member))) return null
  const kept: string[] = []
  let length = 0
  for (const member of members.slice(0, stateMembersMax)) {
    length += member.length + (kept.length > 0 ? 1 : 0)
    if (length > stateLengthMax) break
    kept.push(member)
  }
  return kept.length > 0 ? kept.join(',') : null
}

/**
 * The trace of a request: the caller's with a new span, or a new one.
 * `trust: false` starts a new trace, linked to the caller's.
 */
export const toTraceContext = (headers: { readonly [name: string]: Header }, { trust }: { trust: boolean }): TraceContext => {
  const caller = parseTraceparent(headers['traceparent'])
  const spanId = mintId(8)
  if (caller && trust) {
    const { traceId, spanId: parentSpanId, flags } = caller
    return { traceId, spanId, parentSpanId, flags, traceState: parseTracestate(headers['tracestate']), link: null }
  }
  const link = caller ? { traceId: caller.traceId, spanId: caller.spanId } : null
  return { traceId: mintId(16), spanId, parentSpanId: null, flags: '00', traceState: null, link }
}

/** The header that hands the trace on, with `spanId` as the caller's part. */
export const formatTraceparent = ({ traceId, spanId, flags }: Pick<TraceContext, 'traceId' | 'spanId' | 'flags'>): string =>
  `00-${traceId}-${spanId}-${flags}`

/** Random hex, never all zero. */
const mintId = (bytes: number): string => {
  const id = randomBytes(bytes).toString('hex')
  return /^0+$/.test(id) ? mintId(bytes) : id
}
