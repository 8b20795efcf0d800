// A lease as its holder names it.

import { maySee, type Principal } from '../auth/grants.js'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { Hold } from '../bullmq/registered/leased-jobs.js'
import { parseLeaseId } from './lease-id.js'

/** What the lease holds; null for what is none, belongs to another tenant, or is of a type that the key has no grant for. */
export const parseHeldLease = (caller: Principal, lease: string): Hold | null => {
  const hold = parseLeaseId(caller.tenant, lease)
  if (!hold) return null
  // A type that is leased has a queue of its own, named like it.
  const queue = queueOfJobId(hold.id) as string
  return maySee(caller, { type: queue, queue, followUps: [] }) ? hold : null
}

/** The job type of a lease; null for what is none that the caller may hold. */
export const typeOfHeldLease = (caller: Principal, lease: string): string | null => {
  const hold = parseHeldLease(caller, lease)
  return hold && (queueOfJobId(hold.id) as string)
}
