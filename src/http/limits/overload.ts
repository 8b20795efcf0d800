// Sheds submissions, before their bodies are read, while this instance has more work than it can answer in time.

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

import { openDuty } from '../../runtime/duty.js'
import { type Metrics, startedAtZero } from '../../telemetry/metrics.js'

import { sendProblem } from '../problems/problem-json.js'

export interface OverloadOptions {
  /** Submissions that may wait for Redis at once; 0 sets no limit. */
  readonly maxInFlight: number
  /** One turn of the event loop may accept submissions for this long, in milliseconds; 0 sets no limit. */
  readonly maxDelayMs: number
  readonly metrics: Pick<Metrics, 'shedRequests'>
}

/** Single submissions that have been read. Their handler counts them, so that none costs a listener. */
interface SubmissionCounts {
  /** Those that wait for Redis. */
  inFlight: number
  /** Those since the event loop was last seen to turn. */
  begun: number
}

declare module 'fastify' {
  interface FastifyInstance {
    /** Whether submissions are shed now, or were within the last second. */
    isOverloaded(): boolean
    readonly submissionCounts: SubmissionCounts
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
/** How often the event loop is looked at. */
const sampleIntervalMs = 100
/** A process that was held up without having accepted so many is not overloaded: it may have waited for a processor. */
const begunMin = 64
/** At most one line in this time; and an instance counts as overloaded for as long after it has shed. */
const reportIntervalMs = 1000

const detail = 'This instance has more work than it can handle in time. Nothing was stored; the same request is safe to retry.'

const overload = async (app: FastifyInstance, { maxInFlight, maxDelayMs, metrics }: OverloadOptions) => {
  const counts: SubmissionCounts = { inFlight: 0, begun: 0 }
  const shedForDelay = startedAtZero(metrics.shedRequests.labels('event_loop_delay'))
  const shedForCount = startedAtZero(metrics.shedRequests.labels('in_flight'))
  let sampledAt = performance.now()
  let shedAt = Number.NEGATIVE_INFINITY
  const isFull = () => maxInFlight > 0 && counts.inFlight >= maxInFlight
  /** Node reads very many sockets in one turn: whoever looked only between turns would accept all of them. */
  const isLate = () => maxDelayMs > 0 && counts.begun >= begunMin && performance.now() - sampledAt > sampleIntervalMs + maxDelayMs

  let reportAt = sampledAt
  let unreported = 0
  const sample = () => {
    sampledAt = performance.now()
    counts.begun = 0
    if (unreported === 0 || sampledAt < reportAt) return
    app.log.warn({ shed: unreported, inFlight: counts.inFlight }, 'overloaded: submissions were shed')
    unreported = 0
    reportAt = sampledAt + reportIntervalMs
  }
  const duty = openDuty(
    { name: 'overload', everyMs: sampleIntervalMs, unref: true, run: sample, failure: 'the event loop was not sampled' },
    { log: app.log },
  )

  app.decorate('isOverloaded', () => isFull() || performance.now() - shedAt < reportIntervalMs)
  app.decorate('submissionCounts', counts)
  app.decorateRequest('isShed', false)
  app.addHook('onRequest', (request, reply, done) => {
    const counter = isFull() ? shedForCount : isLate() ? shedForDelay : undefined
    if (!counter || !request.routeOptions.config.sheddable) return done()
    counter.inc()
    unreported++
    shedAt = performance.now()
    shed(request, reply)
  })
  app.addHook('onClose', async () => duty.close())
}

const shed = (request: FastifyRequest, reply: FastifyReply): void => {
  request.isShed = true
  const retryAfterSeconds = 1 + Math.floor(Math.random() * retryAfterSecondsMax)
  sendProblem(request, reply, { problem: 'overloaded', detail, retryAfterSeconds })
}

export default fp(overload, { name: 'overload', dependencies: ['problem-json'] })
