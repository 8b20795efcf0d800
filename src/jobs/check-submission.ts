// What the schema of a submission cannot see, and the bounds that its job gets.

import type { ResolvedOptions } from '../bullmq/stored-options.js'
import type { Config } from '../config/config.js'
import { day } from '../runtime/durations.js'
import { readPointer } from '../runtime/json-pointer.js'
import type { JobType, SubmissionCheck } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import { toPointerToken } from '../types/field-problems.js'
import type { FollowUp } from '../types/follow-up.js'
import type { JobOptions } from '../types/job-schema.js'
import { type JobTypes, type RegisteredType, unknownType } from '../types/registry.js'

/** What is looked at: a submission, or a job that is to follow one. */
interface Payload {
  readonly type: string
  readonly data: unknown
  readonly options?: JobOptions
  readonly followUps?: readonly FollowUp[]
}

interface Check extends SubmissionCheck {
  readonly jobTypes: JobTypes
  /** The `check` of the type has been asked about these data just now. */
  readonly isChecked?: boolean | undefined
}

export type CheckOutcome =
  | { readonly kind: 'fits'; readonly registered: RegisteredType; readonly options: ResolvedOptions }
  | { readonly kind: 'refused'; readonly errors: readonly FieldProblem[] }

const none: readonly FieldProblem[] = []

/** What the options come to, or everything that is wrong. */
export const checkSubmission = ({ type: name, data, options, followUps }: Payload, check: Check): CheckOutcome => {
  const registered = check.jobTypes.get(name)
  if (!registered) return { kind: 'refused', errors: [unknownType()] }
  const { type } = registered
  const resolved = resolveOptions(type, data, options, check.config.queues, check.now)
  const ofData = check.isChecked ? none : (type.check?.(data, check) ?? none)
  const ofFollowUps = followUps === undefined ? none : followUps.flatMap((each, step) => followUpProblems(each, step, check))
  if (resolved.kind === 'resolved' && ofData.length === 0 && ofFollowUps.length === 0) {
    return { kind: 'fits', registered, options: resolved.options }
  }
  const ofOptions = resolved.kind === 'refused' ? resolved.errors : none
  return { kind: 'refused', errors: [...ofData, ...ofOptions, ...ofFollowUps] }
}

/** Of a job that is to follow, as far as that can be told before there is a result. */
const followUpProblems = ({ resultInto = {}, ...job }: FollowUp, step: number, check: Check): FieldProblem[] => {
  const astray = Object.keys(resultInto)
    .filter((pointer) => readPointer(job.data, pointer) === undefined)
    .map((pointer) => ({ pointer: `#/resultInto/${toPointerToken(pointer)}`, detail: 'does not exist in data' }))
  const outcome = checkSubmission(job, check)
  const faults = outcome.kind === 'refused' ? [...outcome.errors, ...astray] : astray
  return faults.map((problem) => ({ ...problem, pointer: `#/followUps/${step}${problem.pointer.slice(1)}` }))
}

const aheadMsMax = 366 * day

type ResolvedOutcome =
  | { readonly kind: 'resolved'; readonly options: ResolvedOptions }
  | { readonly kind: 'refused'; readonly errors: readonly FieldProblem[] }

const nothingAsked: JobOptions = {}

/**
 * Resolves a client's options: its own word first, then the job type's, then the configuration's.
 * `now` is milliseconds since 1970. Refuses what the schema cannot see, such as both delayMs and runAt.
 */
const resolveOptions = (
  type: JobType,
  data: unknown,
  asked: JobOptions = nothingAsked,
  { defaultAttempts, defaultBackoffMs }: Config['queues'],
  now: number,
): ResolvedOutcome => {
  const errors: FieldProblem[] = []
  if (asked.delayMs !== undefined && asked.runAt !== undefined) {
    errors.push({ pointer: '#/options/runAt', detail: 'cannot be combined with delayMs' })
  }
  const wantedAt = asked.runAt === undefined ? undefined : Date.parse(asked.runAt)
  if (wantedAt !== undefined && wantedAt > now + aheadMsMax) {
    errors.push({ pointer: '#/options/runAt', detail: 'must be at most 366 days in the future' })
  }
  if (errors.length > 0) return { kind: 'refused', errors }

  const dueAt = wantedAt ?? (asked.delayMs === undefined ? type.timing?.(data, now).runAt : now + asked.delayMs)
  const runAt = dueAt !== undefined && dueAt > now ? dueAt : undefined
  // A limit counts from when the job is due, whoever set it.
  const due = runAt ?? now
  const expiresAt = asked.expiresInMs === undefined ? type.timing?.(data, due).expiresAt : due + asked.expiresInMs
  return {
    kind: 'resolved',
    options: {
      priority: asked.priority ?? type.defaults.priority,
      attempts: asked.attempts ?? type.defaults.attempts ?? defaultAttempts,
      backoff: asked.backoff ?? type.defaults.backoff ?? { type: 'exponential', delayMs: defaultBackoffMs },
      timeoutMs: asked.timeoutMs ?? type.defaults.timeoutMs,
      runAt,
      expiresAt,
    },
  }
}
