// What the schema of a submission cannot see.

import { readPointer } from '../runtime/json-pointer.js'
import type { JobType, SubmissionCheck } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import { toPointerToken } from '../types/field-problems.js'
import type { FollowUp } from '../types/follow-up.js'
import type { JobOptions } from '../types/job-schema.js'
import type { JobTypes } from '../types/registry.js'
import { type ResolvedOutcome, resolveOptions } from './options.js'

/** What is looked at: a submission, or a job that is to follow one. */
interface Payload {
  readonly type: string
  readonly data: unknown
  readonly options?: JobOptions
  readonly followUps?: readonly FollowUp[]
}

type Check = SubmissionCheck & { readonly jobTypes: JobTypes }

const none: readonly FieldProblem[] = []

/** What the options come to, and everything that is wrong; `errors` is empty only where the options are resolved. */
export const checkSubmission = (
  { type: name, data, options, followUps }: Payload,
  check: Check,
): { readonly resolved: ResolvedOutcome; readonly errors: readonly FieldProblem[] } => {
  const type = check.jobTypes.find(name) as JobType
  const resolved = resolveOptions(type, data, options, check.config.queues, check.now)
  const ofData = type.check?.(data, check) ?? none
  if (ofData.length === 0 && resolved.kind === 'resolved' && followUps === undefined) return { resolved, errors: none }
  const ofOptions = resolved.kind === 'refused' ? resolved.errors : none
  return { resolved, errors: [...ofData, ...ofOptions, ...(followUps ?? []).flatMap((each, step) => followUpProblems(each, step, check))] }
}

/** Of a job that is to follow, as far as that can be told before there is a result. */
const followUpProblems = ({ resultInto = {}, ...job }: FollowUp, step: number, check: Check): FieldProblem[] => {
  const astray = Object.keys(resultInto)
    .filter((pointer) => readPointer(job.data, pointer) === undefined)
    .map((pointer) => ({ pointer: `#/resultInto/${toPointerToken(pointer)}`, detail: 'leads to nothing in data' }))
  const faults = [...checkSubmission(job, check).errors, ...astray]
  return faults.map((problem) => ({ ...problem, pointer: `#/followUps/${step}${problem.pointer.slice(1)}` }))
}
