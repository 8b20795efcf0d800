// Settlements of leases: fenced, counted once, and ended by the same engine as attempts of in-process workers.

import { hash } from 'node:crypto'
import type { AttemptEngine } from '../attempts/engine.js'
import type { AttemptReport } from '../attempts/outcome.js'
import type { Principal } from '../auth/grants.js'
import {
  digestChars,
  type EndState,
  type Hold,
  type HoldRead,
  type LeasedJob,
  type LeasedJobs,
  type Settled,
} from '../bullmq/registered/leased-jobs.js'
import { toCanonicalJson } from '../idempotency/fingerprint.js'
import type { FieldProblem } from '../types/field-problems.js'
import { type JobTypes, resultProblems } from '../types/registry.js'
import { parseHeldLease } from './held-lease.js'
import { LeasedAttempt } from './leased-attempt.js'
import type { RemoteWorkers } from './remote-workers.js'
import type { Settlement } from './schema.js'

export type SettleOutcome =
  /** Now, or by the same settlement before. */
  | { readonly kind: 'settled'; readonly state: EndState }
  /** Something else was said before. */
  | { readonly kind: 'settled-otherwise' }
  | { readonly kind: 'lost' }
  /** No lease of this tenant, or of a type that the key has no grant for. */
  | { readonly kind: 'unknown' }
  /** The lease goes on. */
  | { readonly kind: 'result-invalid'; readonly errors: readonly FieldProblem[] }
  /** The settlement says what only Jobgate may say. */
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }

interface Deps {
  readonly engine: Pick<AttemptEngine, 'resume' | 'settle'>
  readonly jobTypes: Pick<JobTypes, 'get'>
  readonly leasedJobs: Pick<LeasedJobs, 'end' | 'read'>
  readonly workers: Pick<RemoteWorkers, 'note'>
}

/** What makes two settlements the same: how it ended, and not what was logged. */
const toDigest = (said: Settlement): string => {
  const how =
    said.outcome === 'completed'
      ? { result: said.result ?? null }
      : said.outcome === 'failed'
        ? { error: said.error, retryAfterMs: said.retryAfterMs }
        : {}
  return hash('sha256', toCanonicalJson({ outcome: said.outcome, ...how }), 'base64url').slice(0, digestChars)
}

/** A job that was cancelled has an error of this code, and nothing else may. */
const cancelledCode = 'cancelled'
const reservedCode: FieldProblem = {
  pointer: '#/error/code',
  detail: 'must not be `cancelled`, which means that a client cancelled the job',
}

const toReport = (said: Settlement): AttemptReport => {
  switch (said.outcome) {
    case 'completed':
      return { kind: 'done', result: said.result ?? null }
    case 'failed': {
      const { error, retryAfterMs } = said
      const { code, message, retryable } = error
      return {
        kind: retryable ? 'retry' : 'fail',
        code,
        message,
        retryable,
        ...(retryAfterMs === undefined ? {} : { afterMs: retryAfterMs }),
      }
    }
    case 'released':
      return { kind: 'retry', code: 'handler_error', message: 'The worker released the job.' }
  }
}

/** All reject with the error of Redis: the outcome is unknown then, and the same settlement is safe to send again. */
export const createSettleLeases = ({ engine, jobTypes, leasedJobs, workers }: Deps) => {
  const compare = (settled: Settled, digest: string): SettleOutcome =>
    settled.digest === digest ? { kind: 'settled', state: settled.state } : { kind: 'settled-otherwise' }

  /** What keeps a settlement of a lease that is held from being one. */
  const findFault = (job: LeasedJob, said: Settlement): SettleOutcome | null => {
    // Whatever is said, the job ends as cancelled.
    if (job.isCancelled) return null
    if (said.outcome === 'failed' && said.error.code === cancelledCode) return { kind: 'invalid', errors: [reservedCode] }
    const registered = said.outcome === 'completed' ? jobTypes.get(job.stored.name) : undefined
    const errors = registered && said.outcome === 'completed' ? resultProblems(registered, said.result ?? null) : []
    return errors.length > 0 ? { kind: 'result-invalid', errors } : null
  }

  const end = async (job: LeasedJob, said: Settlement, digest: string): Promise<SettleOutcome> => {
    const { log, progress } = said
    const notes = { digest, log, progress: progress === undefined ? undefined : JSON.stringify(progress) }
    const held = new LeasedAttempt(job, leasedJobs, notes)
    const attempt = engine.resume(held, job.processedOn)
    const reason = job.isCancelled ? 'cancelled' : said.outcome === 'released' ? 'shutdown' : null
    try {
      await engine.settle(attempt, toReport(said), { reason }, held)
      return held.settled ? compare(held.settled, digest) : { kind: 'lost' }
    } finally {
      attempt.span?.end('unsettled')
    }
  }

  const settleOne = async (caller: Principal, said: Settlement, found: HoldRead): Promise<SettleOutcome> => {
    const digest = toDigest(said)
    if (found.kind === 'lost') return { kind: 'lost' }
    if (found.kind === 'settled') return compare(found, digest)
    const outcome = findFault(found.job, said) ?? (await end(found.job, said, digest))
    const { stored, holder } = found.job
    if (outcome.kind === 'settled') workers.note({ tenant: caller.tenant, name: holder }, { leases: [[stored.id, null]] })
    return outcome
  }

  /** In the order of the settlements; of several for one lease the first counts. */
  return async (caller: Principal, all: readonly Settlement[]): Promise<(SettleOutcome | Error)[]> => {
    const holds = all.map(({ lease }) => parseHeldLease(caller, lease))
    const known = holds.filter((hold) => hold !== null)
    const found = await leasedJobs.read(known)
    const byToken = new Map<string, HoldRead>(known.map(({ token }, at) => [token, found[at] as HoldRead]))
    const first = new Map<string, Promise<SettleOutcome>>()
    const settle = async (hold: Hold, said: Settlement): Promise<SettleOutcome> => {
      const before = first.get(hold.token)
      if (!before) {
        const settling = settleOne(caller, said, byToken.get(hold.token) as HoldRead)
        first.set(hold.token, settling)
        return settling
      }
      await before
      return settleOne(caller, said, (await leasedJobs.read([hold]))[0] as HoldRead)
    }
    return Promise.all(
      all.map((said, at): Promise<SettleOutcome | Error> => {
        const hold = holds[at]
        return hold ? settle(hold, said).catch((error: Error) => error) : Promise.resolve({ kind: 'unknown' })
      }),
    )
  }
}

export type SettleLeases = ReturnType<typeof createSettleLeases>
