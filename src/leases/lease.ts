// Leases jobs to a program: checks what it asks for, waits, and repeats what was handed out under the same idempotency key.

import { findUngranted, type Principal } from '../auth/grants.js'
import type { LeasedJobs } from '../bullmq/registered/leased-jobs.js'
import { fingerprintChars } from '../bullmq/scripts/accept-script.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import { digestIdempotencyKey } from '../idempotency/key.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { QueueName } from '../types/queue-name.js'
import { type JobTypes, unknownType } from '../types/registry.js'
import type { HandOut, Poll, PollOutcome } from './hand-out.js'
import { isLeasable } from './leasable.js'
import type { Polls } from './polls.js'
import type { RemoteWorkers } from './remote-workers.js'
import { type HandedLease, type LeaseRequest, leaseMsDefault } from './schema.js'

export type LeaseOutcome =
  | { readonly kind: 'leases'; readonly leases: readonly HandedLease[]; readonly replayed: boolean }
  /** The key was used for another request. */
  | { readonly kind: 'reused' }
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }

export interface LeaseContext {
  readonly caller: Principal
  readonly key: string | null
  /** What the program calls itself. */
  readonly version: string | undefined
  /** How long it may wait, and what ends that. */
  readonly waitMs: number
  readonly signal?: AbortSignal | undefined
}

interface Deps {
  readonly handOut: Pick<HandOut, 'release' | 'repeat'>
  readonly jobTypes: Pick<JobTypes, 'find'>
  readonly leasedJobs: Pick<LeasedJobs, 'claimed'>
  readonly polls: Pick<Polls, 'park'>
  readonly workers: Pick<RemoteWorkers, 'note'>
}

const notLeased = (pointer: string): FieldProblem => ({ pointer, detail: 'is run by workers of Jobgate and cannot be leased' })

/** All reject with the error of Redis. */
export const createLease = ({ handOut, jobTypes, leasedJobs, polls, workers }: Deps) => {
  /** The queues of the types; or what is wrong with these: one that the key may not see is like one that does not exist. */
  const findQueues = (caller: Principal, types: readonly string[]): { queues: QueueName[]; errors: FieldProblem[] } => {
    const queues = new Set<QueueName>()
    const errors: FieldProblem[] = []
    for (const [at, name] of types.entries()) {
      const type = jobTypes.find(name)
      const pointer = `#/types/${at}`
      if (!type || findUngranted(caller, { type: name, queue: type.queue, followUps: [] }) !== null) errors.push(unknownType(pointer))
      else if (isLeasable(type)) queues.add(type.queue)
      else errors.push(notLeased(pointer))
    }
    return { queues: [...queues], errors }
  }

  const toPoll = ({ caller, key }: LeaseContext, request: LeaseRequest, queues: readonly QueueName[]): Poll => {
    const { worker, types, max = 1, leaseMs = leaseMsDefault } = request
    const { tenant } = caller
    const claim =
      key === null
        ? undefined
        : {
            digest: digestIdempotencyKey(tenant, 'lease', key),
            // How long it waits makes no difference.
            fingerprint: fingerprint('lease', { worker, types, max, leaseMs }),
          }
    return { tenant, worker, queues, max, leaseMs, claim }
  }

  const replay = async ({ tenant, claim }: Poll, value: string): Promise<LeaseOutcome> => {
    if (value.slice(0, fingerprintChars) !== claim?.fingerprint) return { kind: 'reused' }
    return { kind: 'leases', leases: await handOut.repeat(tenant, value.slice(fingerprintChars).split(' ')), replayed: true }
  }

  const note = ({ caller, version }: LeaseContext, { worker, types }: LeaseRequest, leases: readonly HandedLease[]): void =>
    workers.note(
      { tenant: caller.tenant, name: worker },
      { types, version, leases: leases.map(({ job, expiresAt }) => [job.id, Date.parse(expiresAt)]) },
    )

  return {
    async lease(request: LeaseRequest, context: LeaseContext): Promise<LeaseOutcome> {
      const { queues, errors } = findQueues(context.caller, request.types)
      if (errors.length > 0) return { kind: 'invalid', errors }
      const poll = toPoll(context, request, queues)
      note(context, request, [])
      const earlier = poll.claim && (await leasedJobs.claimed(poll.claim.digest))
      if (earlier) return replay(poll, earlier)
      const outcome: PollOutcome = await polls.park(poll, context.waitMs, context.signal)
      if (outcome.kind === 'claimed') return replay(poll, outcome.value)
      note(context, request, outcome.leases)
      return { kind: 'leases', leases: outcome.leases, replayed: false }
    },

    /** Gives back what could not be answered. */
    release: (caller: Principal, leases: readonly HandedLease[]): Promise<void> => handOut.release(caller.tenant, leases),
  }
}

export type LeaseJobs = ReturnType<typeof createLease>
