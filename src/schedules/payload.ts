// What a schedule submits: checked when it is put, sealed while it is kept, opened and checked again for every run.

import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import type { FieldProblem } from '../types/field-problems.js'
import { type JobErrorCode, jobErrors } from '../types/job-errors.js'
import { dataProblems, type JobTypes, toPresentData, unknownType } from '../types/registry.js'
import type { Submission } from '../types/submission.js'
import type { ScheduleRecord } from './record.js'

export type SchedulePayload =
  | { readonly kind: 'fits'; readonly submission: Submission }
  /** `message` names members, never values. */
  | { readonly kind: 'refused'; readonly code: JobErrorCode; readonly message: string; readonly errors: readonly FieldProblem[] }

interface Deps {
  readonly jobTypes: JobTypes
  readonly sensitive: SensitiveDataByType
}

/** The outcome for a payload with these faults. */
export const toRefused = (errors: readonly FieldProblem[]): SchedulePayload & { kind: 'refused' } => {
  const [first] = errors
  const fault = first ? ` Cause: ${first.pointer} ${first.detail}.` : ''
  return { kind: 'refused', code: 'schedule_refused', message: `${jobErrors.schedule_refused.meaning}${fault}`, errors }
}

export const createSchedulePayloads = ({ jobTypes, sensitive }: Deps) => {
  const change = <T extends { readonly type: string; readonly data: unknown }>(job: T, act: 'seal' | 'open' | 'mask'): T => ({
    ...job,
    // Secrets of a type that this version does not know cannot be told apart.
    data: act === 'mask' && !sensitive.get(job.type) ? null : (sensitive.get(job.type)?.[act](job.data) ?? job.data),
  })
  const changeAll = (record: ScheduleRecord, act: 'seal' | 'open' | 'mask'): ScheduleRecord => ({
    ...change(record, act),
    ...(record.followUps === undefined ? {} : { followUps: record.followUps.map((each) => change(each, act)) }),
  })

  return {
    /** For storing. */
    seal: (record: ScheduleRecord): ScheduleRecord => changeAll(record, 'seal'),
    /** For answers. */
    mask: (record: ScheduleRecord): ScheduleRecord => changeAll(record, 'mask'),

    /** Whether this version, and this process by now, knows the job types of all follow-ups. */
    knowsFollowUps: ({ followUps = [] }: ScheduleRecord): boolean => followUps.every(({ type }) => jobTypes.find(type) !== undefined),

    /**
     * What a run is to submit, data checked against their schema: the job type may have moved on since the schedule was put.
     * What the schema cannot see is left to the submission.
     */
    open(record: ScheduleRecord): SchedulePayload {
      const registered = jobTypes.get(record.type)
      if (!registered) return { kind: 'refused', code: 'unknown_job_type', message: jobErrors.unknown_job_type.meaning, errors: [] }
      let opened: ScheduleRecord
      try {
        opened = changeAll(record, 'open')
      } catch {
        return toRefused([{ pointer: '#/data', detail: 'cannot be decrypted with the DATA_ENCRYPTION_KEY of this worker' }])
      }
      const { options, userId, correlationId, metadata, followUps } = opened
      const data = toPresentData(registered, opened.data)
      const errors = dataProblems(registered, data)
      if (errors.length > 0) return toRefused(errors)
      const unknown = (followUps ?? []).findIndex((each) => !jobTypes.find(each.type))
      if (unknown !== -1) return toRefused([unknownType(`#/followUps/${unknown}/type`)])
      const submission: Submission = {
        type: record.type,
        data,
        ...(options === undefined ? {} : { options }),
        ...(userId === undefined ? {} : { userId }),
        ...(correlationId === undefined ? {} : { correlationId }),
        ...(metadata === undefined ? {} : { metadata }),
        ...(followUps === undefined ? {} : { followUps }),
      }
      return { kind: 'fits', submission }
    },
  }
}

export type SchedulePayloads = ReturnType<typeof createSchedulePayloads>
