// Tells cancelled jobs from failed ones. BullMQ has no such state: a cancelled job is one that failed for this reason.

import { jobErrors } from '../types/job-errors.js'
import type { JobError } from '../types/job-schema.js'
import { jobFields } from './facts.js'
import { decodeJobError, encodeJobError } from './stored-job-error.js'

const code = 'cancelled'

/** The `failedReason` of a cancelled job, whether it waited or ran. */
export const cancelledReason = encodeJobError(code, 'A client cancelled the job.', jobErrors)

/** Member of a job's hash that marks a running job to end with this text: BullMQ's deferred failure. */
export const endMark = jobFields.deferredFailure

/** Whether the job that carries this error was cancelled. */
export const isCancelled = (error: Pick<JobError, 'code'> | null): boolean => error?.code === code

/** Whether an `endMark` is a client's cancellation. BullMQ 6.7 also leaves there that a job stalled too often. */
export const marksCancelled = (mark: string | null): boolean => mark !== null && isCancelled(decodeJobError(mark))

/** What a job that BullMQ calls failed is to clients. */
export const toFailedState = (error: Pick<JobError, 'code'> | null): 'cancelled' | 'failed' => (isCancelled(error) ? 'cancelled' : 'failed')
