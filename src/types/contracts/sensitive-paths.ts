// Which members of the data of a job type are sensitive.

import { type Contract, limits } from './contract.js'
import type { ContractFault } from './parse.js'

/** Paths to sensitive members, as `jobs/sensitive-data` reads them. */
export type SensitivePaths = readonly (readonly string[])[]

/** The sensitive members that a contract allows; `*` stands for every entry of an array or map. */
export const sensitivePathsOf = (contract: Contract): SensitivePaths => union(allPathsOf(contract, []))

const allPathsOf = (node: Contract, path: readonly string[]): (readonly string[])[] => {
  if (node['x-sensitive']) return [path]
  const { properties = {}, additionalProperties, items, prefixItems = [], anyOf = [], oneOf = [] } = node
  const entries = [...prefixItems, ...(items ? [items] : []), ...(additionalProperties ? [additionalProperties] : [])]
  return [
    ...[...anyOf, ...oneOf].flatMap((each) => allPathsOf(each, path)),
    ...Object.entries(properties).flatMap(([name, each]) => allPathsOf(each, [...path, name])),
    ...entries.flatMap((each) => allPathsOf(each, [...path, '*'])),
  ]
}

/** Every path once. */
export const union = (...all: SensitivePaths[]): SensitivePaths => [
  ...new Map(all.flat().map((path) => [JSON.stringify(path), path])).values(),
]

const charsOf = (paths: SensitivePaths): number =>
  paths.reduce((sum, path) => path.reduce((chars, token) => chars + token.length + 3, sum), 0)

/** Whether so many paths may be kept: every instance reads those of all types whenever one of them changes. */
export const areFew = (paths: SensitivePaths): boolean => charsOf(paths) <= limits.sensitiveChars

export const tooManySensitive: ContractFault = {
  pointer: '#',
  rule: 'x-sensitive',
  detail: `marks too many members, counting those of earlier versions: mark the objects that they stand in (at most ${limits.sensitiveChars} characters of paths)`,
}

/** Branches may name the same member again and again, and are not told apart when there are very many. */
const repeatsMax = 20

export const sensitiveFaults = (contract: Contract): ContractFault[] => {
  const all = allPathsOf(contract, [])
  const mayBeFew = charsOf(all) <= repeatsMax * limits.sensitiveChars
  return mayBeFew && areFew(union(all)) ? [] : [tooManySensitive]
}
