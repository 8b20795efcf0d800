// What answers about leases have in common: problems, and bounds that their schemas cannot say.

import { type Beat, checkpointCharsMax, progressCharsMax } from '../leases/schema.js'
import type { SettleOutcome } from '../leases/settle.js'
import type { FieldProblem } from '../types/field-problems.js'
import { problem } from './problems/problem-json.js'
import type { ProblemDetails } from './problems/problem-types.js'

/** The details of a body with these errors. */
export const toBodyDetails = (errors: readonly FieldProblem[]): ProblemDetails => ({
  problem: 'validation-failed',
  detail: errors.length === 1 ? 'The body has one error; see `errors`.' : `The body has ${errors.length} errors; see \`errors\`.`,
  errors,
})

export const bodyProblem = (errors: readonly FieldProblem[]): Error => {
  const { detail } = toBodyDetails(errors)
  return problem('validation-failed', detail, { errors })
}

/** The same answer for what is no lease, was made for another tenant, or is of a type that the caller may not lease. */
export const leaseNotFound = () => problem('not-found', 'There is no lease with this ID.')

export const leaseLost = () =>
  problem('lease-lost', 'The lease expired, was released or settled long ago, or its job was removed. Nothing was changed.')

/** The problem of a settlement that was not accepted. */
export const toSettleProblem = (outcome: Exclude<SettleOutcome, { kind: 'settled' }>): Error => {
  switch (outcome.kind) {
    case 'unknown':
      return leaseNotFound()
    case 'lost':
      return leaseLost()
    case 'settled-otherwise':
      return problem('lease-settled', 'This lease was settled before, with something else. Nothing was changed.')
    case 'result-invalid':
      return problem('result-invalid', 'The result does not match the schema of the job type; see `errors`. The lease goes on.', {
        errors: outcome.errors,
      })
    case 'invalid':
      return bodyProblem(outcome.errors)
  }
}

const findLarge = (value: unknown, charsMax: number, pointer: string): FieldProblem[] =>
  value !== undefined && JSON.stringify(value).length > charsMax
    ? [{ pointer, detail: `must not take more than ${charsMax} characters of JSON` }]
    : []

type Notes = Pick<Beat, 'checkpoint' | 'progress'>

/** What is too large of what comes with a lease; `at` is the pointer to that, as `#/leases/3`. */
export const findLargeNotes = ({ checkpoint, progress }: Notes, at = '#'): FieldProblem[] => [
  ...findLarge(progress, progressCharsMax, `${at}/progress`),
  ...findLarge(checkpoint, checkpointCharsMax, `${at}/checkpoint`),
]

/** Throws 400 when something is too large. */
export const requireSmallNotes = (notes: readonly Notes[], toPointer: (at: number) => string): void => {
  const errors = notes.flatMap((each, at) => findLargeNotes(each, toPointer(at)))
  if (errors.length > 0) throw bodyProblem(errors.slice(0, 20))
}
