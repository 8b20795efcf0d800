// What can go wrong with a call to Lark: its job errors.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const larkErrors = {
  'lark.rate_limited': { retryable: true, meaning: 'Lark asked to slow down; the job waits for the requested time.' },
  'lark.table_busy': { retryable: true, meaning: 'Another job is writing to the same table; this job waits for its turn.' },
  'lark.write_conflict': { retryable: true, meaning: 'Lark refused a write because of a concurrent write to the same table.' },
  'lark.write_pending': {
    retryable: true,
    meaning: 'Lark is still processing an earlier attempt of the same write; the job checks again.',
  },
  'lark.unavailable': { retryable: true, meaning: 'Lark could not be reached or failed.' },
  'lark.outcome_unknown': {
    retryable: true,
    meaning: 'The connection broke after the write was sent. A retry repeats the write without duplicating it.',
  },
  'lark.authentication_failed': {
    retryable: false,
    meaning: 'Lark refused LARK_APP_ID and LARK_APP_SECRET or the token it issued for them.',
  },
  'lark.permission_denied': { retryable: false, meaning: 'The Lark app does not have permission to write to this Base or table.' },
  'lark.not_found': { retryable: false, meaning: 'The Base, table or record does not exist in Lark.' },
  'lark.field_unknown': { retryable: false, meaning: 'The table has no such column.' },
  'lark.field_invalid': { retryable: false, meaning: 'A value does not match the type of its column.' },
  'lark.limit_exceeded': { retryable: false, meaning: 'The table or the request contains more records than Lark allows.' },
  'lark.invalid_request': { retryable: false, meaning: 'Lark refused the request as malformed.' },
  'lark.record_ambiguous': { retryable: false, meaning: 'Several records in the table have this meeting ID; none was changed.' },
} as const satisfies JobErrorTable

export type LarkErrorCode = keyof typeof larkErrors
export type LarkErrorClass = VendorErrorClass<LarkErrorCode>
export type LarkFailure = VendorFailure<LarkErrorCode>
export type LarkOutcome<T> = VendorOutcome<T, LarkErrorCode>

export const toFailure = createToFailure(larkErrors)
