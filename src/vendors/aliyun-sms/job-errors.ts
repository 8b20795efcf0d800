// What can go wrong with a text message: the job errors of Aliyun SMS.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const smsErrors = {
  'sms.rate_limited': { retryable: true, meaning: 'The SMS service asked to send less.' },
  'sms.number_limited': { retryable: true, meaning: 'This number has had as many messages as is allowed for now.' },
  'sms.unavailable': { retryable: true, meaning: 'The SMS service could not be reached or did not take the message; nothing was sent.' },
  'sms.outcome_unknown': {
    retryable: false,
    meaning: 'Nobody can tell whether the message was sent; the SMS service does not answer that question.',
  },
  'sms.refused': { retryable: false, meaning: 'The SMS service refused the message for a reason of its own; nothing was sent.' },
  'sms.number_refused': { retryable: false, meaning: 'The SMS service refused the phone number.' },
  'sms.template_refused': { retryable: false, meaning: 'The SMS service refused the template, its parameters or their content.' },
  'sms.signature_refused': { retryable: false, meaning: 'The SMS service does not know or has not approved the sign name.' },
  'sms.template_not_allowed': { retryable: false, meaning: 'The template is not listed in ALIYUN_SMS_TEMPLATES.' },
  'sms.quota_exhausted': { retryable: true, meaning: 'The daily or monthly limit of the SMS account is used up.' },
  'sms.account_refused': { retryable: false, meaning: 'The SMS account is out of money, suspended or unknown.' },
  'sms.authentication_failed': {
    retryable: false,
    meaning: 'The SMS service refused ALIYUN_SMS_ACCESS_KEY_ID, its secret, or what it may do.',
  },
} as const satisfies JobErrorTable

export type SmsErrorCode = keyof typeof smsErrors
export type SmsErrorClass = VendorErrorClass<SmsErrorCode>
export type SmsFailure = VendorFailure<SmsErrorCode>
export type SmsOutcome<T> = VendorOutcome<T, SmsErrorCode>

export const toFailure = createToFailure(smsErrors)
