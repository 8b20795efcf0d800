// The span of an attempt: part of the trace in which its job was submitted.

import type { Job } from 'bullmq'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import type { TraceSpan, Tracing } from '../telemetry/spans.js'
import { parseTraceparent } from '../telemetry/trace-context.js'

/** A job that carries no trace begins one with every attempt. */
export const startAttemptSpan = (tracing: Pick<Tracing, 'startAttempt'>, job: Job<JobEnvelope>, queue: QueueKeys): TraceSpan => {
  const { correlationId, traceparent, tracestate = null } = job.data
  const place = parseTraceparent(traceparent)
  return tracing.startAttempt({
    name: `attempt ${job.name}`,
    attributes: {
      'messaging.system': 'bullmq',
      'messaging.operation.type': 'process',
      'messaging.destination.name': queue.queue,
      'messaging.message.id': job.id as string,
      'jobgate.job.type': job.name,
      'jobgate.attempt': job.attemptsMade + 1,
      'jobgate.correlation.id': correlationId,
    },
    parent: place && { ...place, traceState: tracestate },
  })
}
