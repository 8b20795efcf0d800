// One log line a request, and the trace that request, job and worker share.

import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Logger } from 'pino'
import { createLazyLogger } from '../telemetry/lazy-logger.js'
import { type TraceContext, toTraceContext } from '../telemetry/trace-context.js'

export interface RequestLogOptions {
  /** Whether a caller's `traceparent` is carried on; otherwise a new trace starts here. */
  readonly trustTrace: boolean
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The trace this request belongs to; hand it on with the job. */
    traceContext: TraceContext
    /** The same once it has been asked for. */
    knownTraceContext: TraceContext | null
  }
  interface FastifyContextConfig {
    /** Requests to this route are logged at debug, since they come by the second. */
    quiet?: boolean
  }
}

interface Caller {
  readonly principal?: { readonly keyId: string; readonly tenant: string }
}

const requestLog = async (app: FastifyInstance, { trustTrace }: RequestLogOptions) => {
  app.decorateRequest('knownTraceContext', null)
  app.decorateRequest('traceContext', {
    // Random ids cost more than most of a request: they are minted when somebody asks for them.
    getter(this: FastifyRequest) {
      this.knownTraceContext ??= toTraceContext(this.headers, { trust: trustTrace })
      return this.knownTraceContext
    },
    setter(this: FastifyRequest, context: TraceContext) {
      this.knownTraceContext = context
    },
  })

  app.addHook('onRequest', (request, reply, done) => {
    const parent = request.log as Logger
    request.log = createLazyLogger(parent, () => {
      const { traceId, spanId, link } = request.traceContext
      return { trace_id: traceId, span_id: spanId, ...(link ? { link_trace_id: link.traceId } : {}) }
    })
    reply.log = request.log
    done()
  })

  app.addHook('onResponse', (request, reply, done) => {
    done()
    const { method, routeOptions } = request
    const level = routeOptions.config.quiet || request.isShed ? 'debug' : reply.statusCode >= 500 ? 'warn' : 'info'
    if (!(request.log as Logger).isLevelEnabled(level)) return
    const principal = (request as unknown as Caller).principal
    const line = {
      method,
      // The pattern, never the address: that may hold ids and query values. Unknown addresses have none.
      route: routeOptions.url ?? null,
      statusCode: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      ...(principal ? { keyId: principal.keyId, tenant: principal.tenant } : {}),
    }
    request.log[level](line, 'request')
  })
}

export default fp(requestLog, { name: 'request-log' })
