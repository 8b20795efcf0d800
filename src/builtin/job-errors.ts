// The job errors of the built-in job types: what each subject brings, beside what can end any job.

import { type JobErrorCode, type JobErrorKind, jobErrors } from '../types/job-errors.js'
import { type Manifests, manifests } from './manifests.js'

type CodesOf<T> = T extends { readonly errors: infer E } ? keyof E & string : never

/** Codes that a job of a built-in type can end with. */
export type BuiltinErrorCode = JobErrorCode | CodesOf<Manifests[keyof Manifests]>

/** Every `error.code` that a job of a built-in type can carry, in the order in which documents list them. */
export const builtinErrors: Readonly<Record<BuiltinErrorCode, JobErrorKind>> = Object.assign(
  {},
  jobErrors,
  ...Object.values(manifests).map((subject) => ('errors' in subject ? subject.errors : {})),
)
