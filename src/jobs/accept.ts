// Takes one submission from payload to queue, exactly once for each idempotency key.

import type { Accept, Acceptance, NewJob } from '../bullmq/acceptance.js'
import { childJobId, followUpJobId, mintJobId } from '../bullmq/job-id.js'
import { toIndexMember } from '../bullmq/job-index.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import { type ResolvedOptions, toStoredOptions } from '../bullmq/stored-options.js'
import type { Config } from '../config/config.js'
import type { ReadClaim } from '../idempotency/claim.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import { digestIdempotencyKey, type KeySpace } from '../idempotency/key.js'
import { decodeRecord, encodeRecord, type IdempotencyRecord } from '../idempotency/record.js'
import type { RedisClient } from '../redis/connect.js'
import { classifyRedisError } from '../redis/failures.js'
import type { Keys } from '../redis/redis-keys.js'
import { type Count, type Metrics, startedAtZero } from '../telemetry/metrics.js'
import type { JobType } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { JobView, QueueName } from '../types/job-schema.js'
import type { JobTypes } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import { checkSubmission } from './check-submission.js'
import type { JobEnvelope } from './envelope.js'
import type { SensitiveDataByType } from './sensitive-data.js'
import type { JobViews } from './view.js'

/** Who submits, and under which key. */
export interface SubmitContext {
  readonly tenant: string
  /** `fingerprint` says what the key is for; defaults to this submission. */
  readonly key?: { readonly key: string; readonly space: KeySpace; readonly fingerprint?: string }
  readonly trace?: { readonly traceparent: string; readonly tracestate?: string }
  /** For jobs whose id was settled before; left out, one is minted. */
  readonly jobId?: string
  /** The schedule that the job is a run of. */
  readonly scheduleId?: string
  /** The `check` of the type has been asked about the data just now: it is not asked again. */
  readonly isChecked?: boolean
}

/** Queues of the jobs that follow, in their order; undefined in the place of a type that is not registered. */
type FollowUpQueues = readonly (QueueName | undefined)[] | undefined

export type SubmitOutcome =
  /** `view` is what the first answer said, whether this is the first or a repeat. */
  | { readonly kind: 'accepted'; readonly view: JobView; readonly replayed: boolean }
  /** The key was used for another payload. */
  | { readonly kind: 'reused' }
  | { readonly kind: 'full' }
  /** What the schema cannot see is wrong. */
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }

/** How long a process trusts that a tenant that it listed is listed. */
const tenantsKnownMs = 60_000

interface Deps {
  readonly accept: Accept
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly keys: Keys
  readonly metrics: Pick<Metrics, 'onRender' | 'submissions'>
  readonly queues: Pick<QueuePlaces, 'partitions'>
  readonly readClaim: ReadClaim
  readonly redis: RedisClient
  readonly sensitive: SensitiveDataByType
  readonly views: JobViews
}

/**
 * Submits one job. Claim, depth check, add and record are one step in Redis, so no crash can fall between them.
 * Throws the error of Redis: the outcome is then unknown, or nothing was written, as `classifyRedisError` tells.
 */
export const createSubmit = (deps: Deps) => {
  const { accept, jobTypes, config, keys, metrics, queues, readClaim, redis, sensitive, views } = deps

  const knownTenants = new Set<string>()
  let knownUntil = 0
  /** Tenants are listed for the duty that forgets finished jobs; again now and then, since Redis may have lost the list. */
  const rememberTenant = (tenant: string, now: number) => {
    if (now >= knownUntil) {
      knownTenants.clear()
      knownUntil = now + tenantsKnownMs
    }
    if (knownTenants.has(tenant)) return
    knownTenants.add(tenant)
    redis.sadd(keys.tenants, tenant).catch(() => knownTenants.delete(tenant))
  }

  /** The earlier outcome of a key, for payloads that were fine when they came first and no longer are, such as a meeting that has begun. */
  const replayOf = async (claimKey: string, print: string): Promise<IdempotencyRecord | undefined> => {
    const record = await readClaim(claimKey, print)
    return record === undefined ? undefined : decodeRecord(record)
  }

  /** The stored form of a job. Members that are not there are undefined, not absent: objects of one shape are made faster. */
  const toEnvelope = (
    submission: Submission,
    context: SubmitContext,
    jobId: string,
    options: ResolvedOptions,
    followUpQueues: FollowUpQueues,
  ): JobEnvelope => ({
    data: submission.data,
    tenant: context.tenant,
    correlationId: submission.correlationId ?? toCorrelationId(jobId),
    timeoutMs: options.timeoutMs,
    userId: submission.userId,
    metadata: submission.metadata,
    idempotencyKey: context.key === undefined || ownSpaces.has(context.key.space) ? undefined : context.key.key,
    runAt: options.runAt,
    expiresAt: options.expiresAt,
    followUps: submission.followUps?.map((each, step) => ({
      ...each,
      id: followUpJobId(jobId, step, followUpQueues?.[step] as QueueName),
    })),
    scheduleId: context.scheduleId,
    traceparent: context.trace?.traceparent,
    tracestate: context.trace?.tracestate,
  })

  /** The first answer, from what the record kept and the request repeats. */
  const replay = (
    submission: Submission,
    context: SubmitContext,
    record: IdempotencyRecord,
    replayed: boolean,
    followUpQueues: FollowUpQueues,
  ): SubmitOutcome => {
    const options = { ...record.options, backoff: { type: 'fixed', delayMs: 0 }, timeoutMs: 0 } as const
    const envelope = toEnvelope(submission, context, record.jobId, options, followUpQueues)
    const view = views.ofAccepted(record.jobId, submission.type, envelope, options, record.createdAt, record.fanOut)
    return { kind: 'accepted', view, replayed }
  }

  const submitOne = async (submission: Submission, context: SubmitContext): Promise<SubmitOutcome> => {
    const { tenant, key } = context
    // Before anything is awaited: types may be gone afterwards.
    const followUpQueues = submission.followUps?.map(({ type }) => jobTypes.find(type)?.queue)
    const now = Date.now()
    const claim = key && {
      digest: digestIdempotencyKey(tenant, key.space, key.key),
      fingerprint: key.fingerprint ?? fingerprint('submit', submission),
    }
    const partition = queues.partitions.forSubmission(claim?.digest, context.jobId)
    const checked = checkSubmission(submission, { jobTypes, config, now, isChecked: context.isChecked })
    if (checked.kind === 'refused') {
      const isKnown = jobTypes.find(submission.type) !== undefined && !followUpQueues?.includes(undefined)
      const earlier = isKnown && claim && (await replayOf(partition.keys.idempotency(claim.digest), claim.fingerprint))
      return earlier ? replay(submission, context, earlier, true, followUpQueues) : { kind: 'invalid', errors: checked.errors }
    }

    const { type, options } = checked
    const jobId = context.jobId ?? mintJobId(type.queue, partition)
    const children = type.fanOut?.(submission.data) ?? null
    const fanOut = children !== null
    const envelope = toEnvelope(submission, context, jobId, options, followUpQueues)
    const outcome = await accept({
      queue: type.queue,
      partition,
      jobs: toJobs(jobId, type, envelope, options, now, children, sensitive),
      tenant,
      indexMember: toIndexMember(now, jobId),
      claim: claim && {
        digest: claim.digest,
        fingerprint: claim.fingerprint,
        record: encodeRecord({ jobId, createdAt: now, options, fanOut }),
      },
    })
    switch (outcome.kind) {
      case 'created':
        rememberTenant(tenant, now)
        return { kind: 'accepted', view: views.ofAccepted(jobId, type.name, envelope, options, now, fanOut), replayed: false }
      case 'replayed': {
        const record = decodeRecord(outcome.record)
        // Our own id: the connection broke after the first try was carried out, and the client library sent it again.
        return replay(submission, context, record, record.jobId !== jobId, followUpQueues)
      }
      default:
        return outcome
    }
  }

  const counts = new Map<string, SubmissionCounts>()
  const openCounts = (label: string): SubmissionCounts => {
    const made = counts.get(label) ?? countersOf(metrics, label)
    counts.set(label, made)
    return made
  }
  const countsOf = (type: string): SubmissionCounts => counts.get(type) ?? openCounts(jobTypes.find(type) ? type : other)
  // A rate needs the zero before the first one.
  metrics.onRender(() => {
    for (const { name } of jobTypes.all) countsOf(name)
  })
  return async (submission: Submission, context: SubmitContext): Promise<SubmitOutcome> => {
    const count = countsOf(submission.type)
    try {
      const outcome = await submitOne(submission, context)
      count[toCounted(outcome)].inc()
      return outcome
    } catch (error) {
      count[classifyRedisError(error) === 'refused' ? 'refused' : 'unknown'].inc()
      throw error
    }
  }
}

const countedOutcomes = ['created', 'replayed', 'conflict', 'refused', 'unknown'] as const
type SubmissionCounts = Readonly<Record<(typeof countedOutcomes)[number], Count>>

/** Stands for types that are not registered: a series for each name would have no bound. */
const other = 'other'

const countersOf = ({ submissions }: Pick<Metrics, 'submissions'>, type: string) =>
  Object.fromEntries(countedOutcomes.map((outcome) => [outcome, startedAtZero(submissions.labels(type, outcome))])) as SubmissionCounts

const toCounted = (outcome: SubmitOutcome): keyof SubmissionCounts => {
  switch (outcome.kind) {
    case 'accepted':
      return outcome.replayed ? 'replayed' : 'created'
    case 'reused':
      return 'conflict'
    case 'full':
    case 'invalid':
      return 'refused'
  }
}

export type Submit = ReturnType<typeof createSubmit>

/** Spaces whose keys no client has sent. */
const ownSpaces: ReadonlySet<KeySpace> = new Set<KeySpace>(['batch', 'follow-up', 'schedule'])

/** Minted from the job id, so that a replay mints the same. */
export const toCorrelationId = (jobId: string): string => `c${jobId.slice(jobId.indexOf('_'))}`

const toJobs = (
  jobId: string,
  type: JobType,
  envelope: JobEnvelope,
  options: ResolvedOptions,
  now: number,
  children: readonly unknown[] | null,
  sensitive: SensitiveDataByType,
): Acceptance['jobs'] => {
  const seal = (name: string, data: unknown) => sensitive.get(name)?.seal(data) ?? data
  const plainKind = options.runAt === undefined ? 'prioritized' : 'delayed'
  const stored = toStoredOptions(options, now)
  const toJob = (id: string, kind: NewJob['kind'], content: JobEnvelope, asStored: string): NewJob => ({
    id,
    kind,
    name: type.name,
    timestamp: now,
    data: JSON.stringify(toSealed(content, type.name, seal)),
    options: asStored,
  })
  if (!children) return [toJob(jobId, plainKind, envelope, stored)]
  const shared = { ...envelope, idempotencyKey: undefined, followUps: undefined }
  // The parent only gathers: it is due as soon as its children are finished.
  const atOnce = toStoredOptions({ ...options, runAt: undefined }, now)
  const parent = toJob(jobId, 'parent', { ...envelope, fanOut: true }, atOnce)
  return [parent, ...children.map((data, index) => toJob(childJobId(jobId, index), plainKind, { ...shared, data }, stored))]
}

/** With its secrets encrypted, when a key is configured; the envelope itself when there are none. */
const toSealed = (envelope: JobEnvelope, type: string, seal: (type: string, data: unknown) => unknown): JobEnvelope => {
  const data = seal(type, envelope.data)
  if (data === envelope.data && envelope.followUps === undefined) return envelope
  return { ...envelope, data, followUps: envelope.followUps?.map((each) => ({ ...each, data: seal(each.type, each.data) })) }
}
