// What is stored in a BullMQ job beside the handler's data.

import type { FollowUp } from '../types/follow-up.js'
import type { JobErrorCode } from '../types/job-errors.js'
import type { Metadata } from '../types/job-schema.js'

/** A job to be submitted, under this id, once the one that carries it has done its work. */
export interface StoredFollowUp extends FollowUp {
  readonly id: string
}

/** The `data` member of a BullMQ job. Times are milliseconds since 1970. */
export interface JobEnvelope {
  data: unknown
  tenant: string
  correlationId: string
  userId?: string | undefined
  metadata?: Metadata | undefined
  idempotencyKey?: string | undefined
  /** One attempt may take this long. */
  timeoutMs: number
  runAt?: number | undefined
  expiresAt?: number | undefined
  /** This job stands for several; its children did the work. */
  fanOut?: true | undefined
  followUps?: readonly StoredFollowUp[] | undefined
  /** The schedule that this is a run of. */
  scheduleId?: string | undefined
  /** The job was known to be wrong when it was stored: its attempt ends with this. */
  refusal?: { readonly code: JobErrorCode; readonly message: string } | undefined
  /** W3C trace context of the request that submitted the job. */
  traceparent?: string | undefined
  tracestate?: string | undefined
}
