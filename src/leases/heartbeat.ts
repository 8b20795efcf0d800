// Signs of life for leases, whichever instance handed them out; the answer tells of cancellations, losses and an operator's drain.

import type { Principal } from '../auth/grants.js'
import type { HoldBeat, HoldStatus, LeasedJobs } from '../bullmq/registered/leased-jobs.js'
import { toIsoTime } from '../runtime/iso-time.js'
import { parseHeldLease } from './held-lease.js'
import type { RemoteWorkers } from './remote-workers.js'
import type { Beat, BeatResult, WorkerOrder } from './schema.js'

/** `unknown`: no lease of this tenant, or of a type that the key has no grant for. */
export type BeatOutcome = BeatResult | { readonly lease: string; readonly status: 'unknown' }

interface Deps {
  readonly leasedJobs: Pick<LeasedJobs, 'heartbeat'>
  readonly workers: Pick<RemoteWorkers, 'areDrained' | 'note' | 'stopped'>
}

const unknown = (lease: string): BeatOutcome => ({ lease, status: 'unknown' })

const toHoldBeat = (caller: Principal, { lease, leaseMs, progress, checkpoint, log }: Beat): HoldBeat | null => {
  const hold = parseHeldLease(caller, lease)
  if (!hold) return null
  return {
    ...hold,
    leaseMs,
    progress: progress === undefined ? undefined : JSON.stringify(progress),
    checkpoint: checkpoint === undefined ? undefined : JSON.stringify(checkpoint),
    log,
  }
}

const toResult = (lease: string, status: HoldStatus, now: number): BeatResult =>
  status ? { lease, status: status.status, expiresAt: toIsoTime(now + status.lockMs) } : { lease, status: 'lost', expiresAt: null }

/** All reject with the error of Redis. */
export const createHeartbeat = ({ leasedJobs, workers }: Deps) => {
  const beat = async (caller: Principal, beats: readonly Beat[]) => {
    const holds = beats.map((each) => toHoldBeat(caller, each))
    const known = holds.filter((hold) => hold !== null)
    const statuses = await leasedJobs.heartbeat(known)
    const now = Date.now()
    let next = 0
    const outcomes = holds.map((hold, at): BeatOutcome => {
      const { lease } = beats[at] as Beat
      return hold ? toResult(lease, statuses[next++] as HoldStatus, now) : unknown(lease)
    })
    const leases = statuses.map((status, at): [string, number | null] => [(known[at] as HoldBeat).id, status && now + status.lockMs])
    return { outcomes, leases, holder: statuses.find((status) => status !== null)?.holder }
  }

  return {
    /** Of one worker, for many leases; what it is to do. */
    async ofWorker(
      caller: Principal,
      { worker, beats, version }: { worker: string; beats: readonly Beat[]; version: string | undefined },
    ): Promise<{ order: WorkerOrder; outcomes: BeatOutcome[] }> {
      const id = { tenant: caller.tenant, name: worker }
      const [{ outcomes, leases }, [isDrained]] = await Promise.all([beat(caller, beats), workers.areDrained([id])])
      workers.note(id, { version, leases })
      if (!isDrained) return { order: 'run', outcomes }
      if (outcomes.some(({ status }) => status === 'held' || status === 'cancelled')) return { order: 'drain', outcomes }
      await workers.stopped(id)
      return { order: 'stop', outcomes }
    },

    /** Of one lease, whoever holds it. */
    async ofLease(caller: Principal, each: Beat, version: string | undefined): Promise<BeatOutcome> {
      const { outcomes, leases, holder } = await beat(caller, [each])
      if (holder !== undefined) workers.note({ tenant: caller.tenant, name: holder }, { version, leases })
      return outcomes[0] as BeatOutcome
    },
  }
}

export type Heartbeat = ReturnType<typeof createHeartbeat>
