// From what a module exports to a job type: its contracts are checked, and its `run` is fitted to attempts.

import { type DefinitionFault, type JobTypeDefinition, parseDefinition, type TypeDefinition } from '../contracts/definition.js'
import type { RunnableJobType } from '../definition.js'
import { isTypeName, typeNameDetail } from '../queue-name.js'
import type { JobTypes } from '../registry.js'
import { isJobTypeModule } from './job-type.js'
import { createRun } from './run.js'

/** A job type that a module declares. */
export interface DeclaredType {
  readonly name: string
  /** The module, without its folder. */
  readonly file: string
  /** What a client would PUT to register the same type: JSON, with `runs: { by: 'module' }`. */
  readonly body: JobTypeDefinition
  readonly definition: TypeDefinition
  readonly run: RunnableJobType['run']
}

/** `reason` is one line. */
export type Declaration =
  | { readonly kind: 'declared'; readonly declared: DeclaredType }
  | { readonly kind: 'refused'; readonly reason: string }

const refused = (reason: string): Declaration => ({ kind: 'refused', reason })

const faultsShown = 3

/** `exported` is the default export of `file`. */
export const declareType = (exported: unknown, file: string, jobTypes: Pick<JobTypes, 'isBuiltin' | 'isReserved'>): Declaration => {
  if (exported === undefined) return refused('has no default export')
  if (!isJobTypeModule(exported)) return refused('its default export is not made by defineJobType from jobgate/job-type')
  const { name, run, ...rest } = exported
  if (!isTypeName(name)) return refused(`its name ${typeNameDetail}`)
  if (jobTypes.isBuiltin(name)) return refused(`${name} is the name of a built-in job type`)
  if (jobTypes.isReserved(name)) return refused(`${name} is a reserved name`)
  if (typeof run !== 'function') return refused('run must be a function')
  if ('runs' in rest) return refused('runs is not a member of a module: this worker runs it')
  const body = toJson({ ...rest, runs: { by: 'module' } })
  if (body === undefined) return refused('its members other than run must be JSON')
  const parsed = parseDefinition(body)
  if (parsed.kind === 'refused') return refused(toReason(parsed.faults))
  const { definition } = parsed
  const declared = { name, file, body: body as JobTypeDefinition, definition, run: createRun(exported, definition) }
  return { kind: 'declared', declared }
}

/** A plain copy: TypeBox keeps notes of its own in its schemas, under symbols. */
const toJson = (value: object): Readonly<Record<string, unknown>> | undefined => {
  try {
    return JSON.parse(JSON.stringify(value)) as Record<string, unknown>
  } catch {
    return undefined
  }
}

const toReason = (faults: readonly DefinitionFault[]): string => {
  const shown = faults.slice(0, faultsShown).map(({ pointer, detail }) => `${pointer} ${detail}`)
  const more = faults.length - shown.length
  return `${shown.join('; ')}${more > 0 ? `; and ${more} more` : ''}`
}
