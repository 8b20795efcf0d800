// The sending step of every e-mail job: hands the message over once, as far as SMTP lets anyone know.

import type { SmtpErrorCode } from './job-errors.js'
import type { EmailSent } from './schema.js'
import { type Smtp, toMessageId } from './smtp.js'
import type { RenderedMail } from './templates/templates.js'

/** What the step needs of an attempt; a job's context has it. */
export interface Attempt {
  readonly jobId: string
  readonly signal: AbortSignal
  readonly isExpired: boolean
  readonly marker: {
    read(): Promise<{ state: 'none' } | { state: 'begun' } | { state: 'done'; result: unknown }>
    begin(): Promise<void>
    done(result: unknown): Promise<void>
    clear(): Promise<void>
  }
  readonly integrations: { readonly smtp: Smtp }
}

/** Fits the outcome of a job. */
export type Delivery =
  | { readonly kind: 'done'; readonly result: EmailSent }
  | { readonly kind: 'fail' | 'retry'; readonly code: SmtpErrorCode; readonly message: string }

export interface Letter extends RenderedMail {
  readonly to: string
  /** Name of the template, for the result. */
  readonly template: string
  readonly calendar?: string | undefined
}

const unknownBefore = 'An earlier attempt was interrupted while it was sending the message, which may have been delivered.'

/**
 * Sends one letter under the protection of the attempt marker.
 * An attempt that finds the message sent completes with `alreadySent`; one that finds it begun, with the end unknown, sends it again
 * under the same Message-ID or, with EMAIL_ON_AMBIGUOUS=fail or when its time is over, stops.
 */
export const deliverMail = async (
  letter: Letter,
  { jobId, signal, isExpired, marker, integrations: { smtp } }: Attempt,
): Promise<Delivery> => {
  const before = await marker.read()
  if (before.state === 'done') return { kind: 'done', result: { ...(before.result as EmailSent), alreadySent: true } }
  if (before.state === 'begun' && (smtp.onAmbiguous === 'fail' || isExpired)) {
    return { kind: 'fail', code: 'smtp.outcome_unknown', message: unknownBefore }
  }
  const { template, ...mail } = letter
  const messageId = toMessageId(jobId, letter.to, smtp.domain)
  if (before.state === 'none') await marker.begin()
  const outcome = await smtp.send({ ...mail, messageId, signal })
  switch (outcome.kind) {
    case 'accepted': {
      const { responseCode } = outcome
      const sentAt = new Date().toISOString()
      const result: EmailSent = { messageId, accepted: true, responseCode, template, sentAt, alreadySent: false }
      await marker.done(result)
      return { kind: 'done', result }
    }
    case 'unconfirmed':
      return { kind: smtp.onAmbiguous, code: outcome.code, message: outcome.message }
    case 'unavailable':
    case 'refused':
    case 'misconfigured':
      // What an earlier attempt left open, a refusal of this one does not settle.
      if (before.state === 'none') await marker.clear()
      return { kind: outcome.kind === 'unavailable' ? 'retry' : 'fail', code: outcome.code, message: outcome.message }
  }
}
