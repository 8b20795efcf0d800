// The job errors that any job can end with; each subject has a table of its own beside it.

/** One kind of failed attempt. `retryable` says whether the same job may succeed later. */
export interface JobErrorKind {
  readonly retryable: boolean
  readonly meaning: string
}

/** Job errors by `error.code`: snake_case, with the integration in front where that is the cause. */
export type JobErrorTable = Readonly<Record<string, JobErrorKind>>

/** What can end a job of any type. */
export const jobErrors = {
  expired: { retryable: false, meaning: 'The job had not started when its expiresInMs elapsed.' },
  too_old: { retryable: false, meaning: 'When the job started, it had been due for more than QUEUE_MAX_JOB_AGE_HOURS.' },
  cancelled: { retryable: false, meaning: 'A client cancelled the job.' },
  timed_out: { retryable: true, meaning: 'One attempt took longer than timeoutMs.' },
  not_configured: { retryable: false, meaning: 'The worker lacks the setting named in the message.' },
  unknown_job_type: {
    retryable: false,
    meaning: 'The worker does not know this job type, because gateway and workers run different versions.',
  },
  invalid_result: {
    retryable: false,
    meaning: 'The handler is done, but its result does not match the result schema of the job type.',
  },
  invalid_data: { retryable: false, meaning: 'The stored data does not match what the handler expects.' },
  removed: { retryable: false, meaning: "An operator removed this recipient's job before it finished." },
  worker_lost: { retryable: false, meaning: 'The workers that ran the job died or stalled too many times.' },
  schedule_refused: {
    retryable: false,
    meaning: 'When this scheduled run was due, the payload of the schedule no longer matched its job type. PUT the schedule again.',
  },
  follow_up_refused: {
    retryable: false,
    meaning: 'The work is done, but a follow-up does not match its schema with the result in it, so none was submitted.',
  },
  follow_up_delayed: {
    retryable: true,
    meaning:
      'The work is done, but a follow-up could not be stored because its queue is full or Redis did not confirm it. The job is retried.',
  },
  handler_error: { retryable: true, meaning: 'The handler failed unexpectedly; see the log for the cause.' },
} as const satisfies JobErrorTable

export type JobErrorCode = keyof typeof jobErrors
