// How attempts end: what a driver reports of one, and the one union of what becomes of it.

import type { JobOutcome } from '../types/definition.js'
import { type JobErrorCode, jobErrors } from '../types/job-errors.js'
import type { AbortReason } from './abort-handle.js'

/** An attempt that was not let begin: no handler has seen its job, which fails permanently. */
export interface Refusal {
  readonly kind: 'refused'
  readonly code: JobErrorCode
  readonly message: string
}

/**
 * What a program elsewhere says of an attempt that failed. It knows its own codes, and so whether they are worth another attempt;
 * `afterMs` is the least time until that, where the backoff of the job is shorter.
 */
export interface RemoteFailure {
  readonly kind: 'fail' | 'retry'
  readonly code: string
  readonly message: string
  readonly retryable?: boolean
  readonly afterMs?: number
}

/** What a driver says of an attempt: what its handler said, or that it was not let begin. */
export type AttemptReport = JobOutcome | RemoteFailure | Refusal

/** Every end an attempt can have. Only `retrying`, `deferred` and `released` let another attempt of the job follow. */
export type AttemptEnd =
  | { readonly kind: 'completed'; readonly result: unknown }
  /** Permanently, or because no attempt is left. `retryable` where the table of codes does not tell. */
  | { readonly kind: 'failed'; readonly code: string; readonly message: string; readonly retryable?: boolean | undefined }
  /** Again after the job's backoff, and not before `afterMs`. */
  | {
      readonly kind: 'retrying'
      readonly code: string
      readonly message: string
      readonly retryable?: boolean | undefined
      readonly afterMs?: number | undefined
    }
  /** Again in `afterMs`; no attempt is used up. */
  | { readonly kind: 'deferred'; readonly code: string; readonly message: string; readonly afterMs: number }
  /** Given up by a driver that stops, for others to take at once; no attempt is used up. */
  | { readonly kind: 'released' }
  | { readonly kind: 'cancelled' }
  /** Its driver no longer held the job: nothing was written, and whoever holds it now decides. */
  | { readonly kind: 'lost' }

/** What an attempt comes to whose handler ended, or was left behind, after it was told to stop. */
export const toAbortedOutcome = (reason: AbortReason): Extract<JobOutcome, { kind: 'retry' }> =>
  reason === 'timed_out'
    ? { kind: 'retry', code: 'timed_out', message: jobErrors.timed_out.meaning }
    : { kind: 'retry', code: 'handler_error', message: `The attempt was aborted: ${reason}.` }
