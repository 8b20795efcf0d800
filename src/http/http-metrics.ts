// Measures every request under the pattern of its route, never its address.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Durations } from '../telemetry/histogram.js'
import type { Metrics } from '../telemetry/metrics.js'

export interface HttpMetricsOptions {
  readonly metrics: Pick<Metrics, 'httpDurations'>
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Milliseconds for which the request was held open because its client asked for it: they are not counted as slowness. */
    heldMs?: number
  }
}

/** Addresses without a route, all under one label. */
const unknownRoute = 'unknown'
const knownMethods: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
const otherMethod = 'other'

/** A method as a label: clients can make up others. */
export const toMethodLabel = (method: string): string => (knownMethods.has(method) ? method : otherMethod)

/** Register it before the routes. A request whose client left before its answer was complete is not counted. */
const httpMetrics = async (app: FastifyInstance, { metrics }: HttpMetricsOptions) => {
  /** What observes the requests of one method and route; a series is made for a class of status when it first occurs. */
  const createObserver = (method: string, route: string) => {
    const byClass: (Durations | undefined)[] = []
    return (request: FastifyRequest, reply: FastifyReply): void => {
      const statusClass = Math.floor(reply.statusCode / 100)
      const series = byClass[statusClass] ?? metrics.httpDurations.labels(method, route, `${statusClass}xx`)
      byClass[statusClass] = series
      series.observe(Math.max(0, reply.elapsedTime - (request.heldMs ?? 0)) / 1000)
    }
  }

  app.addHook('onRoute', (route) => {
    const observers = new Map([route.method].flat().map((method) => [method, createObserver(method, route.url)]))
    const [only] = observers.size === 1 ? observers.values() : []
    // Hooks with a callback cost no promise.
    const observe = (request: FastifyRequest, reply: FastifyReply, done: () => void) => {
      const observer = only ?? observers.get(request.method)
      observer?.(request, reply)
      done()
    }
    route.onResponse = [observe, ...[route.onResponse ?? []].flat()]
  })

  const unknown = new Map([...knownMethods, otherMethod].map((method) => [method, createObserver(method, unknownRoute)]))
  app.addHook('onResponse', (request, reply, done) => {
    if (request.is404) unknown.get(toMethodLabel(request.method))?.(request, reply)
    done()
  })
}

export default fp(httpMetrics, { name: 'http-metrics' })
