// Finds the job of an id that a client names: what the client may not see is not there, and costs the same time.

import { isLimited, maySee, type Principal } from '../auth/grants.js'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import { type ReadKind, toStoredKind } from '../bullmq/read-jobs.js'
import { toEnvelopeKind } from './job-kind.js'
import type { JobSnapshot, ReadSnapshot } from './snapshot.js'

/**
 * Null when there is no such job, when it belongs to another tenant, or when the caller has no grant for all of it. Each of these
 * takes one look into Redis, which ends before anything of the job itself is read: nothing in their time tells them apart.
 * Rejects with the error of Redis.
 */
export const createFindJob = ({
  readKind,
  readSnapshot,
  queues,
  types,
}: {
  readKind: ReadKind
  readSnapshot: ReadSnapshot
  queues: Pick<QueuePlaces, 'ofJob'>
  /** Looks for job types that this process has not heard of yet. */
  types: { isLoaded(): boolean; load(): Promise<void>; lookAgain(): Promise<void> }
}) => {
  /** Whether the kind of the job is one that the caller may see; every step is taken for one that is not there, too. */
  const maySeeKind = async (caller: Principal, id: string): Promise<boolean> => {
    const queue = queues.ofJob(id)
    if (!queue) return false
    const { name, followUpKinds } = toStoredKind(await readKind(queue, { id, tenant: caller.tenant }))
    const isGranted = maySee(caller, toEnvelopeKind(id, name, followUpKinds === '' ? {} : { followUpKinds: JSON.parse(followUpKinds) }))
    return isGranted && name !== ''
  }

  return async (caller: Principal, id: string): Promise<JobSnapshot | null> => {
    const name = queueOfJobId(id)
    // A queue that the caller may not see is never looked for: it takes no longer whether it is there or not.
    if (name && !queues.ofJob(id) && maySee(caller, { type: name, queue: name, followUps: [] })) {
      await types.lookAgain()
      // Until the types have ever been read, a job of one of them is not known to be missing.
      if (!types.isLoaded()) await types.load()
    }
    if (isLimited(caller) && !(await maySeeKind(caller, id))) return null
    const found = await readSnapshot(id, caller.tenant)
    return found && found.tenant === caller.tenant && maySee(caller, found.kind) ? found : null
  }
}

export type FindJob = ReturnType<typeof createFindJob>
