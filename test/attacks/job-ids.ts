// Ids of jobs that are not there, of the same form as those that are.

import { randomBytes } from 'node:crypto'

/** An id of good form that nobody has. */
export const absentJobId = (prefix: string): string => `${prefix}_${randomBytes(16).toString('base64url')}`
