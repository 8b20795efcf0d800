// Grants waits: bounded in time and number, ended when the client leaves, its key ends or the server stops.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Metrics } from '../../telemetry/metrics.js'
import type {} from '../authenticate.js'
import { createTenantCap } from './tenant-cap.js'

export interface LongPollOptions {
  /** The longest wait that is granted. */
  readonly maxWaitMs: number
  /** Waits at once for one tenant; beyond them none is granted. */
  readonly maxWaiters: number
  readonly metrics: Pick<Metrics, 'longPolls' | 'onRender'>
}

/** A granted wait. Call `end` when it is over. */
export interface Wait {
  readonly waitMs: number
  readonly signal: AbortSignal
  /** Why the key no longer allows the answer that was waited for; null while it does. */
  keyProblem(): Error | null
  end(): void
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Grants a wait of at most `wantedMs`; null when none is wanted or too many are under way. */
    grantWait(reply: FastifyReply, wantedMs: number | null): Wait | null
  }
}

const longPoll = async (app: FastifyInstance, { maxWaitMs, maxWaiters, metrics }: LongPollOptions) => {
  const waiters = createTenantCap(maxWaiters)
  metrics.onRender(() => {
    metrics.longPolls.set(waiters.total())
  })

  app.decorateRequest('grantWait', function (this: FastifyRequest, reply: FastifyReply, wantedMs: number | null): Wait | null {
    // A client that has left while its key was verified has nobody to wait for it.
    if (wantedMs === null || app.isStopping() || reply.raw.destroyed) return null
    const leave = waiters.enter(this.principal.tenant)
    if (!leave) return null
    const since = performance.now()
    const controller = new AbortController()
    const stop = () => controller.abort()
    const held = this.holdKey()
    held.signal.addEventListener('abort', stop, { once: true })
    app.stopSignal.addEventListener('abort', stop, { once: true })
    reply.raw.once('close', stop)
    return {
      waitMs: Math.min(wantedMs, maxWaitMs),
      signal: controller.signal,
      keyProblem: held.problem,
      end: () => {
        leave()
        held.release()
        this.heldMs = performance.now() - since
        app.stopSignal.removeEventListener('abort', stop)
        reply.raw.off('close', stop)
      },
    }
  })
}

export default fp(longPoll, { name: 'long-poll', dependencies: ['graceful-close', 'authenticate'] })
