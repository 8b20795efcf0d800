// Reads what became of one message from the mail server's reply code, or from how the connection ended.

import type { SmtpErrorCode } from './job-errors.js'

/** How handing over one message ended. Messages are built from codes alone: no address, no text of the server. */
export type SmtpOutcome =
  | { readonly kind: 'accepted'; readonly responseCode: number }
  /** The server permanently refused this message or recipient. */
  | { readonly kind: 'refused'; readonly code: SmtpErrorCode; readonly message: string }
  /** Nothing was taken; the same message may be taken later. */
  | { readonly kind: 'unavailable'; readonly code: SmtpErrorCode; readonly message: string }
  /** The message was being handed over when the connection ended: it may have been taken. */
  | { readonly kind: 'unconfirmed'; readonly code: SmtpErrorCode; readonly message: string }
  /** The server refuses this worker's settings: every message will fail until they are fixed. */
  | { readonly kind: 'misconfigured'; readonly code: SmtpErrorCode; readonly message: string }

/** The members nodemailer 10 puts on its errors. `code` alone decides little: EENVELOPE stands for 451 and 550 alike. */
export interface SmtpFault {
  readonly code?: string
  readonly originalCode?: string
  readonly responseCode?: number
  readonly response?: string
  readonly command?: string
  readonly timeoutType?: string
}

/** 530, 534, 535 and 538 ask for other credentials or another way to log in (RFC 4954, section 6). */
const loginCodes: ReadonlySet<number> = new Set([530, 534, 535, 538])
const messageCommands: ReadonlySet<string> = new Set(['MAIL FROM', 'RCPT TO', 'DATA'])

/** Codes of nodemailer that end a connection, whatever was under way. */
const connectionCodes: ReadonlySet<string> = new Set([
  'ECONNECTION',
  'ESOCKET',
  'ETIMEDOUT',
  'EDNS',
  'ETLS',
  'EPROTOCOL',
  'EABORT',
  'EPROXY',
])

/** Seen with Node 20: what a certificate that is refused is called, such as DEPTH_ZERO_SELF_SIGNED_CERT. */
const certificateCodes = /CERT|LEAF_SIGNATURE/

/**
 * In: the error that nodemailer gave; `handedOver`, whether the first byte of the message had left.
 * Throws for what no mail server causes, such as a message that cannot be built.
 */
export const toSmtpOutcome = (fault: SmtpFault, handedOver: boolean): SmtpOutcome => {
  const seen = describe(fault)
  const { responseCode = 0 } = fault
  if (responseCode >= 400) return toReplyOutcome(fault, responseCode, seen)
  if (fault.code === 'EAUTH') {
    return { kind: 'misconfigured', code: 'smtp.authentication_failed', message: `The worker cannot log in to the mail server${seen}.` }
  }
  if (fault.code === 'EMESSAGE' && fault.command === 'MAIL FROM') {
    return { kind: 'refused', code: 'smtp.message_refused', message: `The message is larger than the mail server allows${seen}.` }
  }
  if (!connectionCodes.has(fault.code ?? '') && responseCode === 0) throw new Error(`The message could not be built${seen}.`)
  if (handedOver) {
    const message = `The connection ended after the message was sent${seen}; it may have been delivered.`
    return { kind: 'unconfirmed', code: 'smtp.outcome_unknown', message }
  }
  if (fault.code === 'EABORT') {
    return { kind: 'unavailable', code: 'smtp.interrupted', message: 'The attempt was aborted before the message was sent.' }
  }
  if (certificateCodes.test(fault.originalCode ?? fault.code ?? '')) {
    const message = `The certificate of the mail server is not trusted${seen}. Use NODE_EXTRA_CA_CERTS to trust more authorities.`
    return { kind: 'unavailable', code: 'smtp.unreachable', message }
  }
  return { kind: 'unavailable', code: 'smtp.unreachable', message: `The mail server could not be reached${seen}.` }
}

/** A reply is definite, even when the connection ended right after it. */
const toReplyOutcome = (fault: SmtpFault, responseCode: number, seen: string): SmtpOutcome => {
  if (isMailboxFull(responseCode, fault.response)) {
    return { kind: 'unavailable', code: 'smtp.mailbox_full', message: `The mailbox of the recipient is full${seen}.` }
  }
  if (responseCode < 500) {
    return { kind: 'unavailable', code: 'smtp.deferred', message: `The mail server asked to retry later${seen}.` }
  }
  if (fault.code === 'ETLS') {
    return { kind: 'misconfigured', code: 'smtp.tls_required', message: `TLS is required, but the mail server does not offer it${seen}.` }
  }
  if (fault.code === 'EAUTH' || loginCodes.has(responseCode)) {
    return { kind: 'misconfigured', code: 'smtp.authentication_failed', message: `The mail server refused the login${seen}.` }
  }
  if (fault.command === 'RCPT TO') {
    return { kind: 'refused', code: 'smtp.recipient_refused', message: `The mail server refused the recipient${seen}.` }
  }
  if (fault.code === 'EMESSAGE' || messageCommands.has(fault.command ?? '')) {
    return { kind: 'refused', code: 'smtp.message_refused', message: `The mail server refused the message${seen}.` }
  }
  return { kind: 'misconfigured', code: 'smtp.session_refused', message: `The mail server refused the session${seen}.` }
}

/** 452 and 552 say "mailbox full" beside other things; their enhanced code (RFC 3463) tells, 4.x.x or x.2.2. */
const isMailboxFull = (responseCode: number, response: string | undefined): boolean => {
  if (responseCode !== 452 && responseCode !== 552) return false
  const enhanced = /^\d{3}[ -]([245])\.(\d{1,3}\.\d{1,3})\b/.exec(response ?? '')
  if (!enhanced) return false
  return enhanced[2] === '2.2' || (responseCode === 552 && enhanced[1] === '4')
}

/** Codes in brackets: those of nodemailer, Node and the server, which hold nobody's data. */
const describe = ({ code, originalCode, responseCode, timeoutType }: SmtpFault): string => {
  const parts = [responseCode || undefined, code, originalCode, timeoutType].filter(
    (part) => part !== undefined && /^[A-Z0-9_]{1,64}$/.test(`${part}`),
  )
  return parts.length > 0 ? ` (${parts.join(', ')})` : ''
}
