// A collector for tests: takes OTLP over HTTP and keeps the spans that came as JSON.

import { startStubServer } from './vendor-stubs/stub-server.js'

type AttributeValue = { stringValue?: string; intValue?: number | string; boolValue?: boolean; doubleValue?: number }
interface WireSpan {
  traceId: string
  spanId: string
  parentSpanId?: string
  traceState?: string
  name: string
  kind: number
  attributes: { key: string; value: AttributeValue }[]
  links?: { traceId: string; spanId: string }[]
  status: { code?: number; message?: string }
  events?: unknown[]
}
interface WireBody {
  resourceSpans: { resource: { attributes: WireSpan['attributes'] }; scopeSpans: { spans: WireSpan[] }[] }[]
}

export interface ReceivedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly traceState: string | null
  readonly name: string
  readonly kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer'
  readonly attributes: Readonly<Record<string, unknown>>
  readonly resource: Readonly<Record<string, unknown>>
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[]
  readonly failed: boolean
}

const kinds = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const

/** Listens until the test ends. `spans` are in the order of their arrival, `requests` as they came. */
export const startOtlpReceiver = async (t: Parameters<typeof startStubServer>[0]) => {
  const spans: ReceivedSpan[] = []
  const { url, requests } = await startStubServer(t, {
    work: ({ headers, body }) => {
      if (headers['content-type'] === 'application/json') spans.push(...toSpans(JSON.parse(body) as WireBody))
      return { body: {} }
    },
  })
  return {
    url,
    requests,
    spans,
    /** The one span of this name; throws when there is none or more. */
    span(name: string): ReceivedSpan {
      const found = spans.filter((span) => span.name === name)
      if (found.length !== 1) throw new Error(`${found.length} spans are called ${name}; there are: ${spans.map((span) => span.name)}`)
      return found[0] as ReceivedSpan
    },
  }
}

const toSpans = ({ resourceSpans }: WireBody): ReceivedSpan[] =>
  resourceSpans.flatMap(({ resource, scopeSpans }) =>
    scopeSpans.flatMap(({ spans }) =>
      spans.map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId || null,
        traceState: span.traceState || null,
        name: span.name,
        kind: kinds[span.kind] ?? 'internal',
        attributes: toRecord(span.attributes),
        resource: toRecord(resource.attributes),
        links: (span.links ?? []).map(({ traceId, spanId }) => ({ traceId, spanId })),
        failed: span.status.code === 2,
      })),
    ),
  )

const toRecord = (attributes: WireSpan['attributes']) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]))
