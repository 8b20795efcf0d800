// Hands e-mails to the mail server of SMTP_URL, each over a pooled connection, and says what became of it.

import { createHash } from 'node:crypto'
import type { Readable } from 'node:stream'
import { createTransport } from 'nodemailer'
import type { BaseLogger } from 'pino'
import { traceCall } from '../telemetry/spans.js'
import { toSender } from './sender.js'
import type { MailSettings } from './settings.js'
import { type SmtpFault, type SmtpOutcome, toSmtpOutcome } from './smtp-outcome.js'
import type { MailTemplates } from './templates/templates.js'

/** One rendered message to one recipient. */
export interface Mail {
  /** A plain addr-spec. */
  readonly to: string
  readonly subject: string
  readonly html: string
  readonly text: string
  /** With angle brackets; the same on every attempt. */
  readonly messageId: string
  /** An iCalendar object with METHOD:REQUEST. */
  readonly calendar?: string | undefined
  /** Ends the connection that carries the message, or takes the message out of the line. */
  readonly signal: AbortSignal
}

export interface SmtpDeps {
  readonly smtp: NonNullable<MailSettings['smtp']>
  readonly email: MailSettings['email']
  readonly templates: MailTemplates
  readonly log: Pick<BaseLogger, 'warn' | 'error'>
}

/** nodemailer keeps unknown members of a message: this one finds the stream that the connection reads. */
interface Handover {
  stream?: Readable
}

export type Smtp = ReturnType<typeof openSmtp>

/**
 * Opens the pool; connections are made when there is something to send.
 * Throws with one readable line when MAIL_FROM is not a sender.
 */
export const openSmtp = ({ smtp, email, templates, log }: SmtpDeps) => {
  const sender = toSender(email.from)
  const transport = createTransport({
    url: smtp.url,
    pool: true,
    // The pool counts a second's messages when a connection is free again: more connections than that would overshoot.
    maxConnections: smtp.ratePerSecond > 0 ? Math.min(smtp.maxConnections, smtp.ratePerSecond) : smtp.maxConnections,
    ...(smtp.ratePerSecond > 0 ? { rateLimit: smtp.ratePerSecond, rateDelta: 1000 } : {}),
    requireTLS: smtp.requireTls && !smtp.url.startsWith('smtps:'),
    connectionTimeout: smtp.connectTimeoutMs,
    greetingTimeout: smtp.connectTimeoutMs,
    socketTimeout: smtp.socketTimeoutMs,
    socketCloseTimeout: 1000,
    // Content is rendered text only: without these, an object in its place would read files or addresses.
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  transport.use('stream', (mail, next) => {
    const { handover } = mail.data as { handover?: Handover }
    const createReadStream = mail.message.createReadStream.bind(mail.message)
    mail.message.createReadStream = (options) => {
      const stream = createReadStream(options)
      if (handover) handover.stream = stream
      return stream
    }
    next()
  })
  warnOfPlainLogin(smtp, log)

  const underWay = new Set<Promise<unknown>>()
  const track = <T>(work: Promise<T>): Promise<T> => {
    underWay.add(work)
    const forget = () => underWay.delete(work)
    work.then(forget, forget)
    return work
  }

  const hand = async ({ to, calendar, ...mail }: Mail): Promise<SmtpOutcome> => {
    const handover: Handover = {}
    try {
      const info = await transport.sendMail({
        ...mail,
        from: sender,
        // The object form takes one address; a string with a comma would add a recipient.
        to: { name: '', address: to },
        headers: { 'Auto-Submitted': 'auto-generated' },
        ...(calendar === undefined ? {} : { icalEvent: { method: 'REQUEST', content: calendar, filename: 'invite.ics' } }),
        ...{ handover },
      })
      return { kind: 'accepted', responseCode: Number(/^\d{3}/.exec(info.response)?.[0] ?? 250) }
    } catch (error) {
      const fault = toFault(error)
      const outcome = toSmtpOutcome(fault, handover.stream?.readableDidRead === true)
      if (outcome.kind === 'misconfigured') log.error({ code: outcome.code, responseCode: fault.responseCode }, outcome.message)
      return outcome
    }
  }

  return {
    sender,
    templates,
    defaultLocale: email.defaultLocale,
    onAmbiguous: email.onAmbiguous,
    /** Domain of Message-ID and calendar UID. */
    domain: email.messageIdDomain ?? sender.address.slice(sender.address.lastIndexOf('@') + 1),

    /**
     * Hands over one message. Every outcome a mail server can cause is a value.
     * Throws only when the message itself cannot be built.
     */
    send: (mail: Mail): Promise<SmtpOutcome> =>
      track(
        traceCall(
          { name: 'send mail', host: new URL(smtp.url).hostname },
          () => hand(mail),
          (outcome) => (outcome.kind === 'accepted' ? {} : { fault: outcome.code }),
        ),
      ),

    /** Messages that are being handed over are finished, those in line are given back as unavailable. */
    async close(): Promise<void> {
      transport.close()
      await Promise.allSettled(underWay)
    },
  }
}

/** `<digest@domain>`: the same for every attempt of a job, so that receivers can tell a repeated message. */
export const toMessageId = (jobId: string, to: string, domain: string): string =>
  `<${createHash('sha256').update(`${jobId}|${to}`).digest('hex')}@${domain}>`

/** Only codes are read: message and response of the error hold addresses. */
const toFault = (error: unknown): SmtpFault => {
  if (!(error instanceof Error)) return {}
  const fault = error as SmtpFault & Error
  // What is in line when the pool closes fails without a code (nodemailer 10.6).
  return fault.message === 'Connection pool was closed' ? { code: 'ECONNECTION' } : fault
}

const warnOfPlainLogin = ({ url, requireTls }: SmtpDeps['smtp'], log: SmtpDeps['log']): void => {
  const { protocol, username, hostname } = new URL(url)
  const isLoopback = /^(localhost|127\..*|\[::1\])$/.test(hostname)
  if (protocol === 'smtp:' && username !== '' && !requireTls && !isLoopback) {
    log.warn('SMTP_URL contains a login, but TLS is not required: set SMTP_REQUIRE_TLS=true or use smtps://')
  }
}
