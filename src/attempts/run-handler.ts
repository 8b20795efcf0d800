// Runs the handler of an attempt in this process, under an abort handle and within its time.

import type { RedisClient } from '../redis/connect.js'
import { type Integrations, type JobContext, type JobOutcome, type RunnableJobType, retry } from '../types/definition.js'
import { jobErrors } from '../types/job-errors.js'
import type { AbortHandle, AbortReason } from './abort-handle.js'
import type { Attempt } from './attempt.js'
import type { HandlerInput } from './begin.js'
import { createAttemptMarker } from './marker.js'
import { toAbortedOutcome } from './outcome.js'

/** A handler that was told to stop may take this long to end; then the attempt ends without it. */
const obeyMs = 1000
/** Longest line in a job's own log. */
const logLineCharsMax = 2000

/** Where a handler's lines and progress go. All reject with the error of Redis. */
export interface AttemptNotes {
  appendLog(line: string): Promise<unknown>
  updateProgress(progress: number | Record<string, unknown>): Promise<void>
}

interface Deps {
  readonly integrations: Integrations
  /** How long a marker is kept, from the last attempt that looked. */
  readonly markerTtlMs: number
  readonly redis: RedisClient
}

interface Run {
  readonly attempt: Attempt
  readonly input: HandlerInput<RunnableJobType>
  readonly abort: AbortHandle
  readonly notes: AttemptNotes
}

/** Never rejects: what a handler throws is an outcome of its own. */
export const createRunHandler = ({ integrations, markerTtlMs, redis }: Deps) => {
  return async ({ attempt: { job, log }, input: { type, data, isExpired }, abort, notes }: Run): Promise<JobOutcome> => {
    const lines: Promise<unknown>[] = []
    const ctx: JobContext = {
      jobId: job.id,
      createdAt: job.createdAt,
      attempt: job.attemptsMade + 1,
      maxAttempts: job.attemptsMax,
      get signal() {
        return abort.signal
      },
      log: (text) => {
        lines.push(
          notes
            .appendLog(text.slice(0, logLineCharsMax))
            .catch((error: Error) => log.warn({ error: error.message }, 'a job log line was lost')),
        )
      },
      progress: (value) => notes.updateProgress(value),
      marker: createAttemptMarker(redis, job.markerKey, markerTtlMs),
      isExpired,
      integrations,
    }
    const timer = setTimeout(() => abort.abort('timed_out'), job.envelope.timeoutMs)
    try {
      const outcome = await obeyed(type.run(data, ctx), abort)
      if (lines.length > 0) await Promise.all(lines)
      return outcome
    } catch (error) {
      if (abort.reason) return toAbortedOutcome(abort.reason)
      log.error({ err: error }, 'the handler failed unexpectedly')
      return retry('handler_error', jobErrors.handler_error.meaning)
    } finally {
      clearTimeout(timer)
    }
  }
}

export type RunHandler = ReturnType<typeof createRunHandler>

/** What the handler resolves with, or, a while after it was told to stop and does not obey, that it was stopped. */
const obeyed = (running: Promise<JobOutcome>, abort: AbortHandle): Promise<JobOutcome> =>
  new Promise((resolve, reject) => {
    running.then(resolve, reject)
    abort.onAbort(() => {
      setTimeout(() => resolve(toAbortedOutcome(abort.reason as AbortReason)), obeyMs).unref()
    })
  })
