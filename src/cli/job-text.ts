// A job as people read it, and what its end means for the exit code.

import { finishedStates, type JobState } from '../types/job-schema.js'
import { exitCodes } from './exit-codes.js'
import { toList } from './table.js'

/** The members of a job that the commands read. */
export interface JobBody {
  readonly id: string
  readonly type: string
  readonly queue: string
  readonly state: JobState
  readonly priority: string
  readonly attempts: { readonly made: number; readonly max: number }
  readonly progress: unknown
  readonly result: unknown
  readonly error: { readonly code: string; readonly message: string } | null
  readonly createdAt: string
  readonly runAt: string | null
  readonly startedAt: string | null
  readonly finishedAt: string | null
}

export const toJobText = (job: JobBody): string =>
  toList({
    id: job.id,
    type: job.type,
    queue: job.queue,
    state: job.state,
    priority: job.priority,
    attempts: `${job.attempts.made} of ${job.attempts.max}`,
    progress: job.progress,
    result: job.result,
    error: job.error && `${job.error.code}: ${job.error.message}`,
    created: job.createdAt,
    due: job.runAt,
    started: job.startedAt,
    finished: job.finishedAt,
  })

export const isFinished = ({ state }: Pick<JobBody, 'state'>): boolean => finishedStates.has(state)

/** 0 for a completed job, 1 for any other end. */
export const exitCodeOf = ({ state }: Pick<JobBody, 'state'>): number => (state === 'completed' ? exitCodes.ok : exitCodes.jobFailed)
