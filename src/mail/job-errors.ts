// What can go wrong with an e-mail: the job errors of the mail server.

import type { JobErrorTable } from '../types/job-errors.js'

export const smtpErrors = {
  'smtp.recipient_refused': { retryable: false, meaning: 'The mail server permanently refused the recipient (5xx).' },
  'smtp.message_refused': { retryable: false, meaning: 'The mail server permanently refused the message (5xx).' },
  'smtp.mailbox_full': { retryable: true, meaning: "The recipient's mailbox is full." },
  'smtp.deferred': { retryable: true, meaning: 'The mail server asked to retry later (4xx), for example because of greylisting.' },
  'smtp.authentication_failed': { retryable: false, meaning: 'The mail server refused the credentials in SMTP_URL.' },
  'smtp.tls_required': { retryable: false, meaning: 'TLS is required, but the mail server does not offer it.' },
  'smtp.session_refused': { retryable: false, meaning: 'The mail server refused the session (5xx before any message).' },
  'smtp.template_missing': {
    retryable: false,
    meaning: "The worker does not have the job's template, because gateway and workers read different template folders.",
  },
  'smtp.interrupted': { retryable: true, meaning: 'The attempt was aborted before the message was sent.' },
  'smtp.unreachable': { retryable: true, meaning: 'The mail server could not be reached.' },
  'smtp.outcome_unknown': {
    retryable: true,
    meaning: 'The connection broke after the message was sent; it may have been delivered.',
  },
} as const satisfies JobErrorTable

export type SmtpErrorCode = keyof typeof smtpErrors
