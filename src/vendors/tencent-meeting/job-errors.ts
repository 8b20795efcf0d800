// What can go wrong with a call to Tencent Meeting: its job errors.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const tencentErrors = {
  'tencent.rate_limited': {
    retryable: true,
    meaning: 'The call limit of Tencent Meeting is exhausted; the job waits for the next window.',
  },
  'tencent.quota_exhausted': { retryable: true, meaning: 'A limit of the Tencent Meeting account is exhausted, for hours or permanently.' },
  'tencent.unavailable': { retryable: true, meaning: 'Tencent Meeting could not be reached or failed.' },
  'tencent.signature_refused': {
    retryable: true,
    meaning: "Tencent Meeting refused the time or nonce of a request twice; this machine's clock may be wrong.",
  },
  'tencent.outcome_unknown': {
    retryable: false,
    meaning: 'It is unknown whether the meeting was created; look it up before you submit a new job.',
  },
  'tencent.meeting_not_found': { retryable: false, meaning: 'The meeting does not exist in Tencent Meeting, or it is over.' },
  'tencent.refused': { retryable: false, meaning: 'Tencent Meeting permanently refused the request; the message contains its code.' },
  'tencent.sts_token_missing': {
    retryable: false,
    meaning: 'Tencent Meeting has not sent a valid STS token, which this call requires; it arrives with the event common.sts-token.',
  },
} as const satisfies JobErrorTable

export type TencentErrorCode = keyof typeof tencentErrors
export type TencentErrorClass = VendorErrorClass<TencentErrorCode>
export type TencentFailure = VendorFailure<TencentErrorCode>
export type TencentOutcome<T> = VendorOutcome<T, TencentErrorCode>

export const toFailure = createToFailure(tencentErrors)
