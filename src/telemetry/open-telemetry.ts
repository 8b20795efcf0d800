// Tracing through OpenTelemetry's SDK, sent as OTLP over HTTP. Loaded only when tracing is on; registers nothing globally.

import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Logger } from 'pino'
import type { TracingSettings } from '../config/config.js'
import { withDeadline } from '../runtime/deadline.js'
import { createThrottledLog } from '../runtime/throttled-log.js'
import type { SpanAttributes, SpanPlace, SpanStart, TraceSpan, Tracing } from './spans.js'
import { readVersion } from './version.js'

/** A collector that does not answer must not hold up a stop. */
const closeTimeoutMs = 5000
/** At most one line in this time about a collector that cannot be reached. */
const errorLogIntervalMs = 60_000

/** Opens the exporter; nothing is sent before a span has ended. A collector that is away costs spans, never requests or jobs. */
export const openOpenTelemetry = async ({
  settings,
  instanceId,
  log,
}: {
  settings: TracingSettings
  instanceId: string
  log: Logger
}): Promise<Tracing> => {
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      ...settings.resourceAttributes,
      'service.name': settings.serviceName,
      'service.version': readVersion(),
      'service.instance.id': instanceId,
    }),
    sampler: toSampler(settings.sampler, settings.samplerRatio),
    spanLimits: { attributeValueLengthLimit: 256 },
    spanProcessors: [new BatchSpanProcessor({ exporter: logFailures(await createExporter(settings), log) })],
  })
  const tracer = provider.getTracer('jobgate', readVersion())
  const start = (kind: SpanKind, { name, attributes, parent, link, startedAt }: SpanStart): TraceSpan =>
    toTraceSpan(
      tracer,
      tracer.startSpan(
        name,
        {
          kind,
          attributes,
          ...(startedAt === undefined ? {} : { startTime: startedAt }),
          ...(link ? { links: [{ context: { ...link, traceFlags: 0, isRemote: true } }] } : {}),
        },
        parent ? trace.setSpanContext(ROOT_CONTEXT, toSpanContext(parent)) : ROOT_CONTEXT,
      ),
    )

  let closing: Promise<void> | undefined
  return {
    startRequest: (started) => start(SpanKind.SERVER, started),
    startAttempt: (started) => start(SpanKind.CONSUMER, started),
    close: () => {
      closing ??= closeInTime(provider, log)
      return closing
    },
  }
}

const closeInTime = async (provider: TracerProvider, log: Logger): Promise<void> => {
  try {
    if ((await withDeadline(provider.shutdown(), closeTimeoutMs, 'late')) === 'late') log.warn('sending the last spans timed out')
  } catch (error) {
    log.warn({ error: (error as Error).message }, 'the last spans were not sent')
  }
}

const toSpanContext = ({ traceId, spanId, flags, traceState }: SpanPlace): SpanContext => ({
  traceId,
  spanId,
  traceFlags: Number.parseInt(flags, 16) & 1,
  isRemote: true,
  ...(traceState ? { traceState: createTraceState(traceState) } : {}),
})

const toTraceSpan = (tracer: Tracer, span: Span): TraceSpan => {
  const { traceId, spanId, traceFlags } = span.spanContext()
  const inside: Context = trace.setSpan(ROOT_CONTEXT, span)
  return {
    traceId,
    spanId,
    flags: (traceFlags & 1).toString().padStart(2, '0'),
    set: (attributes: SpanAttributes) => {
      span.setAttributes(attributes)
    },
    end(fault) {
      if (!span.isRecording()) return
      if (fault !== undefined) span.setAttribute('error.type', fault).setStatus({ code: SpanStatusCode.ERROR })
      span.end()
    },
    startCall: (name, attributes) => toTraceSpan(tracer, tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes }, inside)),
  }
}

const toSampler = (name: TracingSettings['sampler'], ratio: number): Sampler => {
  const root = name.endsWith('always_off')
    ? new AlwaysOffSampler()
    : name.endsWith('traceidratio')
      ? new TraceIdRatioBasedSampler(ratio)
      : new AlwaysOnSampler()
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

const createExporter = async ({ protocol, url, headers }: TracingSettings): Promise<SpanExporter> => {
  // Each brings its own serializer: only the one that is used is loaded.
  const { OTLPTraceExporter } =
    protocol === 'http/json'
      ? await import('@opentelemetry/exporter-trace-otlp-http')
      : await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter({ url, headers: { ...headers } })
}

/** The SDK would drop spans without a word. */
const logFailures = (exporter: SpanExporter, log: Logger): SpanExporter => {
  const note = createThrottledLog(
    ({ error, spans }: { error: Error | undefined; spans: number }, unlogged) =>
      log.warn({ error: error?.message, spans, unlogged }, 'spans were not sent'),
    errorLogIntervalMs,
  )
  return {
    export(spans, done) {
      exporter.export(spans, (result) => {
        // 0 is success; the name for it lies in a package of its own.
        if (result.code !== 0) note({ error: result.error, spans: spans.length })
        done(result)
      })
    },
    shutdown: () => exporter.shutdown(),
    forceFlush: async () => exporter.forceFlush?.(),
  }
}
