// GET /metrics and /livez of a process that only works jobs: a server for nothing else.

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'
import { createTokenCheck } from '../auth/bearer-token.js'
import type { Metrics } from '../telemetry/metrics.js'

const requestTimeoutMs = 10_000
const connectionsMax = 16

/** `url` is that of /metrics. Listens until closed; `port` 0 takes a free one. Throws when the address is taken. */
export const openMetricsListener = async ({
  host,
  port,
  token,
  metrics,
  log,
}: {
  host: string
  port: number
  token: string | undefined
  metrics: Pick<Metrics, 'contentType' | 'render'>
  log: Logger
}) => {
  const isAllowed = createTokenCheck(token)
  const server = createServer({ requestTimeout: requestTimeoutMs, insecureHTTPParser: false }, async (request, response) => {
    const end = (status: number, headers: Record<string, string>, text: string) =>
      response
        .writeHead(status, {
          'content-type': 'text/plain; charset=utf-8',
          'x-content-type-options': 'nosniff',
          'cache-control': 'no-store',
          ...headers,
        })
        .end(text)
    request.resume()
    const path = request.url?.split('?', 1)[0]
    if (path !== '/metrics' && path !== '/livez') return end(404, {}, 'Only /metrics and /livez are available here.\n')
    if (request.method !== 'GET' && request.method !== 'HEAD') return end(405, { allow: 'GET, HEAD' }, `${path} supports GET only.\n`)
    // As at the gateway: it says that the process answers, whatever Redis does, and an orchestrator has no token.
    if (path === '/livez') return end(200, { 'content-type': 'application/json; charset=utf-8' }, '{"status":"ok"}')
    if (!isAllowed(request.headers.authorization)) {
      return end(401, { 'www-authenticate': 'Bearer realm="jobgate metrics"' }, 'Send the METRICS_TOKEN of this worker.\n')
    }
    try {
      return end(200, { 'content-type': metrics.contentType }, await metrics.render())
    } catch (error) {
      log.error({ err: error }, 'collecting metrics failed')
      return end(500, {}, 'Collecting metrics failed.\n')
    }
  })
  server.maxConnections = connectionsMax
  server.listen({ host, port })
  await once(server, 'listening')
  const { address, port: bound } = server.address() as AddressInfo
  let closed: Promise<unknown> | undefined
  return {
    url: `http://${address.includes(':') ? `[${address}]` : address}:${bound}/metrics`,
    async close() {
      closed ??= once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
