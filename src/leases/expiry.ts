// Leases that ran out: found by their own expiry, however long it was, and given to others or ended.

import type { Logger } from 'pino'
import type { AbortReason } from '../attempts/abort-handle.js'
import type { AttemptEngine } from '../attempts/engine.js'
import { toAbortedOutcome } from '../attempts/outcome.js'
import type { LeasedJob, LeasedJobs } from '../bullmq/registered/leased-jobs.js'
import type { Duty } from '../runtime/duty.js'
import type { JobTypes } from '../types/registry.js'
import { isLeasable } from './leasable.js'
import { mintLeaseSlot } from './lease-id.js'
import { LeasedAttempt } from './leased-attempt.js'

/** A lease that ran out is found at the latest after this, and a fifth of it. */
const everyMs = 3000
const jitter = 0.2

interface Deps {
  readonly engine: Pick<AttemptEngine, 'resume' | 'settle'>
  readonly jobTypes: Pick<JobTypes, 'all'>
  readonly leasedJobs: Pick<LeasedJobs, 'end' | 'takeOver'>
  readonly log: Logger
}

/**
 * Each job that nobody holds is taken over under a lock of this instance's own, so that no other settles it too: a cancelled one is
 * cancelled, one whose attempt took too long has timed out, and any other lost its worker, which counts like a worker that died.
 */
export const createExpiry = ({ engine, jobTypes, leasedJobs, log }: Deps): Duty => {
  const settle = async (job: LeasedJob): Promise<void> => {
    const held = new LeasedAttempt(job, leasedJobs)
    const attempt = engine.resume(held, job.processedOn)
    const isLate = job.endsAt > 0 && Date.now() >= job.endsAt
    const reason: AbortReason = job.isCancelled ? 'cancelled' : isLate ? 'timed_out' : 'lost'
    try {
      if (reason === 'lost' && !(await held.giveUp())) return
      await engine.settle(attempt, toAbortedOutcome(reason), { reason }, held)
    } catch (error) {
      log.warn({ jobId: job.stored.id, error: (error as Error).message }, 'a job whose lease expired was not settled; retrying')
    } finally {
      attempt.span?.end('unsettled')
    }
  }

  return {
    name: 'lease-expiry',
    everyMs,
    // Every instance looks: where nothing is held, that is one call for all queues, and less than a lock would cost.
    jitter,
    failure: 'looking for expired leases failed',
    run: async () => {
      const queues = [...new Set(jobTypes.all.filter(isLeasable).map(({ queue }) => queue))]
      // A token that no lease leads to.
      await leasedJobs.takeOver(queues, mintLeaseSlot('').token, settle)
    },
  }
}
