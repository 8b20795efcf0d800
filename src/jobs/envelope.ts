// The stored form of a job: the handler's data and what stands beside it, and how a submission becomes it.

import type { NewJob, Acceptance as StoredSubmission } from '../bullmq/acceptance.js'
import { childJobId, followUpJobId } from '../bullmq/job-id.js'
import { type ResolvedOptions, toStoredOptions } from '../bullmq/stored-options.js'
import type { ClaimedKey } from '../idempotency/claim.js'
import type { KeySpace } from '../idempotency/key.js'
import type { JobType } from '../types/definition.js'
import type { FollowUp } from '../types/follow-up.js'
import type { JobErrorCode } from '../types/job-errors.js'
import type { Metadata } from '../types/job-schema.js'
import type { QueueName } from '../types/queue-name.js'
import type { Submission } from '../types/submission.js'
import type { SensitiveDataByType } from './sensitive-data.js'

/** A job to be submitted, under this id, once the one that carries it has done its work. */
export interface StoredFollowUp extends FollowUp {
  readonly id: string
}

/** Type and queue of a job that is to follow; without the queue where the type was not registered. */
export interface FollowUpKind {
  readonly type: string
  readonly queue?: string | undefined
}

/**
 * The `data` member of a BullMQ job. Times are milliseconds since 1970.
 * `tenant`, `followUpKinds` and `typeVersion` come first in the stored text, where Lua looks for them.
 */
export interface JobEnvelope {
  tenant: string
  /** Of `followUps`; also where these are left out, as in children and in refused runs. */
  followUpKinds?: readonly FollowUpKind[] | undefined
  /** Of the type, under which the data were accepted; absent: 1. */
  typeVersion?: number | undefined
  data: unknown
  correlationId: string
  userId?: string | undefined
  metadata?: Metadata | undefined
  idempotencyKey?: string | undefined
  /** One attempt may take this long. */
  timeoutMs: number
  runAt?: number | undefined
  expiresAt?: number | undefined
  /** This job stands for several; its children did the work. */
  fanOut?: true | undefined
  followUps?: readonly StoredFollowUp[] | undefined
  /** The schedule that this is a run of. */
  scheduleId?: string | undefined
  /** The job was known to be wrong when it was stored: its attempt ends with this. */
  refusal?: { readonly code: JobErrorCode; readonly message: string } | undefined
  /** W3C trace context of the request that submitted the job. */
  traceparent?: string | undefined
  tracestate?: string | undefined
}

/** Who submits, and under which key. */
export interface AcceptContext {
  readonly tenant: string
  readonly key?: ClaimedKey
  readonly trace?: { readonly traceparent: string; readonly tracestate?: string }
  /** For jobs whose id was settled before; left out, one is minted. */
  readonly jobId?: string
  /** The schedule that the job is a run of. */
  readonly scheduleId?: string
  /** The `check` of the type has been asked about the data just now: it is not asked again. */
  readonly isChecked?: boolean
}

/** Queues of the jobs that follow, in their order; undefined in the place of a type that is not registered. */
export type FollowUpQueues = readonly (QueueName | undefined)[] | undefined

/** Spaces whose keys no client has sent. */
const ownSpaces: ReadonlySet<KeySpace> = new Set<KeySpace>(['batch', 'follow-up', 'schedule'])

/** The stored form of a submission. Members that are not there are undefined, not absent: objects of one shape are made faster. */
export const toEnvelope = (
  submission: Submission,
  context: AcceptContext,
  jobId: string,
  { timeoutMs, runAt, expiresAt }: Pick<ResolvedOptions, 'timeoutMs' | 'runAt' | 'expiresAt'>,
  typeVersion: number,
  followUpQueues: FollowUpQueues,
): JobEnvelope => ({
  tenant: context.tenant,
  followUpKinds: submission.followUps?.map(({ type }, step) => ({ type, queue: followUpQueues?.[step] })),
  typeVersion: typeVersion === 1 ? undefined : typeVersion,
  data: submission.data,
  correlationId: submission.correlationId ?? toCorrelationId(jobId),
  timeoutMs,
  userId: submission.userId,
  metadata: submission.metadata,
  idempotencyKey: context.key === undefined || ownSpaces.has(context.key.space) ? undefined : context.key.key,
  runAt,
  expiresAt,
  followUps: submission.followUps?.map((each, step) => ({ ...each, id: followUpJobId(jobId, step, followUpQueues?.[step] as QueueName) })),
  scheduleId: context.scheduleId,
  traceparent: context.trace?.traceparent,
  tracestate: context.trace?.tracestate,
})

/** Minted from the job id, so that a replay mints the same. */
export const toCorrelationId = (jobId: string): string => `c${jobId.slice(jobId.indexOf('_'))}`

/** The jobs of a submission: one, or a parent and its children. `children` are the data of each child of a fan-out; null for a plain job. `now` is milliseconds since 1970. */
export const toJobs = (
  jobId: string,
  type: JobType,
  envelope: JobEnvelope,
  options: ResolvedOptions,
  now: number,
  children: readonly unknown[] | null,
  sensitive: SensitiveDataByType,
): StoredSubmission['jobs'] => {
  const plainKind = options.runAt === undefined ? 'prioritized' : 'delayed'
  const stored = toStoredOptions(options, now)
  const toJob = (id: string, kind: NewJob['kind'], content: JobEnvelope, asStored: string): NewJob => ({
    id,
    kind,
    name: type.name,
    timestamp: now,
    data: JSON.stringify(toSealed(content, type.name, sensitive)),
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
const toSealed = (envelope: JobEnvelope, type: string, sensitive: SensitiveDataByType): JobEnvelope => {
  const data = seal(sensitive, type, envelope.data)
  if (data === envelope.data && envelope.followUps === undefined) return envelope
  return { ...envelope, data, followUps: envelope.followUps?.map((each) => ({ ...each, data: seal(sensitive, each.type, each.data) })) }
}

const seal = (sensitive: SensitiveDataByType, type: string, data: unknown): unknown => sensitive.get(type)?.seal(data) ?? data
