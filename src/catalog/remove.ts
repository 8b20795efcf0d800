// Removes job types that nothing needs any more, and their queues with all that is kept in them.

import type { QueueGate } from '../bullmq/registered/queue-gate.js'
import type { AuditNote, TypeRecords } from '../bullmq/registered/type-records.js'
import type { Duty } from '../runtime/duty.js'
import type { ScheduleRecords } from '../schedules/record.js'
import type { JobTypes } from '../types/registry.js'
import { meets, type Preconditions } from './entity-tag.js'
import { mintRevision, type TypeFollower } from './follow.js'
import type { TypeUsage, TypeUsages } from './usage.js'

export type RemoveTypeOutcome =
  | { readonly kind: 'removed' | 'missing' | 'precondition-failed' }
  /** The type is built in. */
  | { readonly kind: 'reserved' }
  | { readonly kind: 'in-use'; readonly usage: TypeUsage }

interface Deps {
  readonly follower: Pick<TypeFollower, 'load'>
  readonly gate: QueueGate
  readonly jobTypes: JobTypes
  readonly records: TypeRecords
  readonly removeLeftovers: RemoveLeftovers
  readonly schedules: Pick<ScheduleRecords, 'usesOf'>
  readonly usage: TypeUsages
  /** Makes an entry of the audit trail. */
  readonly note: (by: string, act: 'job-type.removed', details: Readonly<Record<string, unknown>>) => AuditNote
}

/** Rejects with the error of Redis; then the outcome is unknown, and the same request may be repeated. */
export const createRemove = ({ follower, gate, jobTypes, records, removeLeftovers, schedules, usage, note }: Deps) => {
  return async (name: string, { by, preconditions }: { by: string; preconditions: Preconditions }): Promise<RemoveTypeOutcome> => {
    if (jobTypes.isBuiltin(name)) return { kind: 'reserved' }
    for (;;) {
      const before = await records.readHead(name)
      if (!before) return { kind: 'missing' }
      if (!meets(before, preconditions)) return { kind: 'precondition-failed' }
      // Its jobs are counted, too, which takes knowing it.
      if (!jobTypes.find(name)) await follower.load()
      if ((await schedules.usesOf(name)).count > 0) return { kind: 'in-use', usage: await usage.count(name) }
      const others = await gate.closeOthers(name, before.head.registration)
      if (others > 0) return { kind: 'in-use', usage: { jobs: others, schedules: 0 } }
      const outcome = await records.remove({
        name,
        before: before.text,
        revision: mintRevision(),
        note: note(by, 'job-type.removed', { type: name, version: before.head.version }),
      })
      if (outcome.kind !== 'removed') await gate.openOthers(name, before.head.registration)
      if (outcome.kind === 'changed') continue
      if (outcome.kind === 'in-use') return { kind: 'in-use', usage: { jobs: outcome.jobs, schedules: 0 } }
      await follower.load()
      await removeLeftovers(name)
      return { kind: 'removed' }
    }
  }
}

export type RemoveType = ReturnType<typeof createRemove>

/** Takes away the queue of a type that is gone; harmless when there is none. */
export const createRemoveLeftovers =
  ({ gate, records }: { gate: QueueGate; records: TypeRecords }) =>
  async (name: string): Promise<void> => {
    await gate.remove(name)
    await records.forgetRemoved(name)
  }

export type RemoveLeftovers = ReturnType<typeof createRemoveLeftovers>

/** Goes on where an instance that removed a type has died. */
export const createLeftoversDuty = (deps: { records: TypeRecords; removeLeftovers: RemoveLeftovers }): Duty => ({
  name: 'removed-job-types',
  everyMs: 30_000,
  isShared: true,
  failure: 'removing the queues of job types that are gone failed',
  run: async (signal) => {
    for (const name of await deps.records.readRemoved()) {
      if (signal.aborted) return
      await deps.removeLeftovers(name)
    }
  },
})
