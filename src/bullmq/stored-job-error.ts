// Job errors as BullMQ stores them, in `failedReason`: our own as JSON, BullMQ's own translated.

import { type JobErrorCode, type JobErrorTable, jobErrors } from '../types/job-errors.js'
import type { JobError } from '../types/job-schema.js'
import { lostTooOften } from './facts.js'

/** Longest message that is kept; handlers build theirs from codes, so this only bounds accidents. */
const messageCharsMax = 500

/**
 * The text of `failedReason` for an error of ours. `table` says what is retryable, unless `retryable` does; a code that it lacks is not.
 */
export const encodeJobError = (
  code: string,
  message: string,
  table: JobErrorTable,
  retryable = (Object.hasOwn(table, code) && table[code]?.retryable) || false,
): string => JSON.stringify({ code, message: message.slice(0, messageCharsMax), retryable } satisfies JobError)

/** Reads `failedReason`. What BullMQ or an unexpected exception left there shows as a code, never as its raw text. */
export const decodeJobError = (failedReason: string): JobError => {
  if (failedReason.startsWith('{')) {
    try {
      return JSON.parse(failedReason) as JobError
    } catch {
      return toJobError('handler_error')
    }
  }
  return toJobError(lostTooOften.test(failedReason) ? 'worker_lost' : 'handler_error')
}

const toJobError = (code: JobErrorCode): JobError => ({ code, message: jobErrors[code].meaning, retryable: jobErrors[code].retryable })
