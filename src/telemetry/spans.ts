// Spans as the rest of Jobgate sees them, and the one that is under way. Nothing of OpenTelemetry is loaded for it.

import { AsyncLocalStorage } from 'node:async_hooks'

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>

/** A piece of a trace. What it says reaches the operator's collector: no payloads, no addresses beyond their host, no error texts. */
export interface TraceSpan {
  readonly traceId: string
  readonly spanId: string
  /** Two hex digits: `01` when the span is recorded. */
  readonly flags: string
  set(attributes: SpanAttributes): void
  /** `fault`, a code, marks it as failed. Only the first call counts. */
  end(fault?: string): void
  /** A call to somebody else that this makes. */
  startCall(name: string, attributes: SpanAttributes): TraceSpan
}

/** Where a span belongs. Ids as in `traceparent`. */
export interface SpanStart {
  readonly name: string
  readonly attributes: SpanAttributes
  /** When it began, in milliseconds since 1970; now when undefined. */
  readonly startedAt?: number
  /** What it continues; without one it begins a trace. */
  readonly parent: SpanPlace | null
  /** A trace that is not continued. */
  readonly link?: { readonly traceId: string; readonly spanId: string } | null
}

export interface SpanPlace {
  readonly traceId: string
  readonly spanId: string
  readonly flags: string
  readonly traceState?: string | null
}

/** What makes spans and sends them off. */
export interface Tracing {
  /** A request that is being answered. */
  startRequest(start: SpanStart): TraceSpan
  /** An attempt of a job. */
  startAttempt(start: SpanStart): TraceSpan
  /** Sends what has ended, for a few seconds at most. */
  close(): Promise<void>
}

/** Each asynchronous chain has a span of its own, with its own exporter behind it: several applications do not meet here. */
const underWay = new AsyncLocalStorage<TraceSpan>()

/** Does the work, with everything that follows from it, under the span; simply does it without one. */
export const runInSpan = <T>(span: TraceSpan | undefined, work: () => T): T => (span ? underWay.run(span, work) : work())

/** How a call ended: `status` of HTTP, and a code when it failed. */
export interface CallEnd {
  readonly status?: number
  readonly fault?: string | undefined
}

/** Makes a call to somebody else, as a span of what is under way. Without one, which is the rule, it costs a look. */
export const traceCall = <T>(
  { name, host, method }: { name: string; host: string; method?: string },
  work: () => Promise<T>,
  describe: (outcome: T) => CallEnd,
): Promise<T> => {
  const span = underWay.getStore()?.startCall(name, {
    'server.address': host,
    ...(method === undefined ? {} : { 'http.request.method': method }),
  })
  return span ? follow(span, work, describe) : work()
}

const follow = async <T>(span: TraceSpan, work: () => Promise<T>, describe: (outcome: T) => CallEnd): Promise<T> => {
  try {
    const outcome = await work()
    const { status, fault } = describe(outcome)
    if (status !== undefined) span.set({ 'http.response.status_code': status })
    span.end(fault)
    return outcome
  } catch (error) {
    span.end('exception')
    throw error
  }
}

/** How an answer of HTTP ended a call. */
export const toHttpEnd = (status: number): CallEnd => (status >= 400 ? { status, fault: String(status) } : { status })
