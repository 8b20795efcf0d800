// A stored job as clients see it: BullMQ's words translated, secrets masked.

import type { JobKind } from '../auth/grants.js'
import { toFailedState } from '../bullmq/cancelled.js'
import { idOfKey, queueOfJobId } from '../bullmq/job-id.js'
import type { StoredJob, StoredState } from '../bullmq/read-jobs.js'
import { decodeJobError } from '../bullmq/stored-job-error.js'
import { toPriority } from '../bullmq/stored-options.js'
import { toIsoTime } from '../runtime/iso-time.js'
import type { JobError, JobState, JobView } from '../types/job-schema.js'
import type { Acceptance } from './accept.js'
import type { JobEnvelope } from './envelope.js'
import { toEnvelopeKind } from './job-kind.js'
import type { SensitiveDataByType } from './sensitive-data.js'

const states: Readonly<Record<StoredState, JobState>> = {
  completed: 'completed',
  failed: 'failed',
  delayed: 'delayed',
  prioritized: 'waiting',
  active: 'active',
  waiting: 'waiting',
  'waiting-children': 'waiting-children',
  // Between two sets, as for a moment in a failover: it will be handed out again.
  unknown: 'waiting',
}

let lastOptions = ''
let lastAttempts = 1
/** How often a job is tried, from its options as JSON; most jobs that are read one after the other have the same. */
const toAttempts = (json: string): number => {
  if (json !== lastOptions) {
    lastAttempts = (JSON.parse(json) as { attempts?: number }).attempts ?? 1
    lastOptions = json
  }
  return lastAttempts
}

const iso = (time: number | string | null | undefined): string | null =>
  time === null || time === undefined ? null : toIsoTime(Number(time))

/** Few jobs have these members, and an object that is spread into a view costs all of them. */
const addRareMembers = (view: JobView, { scheduleId, followUps }: JobEnvelope, parentKey: string | null): JobView => {
  if (parentKey !== null) view.parentId = idOfKey(parentKey)
  if (scheduleId !== undefined) view.scheduleId = scheduleId
  if (followUps !== undefined) view.followUps = followUps.map(({ id }) => id)
  return view
}

/** A job in the moment of its retry, from how it was before: what the first answer, and every replay of it, says. */
export const toRetriedView = (view: JobView): JobView => ({
  ...view,
  state: 'waiting',
  attempts: { ...view.attempts, made: 0 },
  result: null,
  error: null,
  startedAt: null,
  finishedAt: null,
})

/** Data as anybody may see them. Those of a type that this version does not know may hold secrets it cannot recognize: null. */
export const maskDataOf = (sensitive: SensitiveDataByType, type: string, data: unknown): unknown => sensitive.get(type)?.mask(data) ?? null

export const createJobViews = (sensitive: SensitiveDataByType) => {
  const maskData = (type: string, data: unknown): unknown => maskDataOf(sensitive, type, data)

  return {
    /** Another number when views that were made before may be out of date. */
    get revision(): number | undefined {
      return sensitive.revision
    },

    /** A job that was read from Redis. */
    ofStored(job: StoredJob): { view: JobView; tenant: string; kind: JobKind } {
      const envelope = JSON.parse(job.data) as JobEnvelope
      const error: JobError | null = job.failedReason && job.state !== 'completed' ? decodeJobError(job.failedReason) : null
      const state: JobState = job.state === 'failed' ? toFailedState(error) : states[job.state]
      const view: JobView = {
        id: job.id,
        type: job.name,
        typeVersion: envelope.typeVersion ?? 1,
        queue: queueOfJobId(job.id) as JobView['queue'],
        state,
        data: maskData(job.name, envelope.data),
        priority: toPriority(Number(job.priority)),
        attempts: { made: Number(job.attemptsMade ?? 0), max: toAttempts(job.options) },
        progress: job.progress === null ? null : JSON.parse(job.progress),
        result: state === 'completed' && job.returnvalue !== null ? JSON.parse(job.returnvalue) : null,
        error,
        userId: envelope.userId ?? null,
        correlationId: envelope.correlationId,
        metadata: envelope.metadata ?? {},
        idempotencyKey: envelope.idempotencyKey ?? null,
        createdAt: iso(job.timestamp) as string,
        runAt: iso(job.state === 'delayed' ? job.dueAt : envelope.runAt),
        startedAt: iso(job.processedOn),
        finishedAt: iso(job.finishedOn),
        expiresAt: iso(envelope.expiresAt),
      }
      const kind = toEnvelopeKind(job.id, job.name, envelope)
      return { view: addRareMembers(view, envelope, job.parentKey), tenant: envelope.tenant, kind }
    },

    /** A job as it was in the moment of its acceptance: what the first answer, and every replay of it, says. */
    ofAccepted({ jobId: id, type, typeVersion, envelope, options, createdAt, fanOut }: Acceptance): JobView {
      const view: JobView = {
        id,
        type,
        typeVersion,
        queue: queueOfJobId(id) as JobView['queue'],
        state: fanOut ? 'waiting-children' : options.runAt === undefined ? 'waiting' : 'delayed',
        data: maskData(type, envelope.data),
        priority: options.priority,
        attempts: { made: 0, max: options.attempts },
        progress: null,
        result: null,
        error: null,
        userId: envelope.userId ?? null,
        correlationId: envelope.correlationId,
        metadata: envelope.metadata ?? {},
        idempotencyKey: envelope.idempotencyKey ?? null,
        createdAt: iso(createdAt) as string,
        runAt: iso(options.runAt),
        startedAt: null,
        finishedAt: null,
        expiresAt: iso(options.expiresAt),
      }
      return addRareMembers(view, envelope, null)
    },
  }
}

export type JobViews = ReturnType<typeof createJobViews>
