// GET /metrics: what Prometheus reads.

import type { FastifyInstance } from 'fastify'
import { createTokenCheck } from '../auth/bearer-token.js'
import { problem } from '../http/problems/problem-json.js'
import { shareFor } from '../runtime/single-flight.js'
import type { Metrics } from '../telemetry/metrics.js'

export interface MetricsOptions {
  readonly metrics: Pick<Metrics, 'contentType' | 'render'>
  /** METRICS_TOKEN: the bearer token that is asked for; undefined asks for none. */
  readonly token: string | undefined
}

/** However many ask, the text is made once in this time. */
const cacheMs = 1000

const metricsRoute = async (app: FastifyInstance, { metrics, token }: MetricsOptions) => {
  const isAllowed = createTokenCheck(token)
  const render = shareFor(cacheMs, metrics.render)

  app.get('/metrics', { schema: { hide: true }, config: { quiet: true, uncounted: token !== undefined } }, async (request, reply) => {
    if (!isAllowed(request.headers.authorization)) {
      await app.limitFailedAuthentication(request, reply)
      throw problem('unauthorized', 'Send `Authorization: Bearer <token>` with the METRICS_TOKEN of this gateway.', {
        headers: { 'www-authenticate': 'Bearer realm="jobgate metrics"' },
      })
    }
    return reply
      .header('content-type', metrics.contentType)
      .header('cache-control', 'no-store')
      .send(await render())
  })
}

export default metricsRoute
