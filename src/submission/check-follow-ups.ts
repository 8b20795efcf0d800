// Checks, when a job is accepted, the jobs that are to follow it, as far as that can be told before there is a result.

import type { Catalog } from '../catalog.js'
import type { FieldProblem } from '../errors.js'
import type { JobType, SubmissionCheck } from '../job-type.js'
import { resolveOptions } from '../queues/job-options.js'
import { toPointerToken } from '../schemas/field-problems.js'
import type { FollowUp } from '../schemas/follow-up.js'
import { readPointer } from '../schemas/json-pointer.js'

/** What the schema cannot see is wrong with them. */
export const followUpProblems = (
  followUps: readonly FollowUp[],
  { catalog, config, now }: SubmissionCheck & { readonly catalog: Catalog },
): FieldProblem[] =>
  followUps.flatMap(({ type: name, data, options = {}, resultInto = {} }, step) => {
    const type = catalog.find(name) as JobType
    const resolved = resolveOptions(type, data, options, config.queues, now)
    const own = [...(type.check?.(data, { now, config }) ?? []), ...(resolved.kind === 'refused' ? resolved.errors : [])]
    const astray = Object.keys(resultInto)
      .filter((pointer) => readPointer(data, pointer) === undefined)
      .map((pointer) => ({ pointer: `#/resultInto/${toPointerToken(pointer)}`, detail: 'leads to nothing in data' }))
    return [...own, ...astray].map((problem) => ({ ...problem, pointer: `#/followUps/${step}${problem.pointer.slice(1)}` }))
  })
