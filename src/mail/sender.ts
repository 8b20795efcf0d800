// Reads MAIL_FROM: the sender of every e-mail, and the organizer of meetings that name none.

import { Value } from '@sinclair/typebox/value'
import { EmailAddress } from './schema.js'

export interface MailSender {
  readonly name: string
  /** A plain addr-spec. */
  readonly address: string
}

/** `Name <address>` or a bare address. Throws with one readable line otherwise. */
export const toSender = (from: string): MailSender => {
  const match = /^\s*(?:"?([^"<>\p{Cc}]*?)"?\s*<([^<>\s]+)>|([^<>\s]+))\s*$/u.exec(from)
  const address = match?.[2] ?? match?.[3] ?? ''
  if (!Value.Check(EmailAddress, address)) throw new Error('Configuration: MAIL_FROM must be "Name <address>" or a single address')
  return { name: match?.[1] ?? '', address }
}
