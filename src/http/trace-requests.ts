// A span for every request, named by its route: the trace of its caller goes on, or a new one begins.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { TraceSpan, Tracing } from '../telemetry/spans.js'
import { parseTraceparent, parseTracestate } from '../telemetry/trace-context.js'
import { toMethodLabel } from './http-metrics.js'

export interface TraceRequestsOptions {
  readonly tracing: Pick<Tracing, 'startRequest'>
  /** Whether a caller's `traceparent` is carried on; otherwise a new trace is linked to it. */
  readonly trustTrace: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Only where tracing is on, and not for probes and metrics. */
    span?: TraceSpan
  }
}

/** Register it only when tracing is on, after `request-log`. */
const traceRequests = async (app: FastifyInstance, { tracing, trustTrace }: TraceRequestsOptions) => {
  app.addHook('onRequest', (request, reply, done) => {
    if (request.routeOptions.config.quiet) return done()
    const span = start(request)
    request.span = span
    const end = () => {
      span.set({ 'http.response.status_code': reply.statusCode })
      span.end(reply.statusCode >= 500 ? String(reply.statusCode) : undefined)
    }
    // Also when the client leaves before its answer is complete.
    reply.raw.once('close', end)
    done()
  })

  const start = (request: FastifyRequest): TraceSpan => {
    const { method, route } = { method: toMethodLabel(request.method), route: request.routeOptions.url }
    const caller = parseTraceparent(request.headers['traceparent'])
    const traceState = caller && parseTracestate(request.headers['tracestate'])
    const parent = trustTrace && caller ? { ...caller, traceState } : null
    const link = parent ? null : caller
    const span = tracing.startRequest({
      // Never the address: it may hold ids and query values.
      name: route === undefined ? method : `${method} ${route}`,
      attributes: {
        'http.request.method': method,
        ...(route === undefined ? {} : { 'http.route': route }),
        'jobgate.request.id': request.id,
      },
      parent,
      link,
    })
    const { traceId, spanId, flags } = span
    request.traceContext = {
      traceId,
      spanId,
      flags,
      parentSpanId: parent?.spanId ?? null,
      traceState: parent?.traceState ?? null,
      link: link && { traceId: link.traceId, spanId: link.spanId },
    }
    return span
  }
}

export default fp(traceRequests, { name: 'trace-requests', dependencies: ['request-log'] })
