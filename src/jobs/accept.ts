// Accepts a submission: checks what its schema cannot see and stores it, exactly once for each idempotency key.

import type { Accept as Store } from '../bullmq/acceptance.js'
import { mintJobId } from '../bullmq/job-id.js'
import { toIndexMember } from '../bullmq/job-index.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import type { Config } from '../config/config.js'
import { decodeRecord, encodeRecord, type IdempotencyRecord, type ReadClaim, toClaim } from '../idempotency/claim.js'
import type { FieldProblem } from '../types/field-problems.js'
import { dataProblems, type JobTypes, unknownType } from '../types/registry.js'
import { isChecked, type Submission } from '../types/submission.js'
import { checkSubmission } from './check-submission.js'
import { type AcceptContext, type FollowUpQueues, type JobEnvelope, toEnvelope, toJobs } from './envelope.js'
import type { SensitiveDataByType } from './sensitive-data.js'
import type { TenantList } from './tenant-list.js'

/** What was stored of a submission: all that the first answer says, and every repeat of it. */
export interface Acceptance extends IdempotencyRecord {
  readonly type: string
  readonly envelope: JobEnvelope
}

export type AcceptOutcome =
  /** `replayed`: the job was there already, under the same key. */
  | { readonly kind: 'accepted'; readonly acceptance: Acceptance; readonly replayed: boolean }
  /** The key was used for another payload. */
  | { readonly kind: 'reused' }
  | { readonly kind: 'full' }
  /** What the schema cannot see is wrong. */
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }

interface Deps {
  readonly config: Config
  readonly jobTypes: JobTypes
  readonly queues: Pick<QueuePlaces, 'partitions'>
  readonly readClaim: ReadClaim
  readonly sensitive: SensitiveDataByType
  readonly store: Store
  readonly tenants: TenantList
}

/**
 * Accepts one submission. Claim, depth check, add and record are one step in Redis, so no crash can fall between them.
 * Throws the error of Redis: the outcome is then unknown, or nothing was written, as `classifyRedisError` tells.
 */
export const createAccept = ({ config, jobTypes, queues, readClaim, sensitive, store, tenants }: Deps) => {
  return async (submission: Submission, context: AcceptContext): Promise<AcceptOutcome> => {
    const { tenant, key } = context
    // Before anything is awaited: types may be gone afterwards.
    const followUpQueues = submission.followUps?.map(({ type }) => jobTypes.find(type)?.queue)
    const now = Date.now()
    const claim = key && toClaim(tenant, key, submission)
    const partition = queues.partitions.forSubmission(claim?.digest, context.jobId)
    const checked = checkSubmission(submission, { jobTypes, config, now, isChecked: context.isChecked })
    if (checked.kind === 'refused') {
      const isKnown = jobTypes.find(submission.type) !== undefined && !followUpQueues?.includes(undefined)
      // What was fine when it came first may no longer be, such as a meeting that has begun.
      const earlier = isKnown && claim && (await readClaim(partition.keys.idempotency(claim.digest), claim.fingerprint))
      return earlier ? toReplay(submission, context, earlier, true, followUpQueues) : { kind: 'invalid', errors: checked.errors }
    }

    const { registered, options } = checked
    const { type, version: typeVersion } = registered
    // Between the check of the body and now the type may have got another version.
    if (!isChecked(submission, registered)) {
      const errors = dataProblems(registered, submission.data)
      if (errors.length > 0) return { kind: 'invalid', errors }
    }
    const jobId = context.jobId ?? mintJobId(type.queue, partition)
    const children = type.fanOut?.(submission.data) ?? null
    const envelope = toEnvelope(submission, context, jobId, options, typeVersion, followUpQueues)
    const acceptance: Acceptance = { jobId, type: type.name, typeVersion, createdAt: now, options, envelope, fanOut: children !== null }
    const outcome = await store({
      queue: type.queue,
      registration: type.registered?.registration,
      partition,
      jobs: toJobs(jobId, type, envelope, options, now, children, sensitive),
      tenant,
      indexMember: toIndexMember(now, jobId),
      claim: claim && { digest: claim.digest, fingerprint: claim.fingerprint, record: encodeRecord(acceptance) },
    })
    switch (outcome.kind) {
      case 'created':
        tenants.remember(tenant, now)
        return { kind: 'accepted', acceptance, replayed: false }
      case 'replayed': {
        const record = decodeRecord(outcome.record)
        // Our own id: the connection broke after the first try was carried out, and the client library sent it again.
        return toReplay(submission, context, record, record.jobId !== jobId, followUpQueues)
      }
      case 'gone':
        return { kind: 'invalid', errors: [unknownType()] }
      default:
        return outcome
    }
  }
}

export type Accept = ReturnType<typeof createAccept>

/** The first outcome, from what the record kept and the request repeats. */
const toReplay = (
  submission: Submission,
  context: AcceptContext,
  record: IdempotencyRecord,
  replayed: boolean,
  followUpQueues: FollowUpQueues,
): AcceptOutcome => {
  const { jobId, createdAt, options, fanOut, typeVersion } = record
  const envelope = toEnvelope(submission, context, jobId, { ...options, timeoutMs: 0 }, typeVersion, followUpQueues)
  return { kind: 'accepted', acceptance: { jobId, type: submission.type, typeVersion, createdAt, options, envelope, fanOut }, replayed }
}
