// Registers job types: a definition is checked, compared with the versions that are in use, and stored as the next version.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { QueueGate } from '../bullmq/registered/queue-gate.js'
import type { AuditNote, TypeHead, TypeRecords, TypeVersion } from '../bullmq/registered/type-records.js'
import { fingerprint } from '../idempotency/fingerprint.js'
import { type DefinitionFault, type JobTypeDefinition, parseDefinition, type TypeDefinition } from '../types/contracts/definition.js'
import { compareDefinitions, type Evolution, type Incompatibility } from '../types/contracts/evolution.js'
import { areFew, sensitivePathsOf, tooManySensitive, union } from '../types/contracts/sensitive-paths.js'
import type { JobTypes } from '../types/registry.js'
import { meets, type Preconditions } from './entity-tag.js'
import { mintRevision, type TypeFollower } from './follow.js'
import type { RemoveLeftovers } from './remove.js'
import type { TypeUsage, TypeUsages } from './usage.js'

/** A type that changes with every deployment has had enough of them after some years. */
const versionsMax = 1000
/** Others may register the same type in the same moment. */
const triesMax = 10

export interface Registration {
  readonly name: string
  readonly body: unknown
  /** Id of the API key. */
  readonly by: string
  readonly preconditions: Preconditions
  /** Checks all, and stores nothing. */
  readonly isDryRun: boolean
  /** Stores an incompatible version although jobs or schedules are there. The caller sees to who may. */
  readonly isForced: boolean
}

/** A version as it is, or would be, stored. */
export interface Registered {
  readonly head: TypeHead
  readonly version: TypeVersion
}

export type RegisterOutcome =
  | ({ readonly kind: 'created' | 'updated' | 'unchanged'; readonly warnings: readonly DefinitionFault[] } & Registered)
  | { readonly kind: 'refused'; readonly faults: readonly DefinitionFault[] }
  /** The name is that of a built-in type, or means something else. */
  | { readonly kind: 'reserved' }
  | { readonly kind: 'precondition-failed' }
  | {
      readonly kind: 'incompatible'
      /** The earlier version that the definition is not compatible with. */
      readonly version: number
      readonly incompatibilities: readonly Incompatibility[]
      readonly counterexample: unknown
    }
  /** `compatibility` is `none`, and that is too late now. */
  | { readonly kind: 'in-use'; readonly usage: TypeUsage }
  | { readonly kind: 'full'; readonly of: 'types' | 'versions' }

interface Deps {
  readonly follower: Pick<TypeFollower, 'load'>
  readonly gate: QueueGate
  readonly jobTypes: JobTypes
  readonly records: TypeRecords
  readonly removeLeftovers: RemoveLeftovers
  readonly typesMax: number
  readonly usage: TypeUsages
  /** Makes an entry of the audit trail. */
  readonly note: (by: string, act: 'job-type.registered', details: Readonly<Record<string, unknown>>) => AuditNote
}

/** Rejects with the error of Redis; then the outcome is unknown, and the same request may be repeated. */
export const createRegister = ({ follower, gate, jobTypes, records, removeLeftovers, typesMax, usage, note }: Deps) => {
  /** The latest of the versions in use that the definition is not compatible with. */
  const findIncompatibility = async (name: string, latest: number, definition: TypeDefinition) => {
    const incompatible: ({ version: number } & Pick<Evolution, 'incompatibilities' | 'findCounterexample'>)[] = []
    const warnings: DefinitionFault[] = []
    for (const version of await records.readVersionNumbers(name)) {
      const stored = await records.readVersion(name, version)
      if (!stored) continue
      const read = parseDefinition(stored.definition)
      if (read.kind === 'refused') throw new Error(`Version ${version} of the job type ${name} is stored and no definition`)
      await nextTurn()
      const evolution = compareDefinitions(read.definition, definition)
      if (version === latest) warnings.push(...evolution.warnings)
      if (evolution.incompatibilities.length > 0) incompatible.push({ version, ...evolution })
    }
    // The last version always counts: its producers may be about to submit.
    const earlier = incompatible.filter(({ version }) => version !== latest).map(({ version }) => version)
    const used = earlier.length === 0 || incompatible[0]?.version === latest ? new Set() : await usage.versionsInUse(name, earlier)
    return { warnings, incompatible: incompatible.find(({ version }) => version === latest || used.has(version)) }
  }

  /** Undefined: somebody else changed the type meanwhile. */
  const tryOnce = async (
    wanted: Registration,
    body: JobTypeDefinition,
    definition: TypeDefinition,
  ): Promise<RegisterOutcome | undefined> => {
    const { name, by, isDryRun } = wanted
    const before = await records.readHead(name)
    // What still needs a type is counted in its queue, which is there only once this instance knows the type.
    if (before && !jobTypes.find(name)) await follower.load()
    if (!meets(before, wanted.preconditions)) return { kind: 'precondition-failed' }
    const digest = fingerprint('job-type', body)
    const latest = before?.head.version ?? 0
    if (before?.head.digest === digest) {
      const version = await records.readVersion(name, latest)
      return version ? { kind: 'unchanged', head: before.head, version, warnings: [] } : undefined
    }
    if (latest >= versionsMax) return { kind: 'full', of: 'versions' }
    const { warnings, incompatible } = before
      ? await findIncompatibility(name, latest, definition)
      : { warnings: [], incompatible: undefined }
    if (incompatible) {
      const { version, incompatibilities } = incompatible
      if (definition.compatibility !== 'none')
        return { kind: 'incompatible', version, incompatibilities, counterexample: await incompatible.findCounterexample() }
      const used = await usage.count(name)
      if (used.jobs + used.schedules > 0 && !wanted.isForced) return { kind: 'in-use', usage: used }
    }
    const sensitive = union(before?.head.sensitive ?? [], sensitivePathsOf(definition.data))
    if (!areFew(sensitive)) return { kind: 'refused', faults: [{ ...tooManySensitive, pointer: '#/data' }] }
    const now = Date.now()
    const head: TypeHead = {
      version: latest + 1,
      digest,
      registration: before?.head.registration ?? mintRevision(),
      createdAt: before?.head.createdAt ?? now,
      updatedAt: now,
      sensitive,
    }
    const record: TypeVersion = { definition: body, createdAt: now, createdBy: by }
    const outcome = { kind: before ? 'updated' : 'created', head, version: record, warnings } as const
    if (isDryRun) return !before && (await records.count()) >= typesMax ? { kind: 'full', of: 'types' } : outcome
    await gate.openOthers(name, head.registration)
    const details = { type: name, version: head.version, ...(incompatible ? { isIncompatible: true, isForced: wanted.isForced } : {}) }
    const stored = await records.put({
      name,
      before: before?.text ?? null,
      head,
      record,
      revision: mintRevision(),
      typesMax,
      note: note(by, 'job-type.registered', details),
    })
    switch (stored) {
      case 'stored':
        return outcome
      case 'full':
        return { kind: 'full', of: 'types' }
      case 'removing':
        await removeLeftovers(name)
        return undefined
      case 'changed':
        return undefined
    }
  }

  return async (wanted: Registration): Promise<RegisterOutcome> => {
    if (jobTypes.isReserved(wanted.name)) return { kind: 'reserved' }
    const read = parseDefinition(wanted.body)
    if (read.kind === 'refused') return { kind: 'refused', faults: read.faults }
    for (let tries = 0; tries < triesMax; tries++) {
      const outcome = await tryOnce(wanted, wanted.body as JobTypeDefinition, read.definition)
      if (!outcome) continue
      // In effect on this instance before the answer; on all others within a second.
      if (!wanted.isDryRun) await follower.load()
      return outcome
    }
    throw new Error(`The job type ${wanted.name} kept changing while it was being registered`)
  }
}

export type Register = ReturnType<typeof createRegister>
