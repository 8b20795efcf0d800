// What the schema of a schedule cannot see.

import { checkSubmission } from '../jobs/check-submission.js'
import type { SubmissionCheck } from '../types/definition.js'
import type { FieldProblem } from '../types/field-problems.js'
import type { JobTypes } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import { timeZoneProblems } from '../types/time-zone.js'
import { isCron } from './cron.js'
import { type ScheduleTiming, startAheadMsMax } from './schema.js'
import { firstRun, toTiming } from './timing.js'

/** A body of PUT /v1/schedules/{id} that fits its schema. */
export interface ScheduleDefinition extends Submission, ScheduleTiming {}

type Check = SubmissionCheck & { readonly jobTypes: JobTypes }

/** Nothing: the schedule can be put. */
export const scheduleProblems = (definition: ScheduleDefinition, check: Check): FieldProblem[] => {
  const clash = clashProblems(definition)
  const outcome = checkSubmission(definition, check)
  return [...(clash.length > 0 ? clash : timingProblems(definition, check.now)), ...(outcome.kind === 'refused' ? outcome.errors : [])]
}

const clashProblems = ({ cron, timezone, everyMs }: ScheduleTiming): FieldProblem[] => {
  if (cron === undefined && everyMs === undefined) return [{ pointer: '#/cron', detail: 'is missing; set cron or everyMs' }]
  if (cron !== undefined && everyMs !== undefined) return [{ pointer: '#/everyMs', detail: 'cannot be combined with cron' }]
  return cron === undefined && timezone !== undefined ? [{ pointer: '#/timezone', detail: 'requires cron' }] : []
}

const timingProblems = ({ cron, timezone = 'UTC', everyMs, startAt, endAt }: ScheduleTiming, now: number): FieldProblem[] => {
  const errors = [...timeZoneProblems('#/timezone', timezone)]
  if (cron !== undefined && !isCron(cron)) {
    errors.push({
      pointer: '#/cron',
      detail: 'must be a cron expression of five fields separated by single spaces that matches at least one time',
    })
  }
  const start = startAt === undefined ? undefined : Date.parse(startAt)
  if (start !== undefined && start > now + startAheadMsMax)
    errors.push({ pointer: '#/startAt', detail: 'must be at most 5 years in the future' })
  if (errors.length > 0 || endAt === undefined) return errors
  const first = firstRun(toTiming({ cron, timezone, everyMs, startAt: start }, start ?? now), now)
  return first !== undefined && first <= Date.parse(endAt) ? [] : [{ pointer: '#/endAt', detail: 'leaves no time for a run' }]
}
