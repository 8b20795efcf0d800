// Schedules as clients handle them: put, read, list, delete, and run by hand.

import type { Config } from '../config/config.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import type { Accept, AcceptOutcome } from '../jobs/accept.js'
import type { AcceptContext } from '../jobs/envelope.js'
import type { JobType } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { JobTypes } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import { type ScheduleDefinition, scheduleProblems } from './checks.js'
import type { ScheduleClock } from './clock.js'
import type { SchedulePayloads } from './payload.js'
import type { Reconcile } from './reconcile.js'
import { type ScheduleRecord, type ScheduleRecords, type StoredSchedule, scheduleKey } from './record.js'
import type { ScheduleView } from './schema.js'
import { createScheduleView } from './view.js'

/** Whether the caller may see a schedule, by type and queue of its jobs. */
type IsVisible = (job: { readonly type: string; readonly queue: string }) => boolean

export type PutScheduleOutcome =
  | { readonly kind: 'created' | 'updated'; readonly view: ScheduleView }
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }
  /** There is one by this id that the caller may not see. */
  | { readonly kind: 'hidden' }
  | { readonly kind: 'full' }

export type TriggerOutcome =
  | AcceptOutcome
  | { readonly kind: 'missing' }
  /** The stored payload no longer fits. */
  | { readonly kind: 'refused'; readonly errors: readonly FieldProblem[] }

interface Deps {
  readonly reconcile: Reconcile
  readonly jobTypes: JobTypes
  readonly clock: ScheduleClock
  readonly config: Config
  readonly payloads: SchedulePayloads
  readonly records: ScheduleRecords
  readonly accept: Accept
}

/** Every call rejects with the error of Redis; all but a trigger without a key may be repeated. */
export const createSchedules = ({ accept, reconcile, jobTypes, clock, config, payloads, records }: Deps) => {
  const toView = createScheduleView(payloads)

  const find = async (tenant: string, id: string, isVisible: IsVisible): Promise<StoredSchedule | null> => {
    const stored = await records.read(scheduleKey(tenant, id))
    return stored && isVisible(stored.record) ? stored : null
  }

  const viewOf = async (stored: StoredSchedule, preview?: number): Promise<ScheduleView> => {
    const { tenant, id } = stored.record
    const [tick = null] = await clock.nextAt([scheduleKey(tenant, id)])
    return toView(stored, tick, preview)
  }

  return {
    /** Creates or replaces a schedule. Putting the same again changes nothing, nor when it is due. */
    async put(
      tenant: string,
      id: string,
      definition: ScheduleDefinition,
      { isVisible, preview }: { isVisible: IsVisible; preview?: number | undefined },
    ): Promise<PutScheduleOutcome> {
      const type = jobTypes.find(definition.type)
      const errors = scheduleProblems(definition, { jobTypes, config, now: Date.now() })
      if (!type || errors.length > 0) return { kind: 'invalid', errors }
      const key = scheduleKey(tenant, id)
      const before = await records.read(key)
      if (before && !isVisible(before.record)) return { kind: 'hidden' }
      const kind = await records.put(payloads.seal(toRecord(tenant, id, definition, type)), config.schedules.max)
      if (kind === 'full') return { kind }
      await reconcile(key)
      const stored = await records.read(key)
      // Deleted by somebody else in the same moment: it was there all the same.
      return stored ? { kind, view: await viewOf(stored, preview) } : { kind: 'hidden' }
    },

    /** Null when there is none that the caller may see. */
    async read(tenant: string, id: string, isVisible: IsVisible, preview?: number): Promise<ScheduleView | null> {
      const stored = await find(tenant, id, isVisible)
      return stored && viewOf(stored, preview)
    },

    /** One page in the order of ids, after the id `after`. A page may be short and still have a next one. */
    async list(
      tenant: string,
      isVisible: IsVisible,
      { limit, after }: { limit: number; after: string | undefined },
    ): Promise<{ items: ScheduleView[]; next: string | null }> {
      const { schedules, last } = await records.page(tenant, after, limit)
      const visible = schedules.filter(({ record }) => isVisible(record))
      const ticks = await clock.nextAt(visible.map(({ record }) => scheduleKey(tenant, record.id)))
      return { items: visible.map((stored, at) => toView(stored, ticks[at] ?? null)), next: last }
    },

    /** Whether there was one that the caller may see. Jobs that it has submitted stay. */
    async remove(tenant: string, id: string, isVisible: IsVisible): Promise<boolean> {
      if (!(await find(tenant, id, isVisible))) return false
      const removed = await records.remove(tenant, id)
      await reconcile(scheduleKey(tenant, id))
      return removed
    },

    /**
     * Submits one run now, beside those that are due. An idempotency key stands for this act on this schedule.
     * `requireAllowed` throws when the caller may not submit what the schedule does.
     */
    async trigger(
      tenant: string,
      id: string,
      requireAllowed: (submission: Submission) => void,
      { key, isVisible, ...trace }: { key: string | null; isVisible: IsVisible } & Pick<AcceptContext, 'trace'>,
    ): Promise<TriggerOutcome> {
      const stored = await find(tenant, id, isVisible)
      if (!stored) return { kind: 'missing' }
      const payload = payloads.open(stored.record)
      if (payload.kind === 'refused') return payload
      requireAllowed(payload.submission)
      const outcome = await accept(payload.submission, {
        tenant,
        scheduleId: id,
        ...trace,
        ...(key === null ? {} : { key: { key, space: 'key' as const, fingerprint: fingerprint(`trigger ${id}`, null) } }),
      })
      return outcome.kind === 'invalid' ? { kind: 'refused', errors: outcome.errors } : outcome
    },
  }
}

export type Schedules = ReturnType<typeof createSchedules>

const toRecord = (tenant: string, id: string, definition: ScheduleDefinition, { queue }: JobType): ScheduleRecord => {
  const { startAt, endAt, ...rest } = definition
  return {
    ...rest,
    id,
    tenant,
    queue,
    ...(startAt === undefined ? {} : { startAt: Date.parse(startAt) }),
    ...(endAt === undefined ? {} : { endAt: Date.parse(endAt) }),
  }
}
