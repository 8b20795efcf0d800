// Hands out jobs: fetched from a queue for those who wait, begun by the attempt engine, and shown with their data in clear.

import type { Logger } from 'pino'
import type { AttemptEngine } from '../attempts/engine.js'
import type { AttemptReport } from '../attempts/outcome.js'
import type { Fetched, Hold, LeasedJob, LeasedJobs } from '../bullmq/registered/leased-jobs.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { JobViews } from '../jobs/view.js'
import { toIsoTime } from '../runtime/iso-time.js'
import type { Metrics } from '../telemetry/metrics.js'
import { jobErrors } from '../types/job-errors.js'
import type { QueueName } from '../types/queue-name.js'
import { type JobTypes, toPresentData } from '../types/registry.js'
import { type LeaseSlot, mintLeaseSlot, parseLeaseId, toLeaseId } from './lease-id.js'
import { LeasedAttempt } from './leased-attempt.js'
import type { HandedLease } from './schema.js'

/** Who waits for jobs: asked for by a key of `tenant`, as this worker. */
export interface Poll {
  readonly tenant: string
  readonly worker: string
  readonly queues: readonly QueueName[]
  readonly max: number
  readonly leaseMs: number
  /** The idempotency key of the request, and what it is for. */
  readonly claim?: { readonly digest: string; readonly fingerprint: string } | undefined
}

/** What a poll came to. `claimed`: another request with its key was served first; the value of its claim. */
export type PollOutcome =
  | { readonly kind: 'leases'; readonly leases: readonly HandedLease[] }
  | { readonly kind: 'claimed'; readonly value: string }

interface Deps {
  readonly engine: Pick<AttemptEngine, 'begin' | 'handOut' | 'resume' | 'settle'>
  readonly jobTypes: Pick<JobTypes, 'get'>
  readonly leasedJobs: LeasedJobs
  readonly log: Logger
  readonly metrics: Pick<Metrics, 'leases'>
  readonly sensitive: SensitiveDataByType
  readonly views: JobViews
}

/** All reject with the error of Redis. */
export const createHandOut = ({ engine, jobTypes, leasedJobs, log, metrics, sensitive, views }: Deps) => {
  const toHandedLease = (job: LeasedJob, lease: string, data: unknown): HandedLease => {
    const { view } = views.ofStored(job.stored)
    const { traceparent = null } = JSON.parse(job.stored.data) as { traceparent?: string }
    return {
      lease,
      expiresAt: toIsoTime(Date.now() + job.lockMs),
      checkpoint: job.checkpoint === null ? null : JSON.parse(job.checkpoint),
      job: { ...view, data, traceparent },
    }
  }

  /** Begins the attempt; null when it ended with that. */
  const begin = async (job: LeasedJob, lease: string): Promise<HandedLease | null> => {
    const held = new LeasedAttempt(job, leasedJobs)
    const attempt = engine.handOut(held)
    const begun = await engine.begin(attempt)
    if (begun.kind === 'begun' && !job.isCancelled && !job.isPoison) {
      metrics.leases.inc()
      return toHandedLease(job, lease, begun.data)
    }
    const poison: AttemptReport = { kind: 'refused', code: 'worker_lost', message: jobErrors.worker_lost.meaning }
    const report = begun.kind === 'begun' ? poison : begun.kind === 'decided' ? begun.outcome : begun
    await engine.settle(attempt, report, { reason: job.isCancelled ? 'cancelled' : null }, held)
    return null
  }

  /** Begins what was fetched for one poll. What cannot be begun now comes back when its lease is over. */
  const beginAll = async ({ leaseMs }: Poll, jobs: readonly LeasedJob[], slots: readonly LeaseSlot[]): Promise<HandedLease[]> => {
    const begun = await Promise.all(
      jobs.map((job, at) =>
        begin(job, toLeaseId(job.stored.id, slots[at] as LeaseSlot)).catch((error: Error) => {
          log.warn({ jobId: job.stored.id, leaseMs, error: error.message }, 'a leased job was not begun')
          return null
        }),
      ),
    )
    return begun.filter((lease) => lease !== null)
  }

  return {
    /** One step for all polls together, which are served in their order. `isEmpty`: nothing is left to hand out now. */
    async fetch(queue: QueueName, polls: readonly Poll[]): Promise<{ isEmpty: boolean; outcomes: PollOutcome[] }> {
      const slots = polls.map(({ tenant, max }) => Array.from({ length: max }, () => mintLeaseSlot(tenant)))
      const { isEmpty, fetched } = await leasedJobs.fetch(
        queue,
        polls.map(({ worker, leaseMs, claim }, at) => ({
          holder: worker,
          leaseMs,
          slots: slots[at] as LeaseSlot[],
          claim: claim && { digest: claim.digest, start: claim.fingerprint },
        })),
      )
      const toOutcome = async (each: Fetched, at: number): Promise<PollOutcome> => {
        if (each.kind === 'claimed') return each
        const poll = polls[at] as Poll
        const leases = await beginAll(poll, each.jobs, slots[at] as LeaseSlot[])
        // What was fetched came to nothing: the key is still to be used.
        if (poll.claim && each.jobs.length > 0 && leases.length === 0) await leasedJobs.unclaim(poll.claim.digest)
        return { kind: 'leases', leases }
      }
      return { isEmpty, outcomes: await Promise.all(fetched.map(toOutcome)) }
    },

    /** Leases that were handed out before, as they are now; those that are over are left out. */
    async repeat(tenant: string, leases: readonly string[]): Promise<HandedLease[]> {
      const known = leases.filter((lease) => parseLeaseId(tenant, lease) !== null)
      const found = await leasedJobs.read(known.map((lease) => parseLeaseId(tenant, lease) as Hold))
      return found.flatMap((each, at) => {
        if (each.kind !== 'held') return []
        const { name, data } = each.job.stored
        const registered = jobTypes.get(name)
        const opened = sensitive.get(name)?.open((JSON.parse(data) as { data: unknown }).data) ?? null
        return [toHandedLease(each.job, known[at] as string, registered ? toPresentData(registered, opened) : opened)]
      })
    },

    /** Gives back what nobody waits for any longer. What cannot be given back comes back when its lease is over. */
    async release(tenant: string, leases: readonly HandedLease[]): Promise<void> {
      const holds = leases.map(({ lease }) => parseLeaseId(tenant, lease)).filter((hold) => hold !== null)
      for (const each of await leasedJobs.read(holds)) {
        if (each.kind !== 'held') continue
        const held = new LeasedAttempt(each.job, leasedJobs)
        await engine.settle(
          engine.resume(held, each.job.processedOn),
          { kind: 'retry', code: 'handler_error', message: '' },
          { reason: 'shutdown' },
          held,
        )
      }
    },
  }
}

export type HandOut = ReturnType<typeof createHandOut>
