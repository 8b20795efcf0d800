// BullMQ's own reader of cron expressions, in UTC: clock changes are not its business.

import { getNextMillis } from 'bullmq'

/** The next moment after `after` that an expression names, no later than `until`; undefined when there is none. Throws when it is not one. */
export const nextInUtc = (cron: string, after: number, until: number): number | undefined =>
  getNextMillis(after, { pattern: cron, tz: 'UTC', endDate: until })
