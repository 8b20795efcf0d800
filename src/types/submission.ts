// What a client submits, once it fits its schema.

import type { FollowUp } from './follow-up.js'
import type { JobOptions, Metadata } from './job-schema.js'

/** A body of POST /v1/jobs that fits its schema. */
export interface Submission {
  readonly type: string
  readonly data: unknown
  readonly options?: JobOptions
  readonly userId?: string
  readonly correlationId?: string
  readonly metadata?: Metadata
  readonly followUps?: readonly FollowUp[]
}
