// Finds the job of an id that a client names: what the client may not see is not there, and costs the same time.

import { isLimited, type JobKind, maySee, type Principal } from '../auth/grants.js'
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
}: {
  readKind: ReadKind
  readSnapshot: ReadSnapshot
  queues: Pick<QueuePlaces, 'ofJob'>
}) => {
  const kindOf = async (id: string, tenant: string): Promise<JobKind | null> => {
    const queue = queues.ofJob(id)
    const text = queue && (await readKind(queue, { id, tenant }))
    if (!text) return null
    const { name, followUpKinds } = toStoredKind(text)
    return toEnvelopeKind(id, name, followUpKinds === '' ? {} : { followUpKinds: JSON.parse(followUpKinds) })
  }

  return async (caller: Principal, id: string): Promise<JobSnapshot | null> => {
    if (isLimited(caller)) {
      const kind = await kindOf(id, caller.tenant)
      if (!kind || !maySee(caller, kind)) return null
    }
    const found = await readSnapshot(id, caller.tenant)
    return found && found.tenant === caller.tenant && maySee(caller, found.kind) ? found : null
  }
}

export type FindJob = ReturnType<typeof createFindJob>
