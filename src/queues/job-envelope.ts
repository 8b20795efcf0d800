// What is stored in a BullMQ job beside the handler's data.

import type { JobErrorCode } from '../errors.js'
import type { FollowUp } from '../schemas/follow-up.js'
import type { Metadata } from '../schemas/job.js'

/** A job to be submitted, under this id, once the one that carries it has done its work. */
export interface StoredFollowUp extends FollowUp {
  readonly id: string
}

/** The `data` member of a BullMQ job. Times are milliseconds since 1970. */
export interface JobEnvelope {
  data: unknown
  tenant: string
  correlationId: string
  userId?: string
  metadata?: Metadata
  idempotencyKey?: string
  /** One attempt may take this long. */
  timeoutMs: number
  runAt?: number
  expiresAt?: number
  /** This job stands for several; its children did the work. */
  fanOut?: true
  followUps?: readonly StoredFollowUp[]
  /** The schedule that this is a run of. */
  scheduleId?: string
  /** The job was known to be wrong when it was stored: its attempt ends with this. */
  refusal?: { readonly code: JobErrorCode; readonly message: string }
  /** W3C trace context of the request that submitted the job. */
  traceparent?: string
  tracestate?: string
}
