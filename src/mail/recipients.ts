// Splits a submission for many recipients into one job each, and gathers how those ended.

import type { EmailFanOut, Recipients } from './schema.js'

/** The data of one job per recipient, in order; null when there is a single recipient already. */
export const toRecipientJobs = <D extends { to: Recipients }>(data: D): D[] | null =>
  Array.isArray(data.to) ? data.to.map((to) => ({ ...data, to })) : null

/** The one recipient of stored data. Throws for a list, which is split before it is stored. */
export const requireRecipient = ({ to }: { to: Recipients }): string => {
  if (typeof to !== 'string') throw new Error('an e-mail job must have exactly one recipient')
  return to
}

/** `children` are in the order of the recipients. */
export const gatherRecipients = (
  { to }: { to: Recipients },
  children: readonly ({ kind: 'completed' } | { kind: 'failed'; code: string })[],
): EmailFanOut => {
  const recipients = typeof to === 'string' ? [to] : to
  const failed = children.flatMap((child, index) =>
    child.kind === 'failed' ? [{ to: recipients[index] as string, code: child.code }] : [],
  )
  return { total: recipients.length, sent: children.length - failed.length, failed }
}
