// What can go wrong with an e-mail: the job errors of the mail server.

import type { JobErrorTable } from '../types/job-errors.js'

export const smtpErrors = {
  'smtp.recipient_refused': { retryable: false, meaning: 'The mail server refused the recipient for good (5xx).' },
  'smtp.message_refused': { retryable: false, meaning: 'The mail server refused the message for good (5xx).' },
  'smtp.mailbox_full': { retryable: true, meaning: 'The mailbox of the recipient is full.' },
  'smtp.deferred': { retryable: true, meaning: 'The mail server asked to try again later (4xx), as greylisting does.' },
  'smtp.authentication_failed': { retryable: false, meaning: 'The mail server refused the credentials in SMTP_URL.' },
  'smtp.tls_required': { retryable: false, meaning: 'TLS is required and the mail server does not offer it.' },
  'smtp.session_refused': { retryable: false, meaning: 'The mail server refused to talk to this worker (5xx before any message).' },
  'smtp.template_missing': {
    retryable: false,
    meaning: 'The worker lacks the template that the job names; gateway and workers read different template folders.',
  },
  'smtp.interrupted': { retryable: true, meaning: 'The attempt was stopped before the message was handed over.' },
  'smtp.unreachable': { retryable: true, meaning: 'The mail server could not be reached.' },
  'smtp.outcome_unknown': {
    retryable: true,
    meaning: 'The connection broke after the message was handed over; it may have been delivered.',
  },
} as const satisfies JobErrorTable

export type SmtpErrorCode = keyof typeof smtpErrors
