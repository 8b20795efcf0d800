// One document on its way through the checks of a contract: where it is, what is wrong with it, and what may still be done.

import { type SchemaError, toPointer } from '../field-problems.js'

/** What is wrong, and the tokens that lead there: pointers are written for those alone that are told. */
export interface Fault extends Omit<SchemaError, 'instancePath'> {
  readonly path: readonly string[]
}

/** One document on its way through. */
export interface Run {
  /** Tokens that lead to the value being checked. */
  readonly path: string[]
  readonly faults: Fault[]
  /** What may still be checked; about 100 ns each. */
  steps: number
  /** Work of patterns since the last look at the clock, and when the first was; see `mayMatch`. */
  patternWork: number
  patternsSince: NodeJS.CpuUsage | undefined
}
export type Check = (value: unknown, run: Run) => boolean

export const faultsMax = 20
/** Some 25 ms. A contract and a document made for it could otherwise hold up every other request. */
export const stepsMax = 250_000

export const createRun = (steps: number): Run => ({ path: [], faults: [], steps, patternWork: 0, patternsSince: undefined })

/** Notes a fault of the value at the present path, in the words of Ajv; gives false. */
export const report = (run: Run, keyword: string, params: Record<string, unknown>, message?: string): false => {
  if (run.faults.length <= faultsMax) run.faults.push({ keyword, path: [...run.path], schemaPath: `#/${keyword}`, params, message })
  return false
}

/** False once a document has taken too many steps. */
export const spend = (run: Run, steps: number): boolean => {
  const before = run.steps
  run.steps -= steps
  if (run.steps > 0) return true
  // Whatever was found is of branches that may not have been meant.
  if (before > 0) {
    run.faults.length = 0
    report(run, 'steps', {}, 'takes too long to check against the contract of its type')
  }
  return false
}

/** What is told of a document that does not fit. */
export const toErrors = ({ faults }: Run): SchemaError[] =>
  faults.slice(0, faultsMax).map(({ path, ...fault }) => ({ ...fault, instancePath: toPointer(path) }))
