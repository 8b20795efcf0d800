// What can go wrong with a call to Tencent Meeting: its job errors.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const tencentErrors = {
  'tencent.rate_limited': {
    retryable: true,
    meaning: 'The limit of calls to Tencent Meeting is used up; the job waits for the next window.',
  },
  'tencent.quota_exhausted': { retryable: true, meaning: 'A limit of the Tencent Meeting account is used up for hours or for good.' },
  'tencent.unavailable': { retryable: true, meaning: 'Tencent Meeting could not be reached or failed.' },
  'tencent.signature_refused': {
    retryable: true,
    meaning: "Tencent Meeting refused time or nonce of a request twice; this machine's clock may be wrong.",
  },
  'tencent.outcome_unknown': {
    retryable: false,
    meaning: 'Nobody can tell whether the meeting was created; look it up before sending a new job.',
  },
  'tencent.meeting_not_found': { retryable: false, meaning: 'Tencent Meeting knows no such meeting, or it is over.' },
  'tencent.refused': { retryable: false, meaning: 'Tencent Meeting refused the request for good; the message has its code.' },
  'tencent.sts_token_missing': {
    retryable: false,
    meaning: 'Tencent Meeting has sent no valid STS token, which this call needs; it arrives by the event common.sts-token.',
  },
} as const satisfies JobErrorTable

export type TencentErrorCode = keyof typeof tencentErrors
export type TencentErrorClass = VendorErrorClass<TencentErrorCode>
export type TencentFailure = VendorFailure<TencentErrorCode>
export type TencentOutcome<T> = VendorOutcome<T, TencentErrorCode>

export const toFailure = createToFailure(tencentErrors)
