// Stops without breaking a request: readiness first, then long polls, streams and imports, then the connections.

import { setMaxListeners } from 'node:events'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type OpenDuty, openDuty } from '../runtime/duty.js'
import { problem } from './problems/problem-json.js'

declare module 'fastify' {
  interface FastifyInstance {
    /** True from `startStopping` or `close` on: /readyz turns 503 and answers close their connection. */
    isStopping(): boolean
    /** Call on SIGTERM, before SHUTDOWN_DRAIN_MS: new connections still work, but no client keeps one. */
    startStopping(): void
    /** Aborted when the server closes: long polls, streams and imports end then. Its reason is the problem to tell. */
    readonly stopSignal: AbortSignal
  }
}

/** While it closes, connections whose answer has ended are looked for this often. */
const idleLookMs = 100

const gracefulClose = async (app: FastifyInstance) => {
  let isStopping = false
  const stop = new AbortController()
  // One listener for every open import and long poll.
  setMaxListeners(0, stop.signal)

  app.decorate('isStopping', () => isStopping)
  app.decorate('startStopping', () => {
    isStopping = true
  })
  app.decorate('stopSignal', stop.signal)

  app.addHook('onRequest', (request, _reply, done) => {
    // Probes answer to the last: one that fails would have a supervisor kill what is about to end by itself.
    const isRefused = stop.signal.aborted && !request.routeOptions.config.quiet
    done(
      isRefused ? problem('shutting-down', 'This instance is shutting down and accepts no new requests. Nothing was stored.') : undefined,
    )
  })

  app.addHook('onSend', (_request, reply, payload, done) => {
    // Otherwise a keep-alive client holds the server open until its timeout.
    if (isStopping) reply.header('connection', 'close')
    done(null, payload)
  })

  let idleLook: OpenDuty | undefined
  app.addHook('preClose', async () => {
    isStopping = true
    stop.abort(
      problem('shutting-down', 'This instance is shutting down and has stopped reading the body.', { headers: { connection: 'close' } }),
    )
    // Answers that began before told their clients to keep the connection; the server closes those that are idle by now only.
    const run = () => app.server.closeIdleConnections()
    idleLook = openDuty(
      { name: 'idle-connections', everyMs: idleLookMs, run, failure: 'closing idle connections failed' },
      { log: app.log },
    )
  })
  app.addHook('onClose', async () => idleLook?.close())
}

export default fp(gracefulClose, { name: 'graceful-close', dependencies: ['problem-json'] })
