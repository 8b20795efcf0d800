// Settles an attempt: what its driver reports becomes one of the ends, which is written here and nowhere else.

import { cancelledReason } from '../bullmq/cancelled.js'
import { encodeJobError } from '../bullmq/stored-job-error.js'
import { formatTraceparent } from '../telemetry/trace-context.js'
import { defer, fail, type JobOutcome } from '../types/definition.js'
import { type JobErrorTable, jobErrors as ownErrors } from '../types/job-errors.js'
import type { AbortReason } from './abort-handle.js'
import type { Attempt, HandedOutJob } from './attempt.js'
import type { SubmitFollowUps } from './follow-ups.js'
import type { AttemptMetrics } from './metrics.js'
import { type AttemptEnd, type AttemptReport, toAbortedOutcome } from './outcome.js'
import type { AttemptLimits } from './start-limits.js'

/** A full queue takes a while to empty, a broken Redis to come back. */
const followUpDelayMs = 30_000

/** False when the driver no longer held the job: nothing was written. Rejects with the error of Redis. */
export type Written = boolean | Promise<boolean>

/**
 * How a driver writes the end of the attempt that it holds, fenced by what it holds the job with.
 * `failedReason` is a job error as it is stored.
 */
export interface AttemptWriter {
  /** Adds a line to the job's own log. */
  appendLog(line: string): Promise<unknown>
  complete(result: unknown): Written
  /** Permanently, whatever attempts are left. */
  fail(failedReason: string): Written
  /** Again after the job's backoff, or after `afterMs` where that is longer. */
  retry(failedReason: string, afterMs?: number): Written
  /** Again at this time, in milliseconds since 1970; uses up no attempt. */
  delayUntil(at: number): Written
  /** Back to those that wait; uses up no attempt. */
  release(): Written
  /** Called instead of the others when the driver is known to hold the job no longer. */
  abandon(): void
}

interface Deps {
  /** Which codes are retryable: those of every type whose attempts are settled here. */
  readonly jobErrors: JobErrorTable
  readonly limits: Pick<AttemptLimits, 'countDeferral' | 'countRelease'>
  readonly metrics: AttemptMetrics
  readonly submitFollowUps: SubmitFollowUps
}

type Done = Extract<JobOutcome, { kind: 'done' }>

const released: AttemptEnd = { kind: 'released' }
const cancelled: AttemptEnd = { kind: 'cancelled' }
const lost: AttemptEnd = { kind: 'lost' }

/**
 * In: the attempt, what its driver reports, why it was told to stop, if it was, and the driver's writer.
 * `abort` is read again after each wait: an attempt may be told to stop while it is settled.
 * Rejects with the error of Redis: the attempt is unsettled then, and its job comes back once the attempt counts as lost.
 */
export const createSettle = ({ jobErrors, limits, metrics, submitFollowUps }: Deps) => {
  return async (
    attempt: Attempt,
    report: AttemptReport,
    abort: { readonly reason: AbortReason | null },
    writer: AttemptWriter,
  ): Promise<AttemptEnd> => {
    const { job } = attempt
    // Whatever its handler says, nothing follows.
    let end = toOutsideEnd(abort.reason)
    if (!end) {
      const outcome = report.kind === 'done' && job.envelope.followUps ? await withFollowUps(attempt, report) : report
      end = toEnd(job, outcome, abort.reason)
      if (end.kind === 'deferred' && !(await limits.countDeferral(job, end.code)))
        end = toNext(job, { code: end.code, message: end.message })
    }
    const written = write(job, end, writer)
    if (!(typeof written === 'boolean' ? written : await written)) end = lost
    tell(attempt, end)
    return end
  }

  /** Work that is done is complete once what follows it is submitted. */
  async function withFollowUps({ job: { envelope }, log, span }: Attempt, outcome: Done): Promise<JobOutcome> {
    // What follows is part of this attempt.
    const first = span ? { ...envelope, traceparent: formatTraceparent(span) } : envelope
    const followed = await submitFollowUps(first, outcome.result).catch((error: Error) => {
      log.warn({ error: error.message }, 'follow-ups not confirmed')
      return { kind: 'full' } as const
    })
    switch (followed.kind) {
      case 'submitted':
        return outcome
      case 'refused':
        return fail('follow_up_refused', `${ownErrors.follow_up_refused.meaning} Cause: ${followed.detail}.`)
      case 'full':
        return defer('follow_up_delayed', ownErrors.follow_up_delayed.meaning, followUpDelayMs)
    }
  }

  function write(job: HandedOutJob, end: AttemptEnd, writer: AttemptWriter): Written {
    switch (end.kind) {
      case 'completed':
        return writer.complete(end.result)
      case 'failed':
        return writer.fail(encodeJobError(end.code, end.message, jobErrors, end.retryable))
      case 'retrying':
        return writer.retry(encodeJobError(end.code, end.message, jobErrors, end.retryable), end.afterMs)
      case 'cancelled':
        return writer.fail(cancelledReason)
      case 'deferred':
        // It carries no error: it has not failed.
        return writer
          .appendLog(`Deferred (${end.code}): ${end.message}`)
          .then(() => writer.delayUntil(Date.now() + Math.max(1, Math.round(end.afterMs))))
      case 'released':
        // Counted first: once it waits, another worker may end and remove it. A count too many only lets a bad job kill one worker more.
        return limits.countRelease(job).then(() => writer.release())
      case 'lost':
        writer.abandon()
        return false
    }
  }

  function tell({ job, startedAt, log, span }: Attempt, end: AttemptEnd): void {
    const outcome = outcomeLabels[end.kind]
    const code = codeOf(end)
    const isFault = outcome === 'failed' || outcome === 'retrying' || outcome === 'lost'
    const durationMs = Date.now() - startedAt
    log[isFault ? 'warn' : 'info']({ outcome, code, durationMs }, 'attempt ended')
    metrics.ended(job.type, outcome, code, durationMs)
    span?.set({ 'jobgate.outcome': outcome })
    span?.end(isFault && code !== null ? code : undefined)
  }
}

export type Settle = ReturnType<typeof createSettle>

/** The ends that come from outside; null when the report decides. */
const toOutsideEnd = (reason: AbortReason | null): AttemptEnd | null =>
  reason === 'cancelled' ? cancelled : reason === 'lost' ? lost : null

const toEnd = (job: HandedOutJob, report: AttemptReport, reason: AbortReason | null): AttemptEnd => {
  if (report.kind === 'done') return { kind: 'completed', result: report.result }
  const outside = toOutsideEnd(reason)
  if (outside) return outside
  // What was not let begin is not released: it would look as if it had begun.
  if (reason === 'shutdown' && report.kind !== 'refused') return released
  if (report.kind === 'fail' || report.kind === 'refused') return { ...sayingWhy(report), kind: 'failed' }
  // However a handler ends when its time is up: the time is the reason.
  const why = reason === 'timed_out' ? toAbortedOutcome(reason) : report
  if (report.kind === 'defer') return { kind: 'deferred', code: why.code, message: why.message, afterMs: report.afterMs }
  return toNext(job, why)
}

/** What a report tells of a failure. */
interface Why {
  readonly code: string
  readonly message: string
  readonly retryable?: boolean | undefined
  readonly afterMs?: number | undefined
}

const sayingWhy = ({ code, message, retryable }: Why) => ({ code, message, ...(retryable === undefined ? {} : { retryable }) })

/** As long as attempts are left. */
const toNext = (job: HandedOutJob, why: Why): AttemptEnd => {
  if (job.attemptsMade + 1 >= job.attemptsMax) return { ...sayingWhy(why), kind: 'failed' }
  return { ...sayingWhy(why), kind: 'retrying', ...(why.afterMs === undefined ? {} : { afterMs: why.afterMs }) }
}

/** What operators see. A cancelled job counts as failed, as it does in its queue. */
const outcomeLabels: Readonly<Record<AttemptEnd['kind'], string>> = {
  completed: 'completed',
  failed: 'failed',
  retrying: 'retrying',
  deferred: 'deferred',
  released: 'released',
  cancelled: 'failed',
  lost: 'lost',
}

const codeOf = (end: AttemptEnd): string | null => {
  switch (end.kind) {
    case 'completed':
      return null
    case 'released':
      return 'shutdown'
    case 'cancelled':
    case 'lost':
      return end.kind
    default:
      return end.code
  }
}
