// Schedules as clients handle them: put, read, list, delete, and run by hand.

import { hasScope, isLimited, maySee, type Principal } from '../auth/grants.js'
import type { Config } from '../config/config.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import type { Accept, AcceptOutcome } from '../jobs/accept.js'
import { type Cursors, toCursorScope } from '../jobs/cursor.js'
import type { AcceptContext } from '../jobs/envelope.js'
import { toSubmissionKind } from '../jobs/job-kind.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { JobTypes, RegisteredType } from '../types/registry.js'
import { type ScheduleDefinition, scheduleProblems } from './checks.js'
import type { ScheduleClock } from './clock.js'
import type { SchedulePayloads } from './payload.js'
import type { Reconcile } from './reconcile.js'
import { type ScheduleRecord, type ScheduleRecords, type StoredSchedule, scheduleKey } from './record.js'
import type { ScheduleView } from './schema.js'
import { createScheduleView } from './view.js'

export type PutScheduleOutcome =
  | { readonly kind: 'created' | 'updated'; readonly view: ScheduleView }
  | { readonly kind: 'invalid'; readonly errors: readonly FieldProblem[] }
  /** There is one by this id that the caller may not see. */
  | { readonly kind: 'hidden' }
  /** There is one by this id that another key put, and the caller may not replace it. */
  | { readonly kind: 'not-own' }
  | { readonly kind: 'full' }

export type SchedulePage =
  /** A page may be short and still have a next one. */
  { readonly kind: 'page'; readonly items: ScheduleView[]; readonly next: string | null } | { readonly kind: 'cursor-invalid' }

export type TriggerOutcome =
  | AcceptOutcome
  | { readonly kind: 'missing' }
  /** The stored payload no longer fits. */
  | { readonly kind: 'refused'; readonly errors: readonly FieldProblem[] }

/** Schedules read at once, and at most for one page when the caller may see few of them. */
const chunk = 200
const scannedMax = 2000

interface Deps {
  readonly reconcile: Reconcile
  readonly jobTypes: JobTypes
  readonly clock: ScheduleClock
  readonly config: Config
  readonly cursors: Cursors
  readonly payloads: SchedulePayloads
  readonly records: ScheduleRecords
  readonly accept: Accept
}

/** Every call rejects with the error of Redis; all but a trigger without a key may be repeated. */
export const createSchedules = ({ accept, reconcile, jobTypes, clock, config, cursors, payloads, records }: Deps) => {
  const toView = createScheduleView(payloads)

  const sees = (caller: Principal, { record }: StoredSchedule): boolean =>
    maySee(caller, { ...toSubmissionKind(record, jobTypes), queue: record.queue })

  const find = async (caller: Principal, id: string): Promise<StoredSchedule | null> => {
    const stored = await records.read(scheduleKey(caller.tenant, id))
    return stored && sees(caller, stored) ? stored : null
  }

  const viewOf = async (stored: StoredSchedule, preview?: number): Promise<ScheduleView> => {
    const { tenant, id } = stored.record
    const [tick = null] = await clock.nextAt([scheduleKey(tenant, id)])
    return toView(stored, tick, preview)
  }

  /** Puts a record in the place of the one that the caller was found to be allowed to replace, and of no other. */
  const replace = async (caller: Principal, record: ScheduleRecord): Promise<'created' | 'updated' | 'full' | 'hidden' | 'not-own'> => {
    const mayReplaceAll = !isLimited(caller) && hasScope(caller, 'jobs:manage')
    for (;;) {
      const before = mayReplaceAll ? undefined : await records.read(scheduleKey(caller.tenant, record.id))
      if (before && !sees(caller, before)) return 'hidden'
      if (before && before.record.putBy !== caller.keyId && !hasScope(caller, 'jobs:manage')) return 'not-own'
      const kind = await records.put(record, config.schedules.max, mayReplaceAll ? undefined : (before?.text ?? null))
      if (kind !== 'changed') return kind
    }
  }

  return {
    /** Creates or replaces a schedule. Putting the same again changes nothing, nor when it is due. */
    async put(caller: Principal, id: string, definition: ScheduleDefinition, preview?: number): Promise<PutScheduleOutcome> {
      const registered = jobTypes.get(definition.type)
      const errors = scheduleProblems(definition, { jobTypes, config, now: Date.now() })
      if (!registered || errors.length > 0) return { kind: 'invalid', errors }
      const kind = await replace(caller, payloads.seal(toRecord(caller, id, definition, registered)))
      if (kind !== 'created' && kind !== 'updated') return { kind }
      const key = scheduleKey(caller.tenant, id)
      await reconcile(key)
      const stored = await records.read(key)
      // Deleted or replaced by somebody else in the same moment: it was there all the same.
      return stored && sees(caller, stored) ? { kind, view: await viewOf(stored, preview) } : { kind: 'hidden' }
    },

    /** Null when there is none that the caller may see. */
    async read(caller: Principal, id: string, preview?: number): Promise<ScheduleView | null> {
      const stored = await find(caller, id)
      return stored && viewOf(stored, preview)
    },

    /** One page of those that the caller may see, in the order of ids. */
    async list(caller: Principal, { limit, cursor }: { limit: number; cursor: string | undefined }): Promise<SchedulePage> {
      const { tenant } = caller
      const scope = toCursorScope('schedules', tenant)
      let last = cursor === undefined ? undefined : await cursors.open(cursor, scope)
      if (last === null) return { kind: 'cursor-invalid' }
      const visible: StoredSchedule[] = []
      // One more than wanted tells whether there is a next page.
      for (let scanned = 0, count = limit + 1; last !== null && visible.length <= limit && scanned < scannedMax; count = chunk) {
        const page: Awaited<ReturnType<ScheduleRecords['page']>> = await records.page(tenant, last, count)
        visible.push(...page.schedules.filter((stored) => sees(caller, stored)))
        last = page.last
        scanned += count
      }
      const shown = visible.slice(0, limit)
      const position = visible.length > limit ? (shown.at(-1) as StoredSchedule).record.id : last
      const ticks = await clock.nextAt(shown.map(({ record }) => scheduleKey(tenant, record.id)))
      const items = shown.map((stored, at) => toView(stored, ticks[at] ?? null))
      return { kind: 'page', items, next: position === null || position === undefined ? null : await cursors.seal(position, scope) }
    },

    /** Whether there was one that the caller may see. Jobs that it has submitted stay. */
    async remove(caller: Principal, id: string): Promise<boolean> {
      for (;;) {
        const stored = await find(caller, id)
        if (!stored) return false
        const outcome = await records.remove(caller.tenant, id, isLimited(caller) ? stored.text : undefined)
        if (outcome === 'changed') continue
        await reconcile(scheduleKey(caller.tenant, id))
        return outcome === 'removed'
      }
    },

    /** Submits one run now, beside those that are due. An idempotency key stands for this act on this schedule. */
    async trigger(
      caller: Principal,
      id: string,
      { key, ...trace }: { key: string | null } & Pick<AcceptContext, 'trace'>,
    ): Promise<TriggerOutcome> {
      const stored = await find(caller, id)
      if (!stored) return { kind: 'missing' }
      const payload = payloads.open(stored.record)
      if (payload.kind === 'refused') return payload
      const outcome = await accept(payload.submission, {
        tenant: caller.tenant,
        scheduleId: id,
        ...trace,
        ...(key === null ? {} : { key: { key, space: 'key' as const, fingerprint: fingerprint(`trigger ${id}`, null) } }),
      })
      return outcome.kind === 'invalid' ? { kind: 'refused', errors: outcome.errors } : outcome
    },
  }
}

export type Schedules = ReturnType<typeof createSchedules>

const toRecord = (
  { tenant, keyId }: Principal,
  id: string,
  definition: ScheduleDefinition,
  { type, version }: RegisteredType,
): ScheduleRecord => {
  const { startAt, endAt, ...rest } = definition
  return {
    ...rest,
    id,
    tenant,
    queue: type.queue,
    ...(version === 1 ? {} : { typeVersion: version }),
    putBy: keyId,
    ...(startAt === undefined ? {} : { startAt: Date.parse(startAt) }),
    ...(endAt === undefined ? {} : { endAt: Date.parse(endAt) }),
  }
}
