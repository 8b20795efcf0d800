// Sheds submissions, before their bodies are read, while this instance has more work than it can answer in time.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Metrics } from '../telemetry/metrics.js'
import { sendProblem } from './problem-json.js'

export interface OverloadOptions {
  /** Submissions that may wait for Redis at once; 0 sets no limit. */
  readonly maxInFlight: number
  /** The event loop may be late by this much, in milliseconds; 0 sets no limit. */
  readonly maxDelayMs: number
  readonly metrics: Pick<Metrics, 'shedRequests'>
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether a submission that came now would be shed. */
    isOverloaded(): boolean
    /** Single submissions that have been read and wait for Redis. Their handler counts them, so that none costs a listener. */
    readonly submissionsInFlight: { count: number }
  }
  interface FastifyRequest {
    /** True for a request that was shed: thousands of them a second are counted, and not logged one by one. */
    isShed: boolean
  }
  interface FastifyContextConfig {
    /** Requests to this route are shed under overload. */
    sheddable?: boolean
  }
}

/** Retries come back spread over this many seconds. */
const retryAfterSecondsMax = 3
/** A refused body up to this size is read and thrown away; for more, the connection is closed. */
const bodyBytesDrained = 65_536

const detail = 'This instance has more work than it can answer in time. Nothing was stored; the same request is safe to send again.'

const overload = async (app: FastifyInstance, { maxInFlight, maxDelayMs, metrics }: OverloadOptions) => {
  const inFlight = { count: 0 }
  const watch = watchEventLoop(maxDelayMs, (delayMs) => logShed(delayMs))
  const shedForDelay = metrics.shedRequests.of('event_loop_delay')
  const shedForCount = metrics.shedRequests.of('in_flight')
  const isFull = () => maxInFlight > 0 && inFlight.count >= maxInFlight

  let logged = 0
  /** At most one line for each look at the event loop. */
  const logShed = (delayMs: number) => {
    const total = shedForDelay.value + shedForCount.value
    if (total === logged) return
    app.log.warn({ shed: total - logged, delayMs, inFlight: inFlight.count }, 'overloaded: submissions were shed')
    logged = total
  }

  app.decorate('isOverloaded', () => watch.isLate() || isFull())
  app.decorate('submissionsInFlight', inFlight)
  app.decorateRequest('isShed', false)
  app.addHook('onRequest', (request, reply, done) => {
    const isLate = watch.isLate()
    if (!isLate && !isFull()) return done()
    if (!request.routeOptions.config.sheddable) return done()
    const counter = isLate ? shedForDelay : shedForCount
    counter.inc()
    shed(request, reply)
  })
  app.addHook('onClose', async () => watch.close())
}

const shed = (request: FastifyRequest, reply: FastifyReply): void => {
  request.isShed = true
  // A body whose end nobody knows, such as an import, would otherwise be read to its end for nothing.
  if (!(Number(request.headers['content-length']) <= bodyBytesDrained)) reply.header('connection', 'close')
  const retryAfterSeconds = 1 + Math.floor(Math.random() * retryAfterSecondsMax)
  sendProblem(request, reply, { problem: 'overloaded', detail, retryAfterSeconds })
}

const lookIntervalMs = 100
/** One long turn is no overload: only this many looks in a row that came late are. */
const lateLooks = 2
const reportIntervalMs = 1000

/** Looks at how late its own timer is. `report` is called once a second with the latest delay. */
const watchEventLoop = (maxDelayMs: number, report: (delayMs: number) => void) => {
  let late = 0
  let dueAt = performance.now() + lookIntervalMs
  let reportAt = dueAt
  const timer = setInterval(() => {
    const now = performance.now()
    const delayMs = Math.max(0, Math.round(now - dueAt))
    dueAt = now + lookIntervalMs
    late = maxDelayMs > 0 && delayMs > maxDelayMs ? late + 1 : 0
    if (now < reportAt) return
    reportAt = now + reportIntervalMs
    report(delayMs)
  }, lookIntervalMs)
  timer.unref()
  return { isLate: () => late >= lateLooks, close: () => clearInterval(timer) }
}

export default fp(overload, { name: 'overload', dependencies: ['problem-json'] })
