// One attempt of one job, whoever drives it: what was handed out, and what is told of it in log, trace and metrics.

import type { Logger } from 'pino'
import type { JobEnvelope } from '../jobs/envelope.js'
import { createLazyLogger } from '../telemetry/lazy-logger.js'
import type { TraceSpan, Tracing } from '../telemetry/spans.js'
import { parseTraceparent } from '../telemetry/trace-context.js'
import type { QueueName } from '../types/queue-name.js'
import type { AttemptMetrics } from './metrics.js'

/** A job as a driver was handed it. Times are milliseconds since 1970. */
export interface HandedOutJob {
  readonly id: string
  readonly type: string
  readonly queue: QueueName
  /** The Redis key of its hash. */
  readonly key: string
  /** The Redis key of what its attempts have begun or done with a vendor. */
  readonly markerKey: string
  readonly envelope: JobEnvelope
  readonly createdAt: number
  /** Attempts that used one up before this one. */
  readonly attemptsMade: number
  /** How often it was handed out, this time included. */
  readonly attemptsStarted: number
  readonly attemptsMax: number
}

export interface Attempt {
  readonly job: HandedOutJob
  readonly startedAt: number
  readonly log: Logger
  readonly span: TraceSpan | undefined
}

interface Deps {
  readonly log: Logger
  readonly metrics: AttemptMetrics
  readonly tracing: Pick<Tracing, 'startAttempt'> | undefined
}

/** Opens the attempt of a job that was just handed out. Costs no round trip. */
export const createOpenAttempt =
  ({ log, metrics, tracing }: Deps) =>
  (job: HandedOutJob): Attempt => {
    const startedAt = Date.now()
    const span = tracing && startAttemptSpan(tracing, job)
    // A parent is due whenever its children are done.
    if (job.attemptsStarted === 1 && !job.envelope.fanOut) metrics.started(job.queue, startedAt - dueAt(job))
    return { job, startedAt, log: createLazyLogger(log, () => toBindings(job, span)), span }
  }

/** Opens an attempt once more that was begun at `startedAt`, perhaps by another process. Costs no round trip. */
export const createResumeAttempt =
  ({ log, tracing }: Pick<Deps, 'log' | 'tracing'>) =>
  (job: HandedOutJob, startedAt: number): Attempt => {
    const span = tracing && startAttemptSpan(tracing, job, startedAt)
    return { job, startedAt, log: createLazyLogger(log, () => toBindings(job, span)), span }
  }

/** When a job was to run for the first time. */
export const dueAt = ({ createdAt, envelope }: HandedOutJob): number => Math.max(createdAt, envelope.runAt ?? 0)

const toBindings = ({ id, type, queue, attemptsMade, envelope }: HandedOutJob, span: TraceSpan | undefined) => ({
  jobId: id,
  type,
  queue,
  attempt: attemptsMade + 1,
  correlationId: envelope.correlationId,
  ...(span
    ? { trace_id: span.traceId, span_id: span.spanId }
    : envelope.traceparent
      ? { trace_id: envelope.traceparent.slice(3, 35) }
      : {}),
})

/** Part of the trace in which the job was submitted; a job that carries no trace begins one with every attempt. */
const startAttemptSpan = (tracing: Pick<Tracing, 'startAttempt'>, job: HandedOutJob, startedAt?: number): TraceSpan => {
  const { correlationId, traceparent, tracestate = null } = job.envelope
  const place = parseTraceparent(traceparent)
  return tracing.startAttempt({
    name: `attempt ${job.type}`,
    attributes: {
      'messaging.system': 'bullmq',
      'messaging.operation.type': 'process',
      'messaging.destination.name': job.queue,
      'messaging.message.id': job.id,
      'jobgate.job.type': job.type,
      'jobgate.attempt': job.attemptsMade + 1,
      'jobgate.correlation.id': correlationId,
    },
    parent: place && { ...place, traceState: tracestate },
    ...(startedAt === undefined ? {} : { startedAt }),
  })
}
