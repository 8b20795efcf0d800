// What can go wrong with a text message: the job errors of Aliyun SMS.

import type { JobErrorTable } from '../../types/job-errors.js'
import { createToFailure, type VendorErrorClass, type VendorFailure, type VendorOutcome } from '../outcome.js'

export const smsErrors = {
  'sms.rate_limited': { retryable: true, meaning: 'The SMS service asked to slow down.' },
  'sms.number_limited': { retryable: true, meaning: 'This number has received the maximum number of messages for now.' },
  'sms.unavailable': { retryable: true, meaning: 'The SMS service could not be reached or did not accept the message; nothing was sent.' },
  'sms.outcome_unknown': {
    retryable: false,
    meaning: 'It is unknown whether the message was sent; the SMS service cannot tell.',
  },
  'sms.refused': { retryable: false, meaning: 'The SMS service refused the message for another reason; nothing was sent.' },
  'sms.number_refused': { retryable: false, meaning: 'The SMS service refused the phone number.' },
  'sms.template_refused': { retryable: false, meaning: 'The SMS service refused the template, its parameters or their content.' },
  'sms.signature_refused': { retryable: false, meaning: 'The sign name is unknown to the SMS service or not approved.' },
  'sms.template_not_allowed': { retryable: false, meaning: 'The template is not listed in ALIYUN_SMS_TEMPLATES.' },
  'sms.quota_exhausted': { retryable: true, meaning: 'The daily or monthly limit of the SMS account is exhausted.' },
  'sms.account_refused': { retryable: false, meaning: 'The SMS account is out of credit, suspended or unknown.' },
  'sms.authentication_failed': {
    retryable: false,
    meaning: 'The SMS service refused ALIYUN_SMS_ACCESS_KEY_ID or its secret, or the key lacks permission.',
  },
} as const satisfies JobErrorTable

export type SmsErrorCode = keyof typeof smsErrors
export type SmsErrorClass = VendorErrorClass<SmsErrorCode>
export type SmsFailure = VendorFailure<SmsErrorCode>
export type SmsOutcome<T> = VendorOutcome<T, SmsErrorCode>

export const toFailure = createToFailure(smsErrors)
