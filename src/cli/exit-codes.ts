// The exit codes of the commands that talk to a gateway.

export const exitCodes = {
  ok: 0,
  /** The job failed or was cancelled; or what a file holds is not right. */
  jobFailed: 1,
  usage: 2,
  /** The gateway answered 4xx; 404 also for a job that is gone. */
  refused: 3,
  /** Not reachable, or 5xx. */
  unavailable: 4,
} as const
