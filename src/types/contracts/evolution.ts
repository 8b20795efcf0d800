// Compares two versions of a job type: whether programs that know the earlier one get along with the later.

import { compareContracts, type Finding } from './compare.js'
import type { DefinitionFault, TypeDefinition } from './definition.js'
import { findCounterexample } from './sample.js'

/** What stands against a later version. */
export interface Incompatibility extends DefinitionFault {
  /** False: the rules cannot tell. */
  readonly isCertain: boolean
}

export interface Evolution {
  /** Empty: the later version is compatible with the earlier one. */
  readonly incompatibilities: readonly Incompatibility[]
  /** What is allowed and still worth knowing. */
  readonly warnings: readonly DefinitionFault[]
  /** Looks for data that fit the earlier version and not the later one; undefined where none are needed, or were found. */
  readonly findCounterexample: () => Promise<unknown>
}

/** Data must go on fitting; results must go on being what their readers know. Takes some milliseconds at most. */
export const compareDefinitions = (earlier: TypeDefinition, later: TypeDefinition): Evolution => {
  const data = compareContracts(earlier.data, later.data)
  const incompatibilities = [...data.findings.map((finding) => placed('data', finding)), ...resultFindings(earlier, later)]
  return {
    incompatibilities,
    warnings: data.warnings.map(({ pointer, rule, detail }) => ({ pointer: below('data', pointer), rule, detail })),
    findCounterexample: async () => (data.findings.length > 0 ? findCounterexample(earlier.data, later.data) : undefined),
  }
}

const resultFindings = (earlier: TypeDefinition, later: TypeDefinition): Incompatibility[] => {
  if (!earlier.result) return []
  if (later.result) return compareContracts(later.result, earlier.result).findings.map((finding) => placed('result', finding))
  return [{ pointer: '#/result', rule: 'result', detail: 'must stay: readers of results rely on it', isCertain: true }]
}

const below = (member: string, pointer: string): string => `#/${member}${pointer.slice(1)}`

const placed = (member: string, { pointer, ...finding }: Finding): Incompatibility => ({ ...finding, pointer: below(member, pointer) })
