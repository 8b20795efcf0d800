// One attempt of one job: limits checked, handler run under a signal, its outcome translated for BullMQ.

import { DelayedError, type Job, UnrecoverableError, WaitingError } from 'bullmq'
import type { Logger } from 'pino'
import { cancelled, encodeJobError } from '../bullmq/job-error.js'
import type { QueueKeys } from '../bullmq/queue-keys.js'
import type { Config } from '../config/config.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import type { SensitiveData } from '../jobs/sensitive-data.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { createLazyLogger } from '../telemetry/lazy-logger.js'
import { runInSpan, type TraceSpan, type Tracing } from '../telemetry/spans.js'
import { formatTraceparent } from '../telemetry/trace-context.js'
import { defer, fail, type Integrations, type JobContext, type JobOutcome, type JobType, retry } from '../types/definition.js'
import { type JobErrorCode, type JobErrorTable, jobErrors } from '../types/job-errors.js'
import type { JobTypes } from '../types/registry.js'
import type { Stopper, StopReason } from './abort-handle.js'
import type { Cancellation } from './cancellation.js'
import { gatherChildren } from './children.js'
import { createDecideStart } from './decide-start.js'
import type { SubmitFollowUps } from './follow-ups.js'
import { createAttemptMarker } from './marker.js'
import type { AttemptMetrics } from './metrics.js'
import { startAttemptSpan } from './span.js'

/** A handler that was told to stop may take this long to end; then the attempt ends without it. */
const obeyMs = 1000
/** Longest line in a job's own log. */
const logLineCharsMax = 2000
/** A full queue takes a while to empty, a broken Redis to come back. */
const followUpDelayMs = 30_000

interface Deps {
  readonly cancellation: Cancellation
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly integrations: Integrations
  /** The variable an operator has to set for each integration: named by the error `not_configured`. */
  readonly integrationVariables: Readonly<Record<string, string>>
  /** Which codes are retryable: those of every type that may run here. */
  readonly jobErrors: JobErrorTable
  readonly keys: Keys
  readonly log: Logger
  readonly redis: RedisClient
  readonly sensitive: ReadonlyMap<string, SensitiveData>
  readonly submitFollowUps: SubmitFollowUps
  readonly metrics: AttemptMetrics
  readonly tracing: Tracing | undefined
}

/** What a handler runs with. */
interface Run {
  readonly stopper: Stopper
  readonly line: Logger
  readonly isExpired: boolean
}

type Done = Extract<JobOutcome, { kind: 'done' }>
type Undone = Exclude<JobOutcome, Done>
type Failure = Extract<JobOutcome, { kind: 'fail' }>

/**
 * Makes BullMQ's processor for one queue.
 * Resolves with the handler's result; throws UnrecoverableError for good, an Error to be retried,
 * DelayedError and WaitingError for jobs that were handed back.
 */
export const createRunJob = (deps: Deps, queue: QueueKeys) => {
  const { cancellation, config, log, redis } = deps
  const decideStart = createDecideStart(deps, queue)

  return (job: Job<JobEnvelope>, token?: string): Promise<unknown> => {
    const span = deps.tracing && startAttemptSpan(deps.tracing, job, queue)
    return runInSpan(span, () => runOne(job, token as string, span))
  }

  async function runOne(job: Job<JobEnvelope>, token: string, span: TraceSpan | undefined): Promise<unknown> {
    const id = job.id as string
    const envelope = job.data
    const startedAt = Date.now()
    const attempt = job.attemptsMade + 1
    const line = createLazyLogger(log, () => ({
      jobId: id,
      type: job.name,
      queue: queue.queue,
      attempt,
      correlationId: envelope.correlationId,
      ...(span
        ? { trace_id: span.traceId, span_id: span.spanId }
        : envelope.traceparent
          ? { trace_id: envelope.traceparent.slice(3, 35) }
          : {}),
    }))
    const stopper = cancellation.begin(id, queue)
    // A parent is due whenever its children are done.
    if (job.attemptsStarted === 1 && !envelope.fanOut) deps.metrics.started(startedAt - Math.max(job.timestamp, envelope.runAt ?? 0))
    try {
      const start = await decideStart(job)
      const ended = start.kind === 'refused' ? start.outcome : await attemptJob(job, { stopper, line, isExpired: start.isExpired })
      // Cancelled before its handler ended: whatever it says, nothing follows.
      const attempted = stopper.reason === 'cancelled' ? fail(cancelled.code, cancelled.message) : ended
      const outcome = attempted.kind === 'done' && envelope.followUps ? await withFollowUps(job, attempted, line, span) : attempted
      // What was not let begin is not handed back: it would look as if it had begun.
      const stopped = start.kind === 'refused' && stopper.reason === 'shutdown' ? null : stopper.reason
      const end: End = outcome.kind === 'done' ? { kind: 'completed', result: outcome.result } : await settle(job, token, outcome, stopped)
      const durationMs = Date.now() - startedAt
      const code = end.kind === 'completed' ? null : end.code
      line[end.kind === 'failed' || end.kind === 'retrying' ? 'warn' : 'info']({ outcome: end.kind, code, durationMs }, 'attempt ended')
      deps.metrics.ended(job.name, end.kind, code, durationMs)
      span?.set({ 'jobgate.outcome': end.kind })
      span?.end(code !== null && (end.kind === 'failed' || end.kind === 'retrying') ? code : undefined)
      if (end.kind === 'completed') return end.result
      throw end.error
    } finally {
      // Not recorded as an outcome: what ended it was the loss of Redis.
      span?.end('unsettled')
      cancellation.end(id)
    }
  }

  /** How an attempt ends for BullMQ. */
  type End =
    | { kind: 'completed'; result: unknown }
    | { kind: 'failed' | 'retrying' | 'deferred' | 'handed-back'; code: string; error: Error }

  async function settle(job: Job<JobEnvelope>, token: string, outcome: Undone, stopped: StopReason | null): Promise<End> {
    if (stopped === 'cancelled') return toFailed(cancelled, deps.jobErrors)
    if (stopped === 'shutdown') {
      // Counted first: once it waits, another worker may end and remove it. A count too many only lets a bad job kill one worker more.
      await redis.hincrby(queue.job(job.id as string), 'jg:handedBack', 1)
      await job.moveToWait(token)
      // BullMQ 6.7 wakes nobody for a job of a priority class: an idle worker would see it seconds later.
      await redis.zadd(queue.marker, 0, '0').catch((error: Error) => log.debug({ error: error.message }, 'no worker was woken'))
      return { kind: 'handed-back', code: 'shutdown', error: new WaitingError() }
    }
    if (outcome.kind === 'fail') return toFailed(outcome, deps.jobErrors)
    // However a handler ends when its time is up: the time is the reason.
    const { code, message } = stopped === 'timed_out' ? stoppedOutcome(stopped) : outcome
    if (outcome.kind === 'defer') {
      if (await mayPutOff(queue.job(job.id as string), code)) {
        // It carries no error: it has not failed.
        await job.log(`Put off (${code}): ${message}`)
        await job.moveToDelayed(Date.now() + Math.max(1, Math.round(outcome.afterMs)), token)
        return { kind: 'deferred', code, error: new DelayedError() }
      }
    }
    const last = job.attemptsMade + 1 >= (job.opts.attempts ?? 1)
    return {
      kind: last ? 'failed' : 'retrying',
      code,
      error: withoutStack(new Error(encodeJobError(code, message, deps.jobErrors))),
    }
  }

  /**
   * Counts a deferral; a job that only waits for room for its follow-ups had begun.
   * A job that asks to come back later for as long as one may wait to start is then failed like any other.
   */
  async function mayPutOff(key: string, code: string): Promise<boolean> {
    const now = Date.now()
    const [, , first] = await Promise.all([
      redis.hincrby(key, code === 'follow_up_delayed' ? 'jg:handedBack' : 'jg:deferrals', 1),
      redis.hsetnx(key, 'jg:deferredOn', now),
      redis.hget(key, 'jg:deferredOn'),
    ])
    return now - Number(first) <= config.queues.maxJobAgeMs
  }

  async function attemptJob(job: Job<JobEnvelope>, run: Run): Promise<JobOutcome> {
    if (job.data.refusal) return fail(job.data.refusal.code, job.data.refusal.message)
    const type = deps.jobTypes.find(job.name)
    if (!type) return fail('unknown_job_type', jobErrors.unknown_job_type.meaning)
    if (job.data.fanOut) return gatherChildren(job, type)
    const missing = missingIntegration(type, deps)
    if (missing) return fail('not_configured', `Set ${missing} where the workers run.`)
    return runHandler(type, job, run)
  }

  /** Work that is done is complete once what follows it is submitted. */
  async function withFollowUps(job: Job<JobEnvelope>, outcome: Done, line: Logger, span: TraceSpan | undefined): Promise<JobOutcome> {
    // What follows is part of this attempt.
    const first = span ? { ...job.data, traceparent: formatTraceparent(span) } : job.data
    const followed = await deps.submitFollowUps(first, outcome.result).catch((error: Error) => {
      line.warn({ error: error.message }, 'follow-ups were not confirmed')
      return { kind: 'full' } as const
    })
    switch (followed.kind) {
      case 'submitted':
        return outcome
      case 'refused':
        return fail('follow_up_refused', `${jobErrors.follow_up_refused.meaning} At fault is ${followed.detail}.`)
      case 'full':
        return defer('follow_up_delayed', jobErrors.follow_up_delayed.meaning, followUpDelayMs)
    }
  }

  async function runHandler(type: JobType, job: Job<JobEnvelope>, { stopper, line, isExpired }: Run): Promise<JobOutcome> {
    const logged: Promise<unknown>[] = []
    const ctx: JobContext = {
      jobId: job.id as string,
      createdAt: job.timestamp,
      attempt: job.attemptsMade + 1,
      maxAttempts: job.opts.attempts ?? 1,
      get signal() {
        return stopper.signal
      },
      log: (text) => {
        logged.push(
          job
            .log(text.slice(0, logLineCharsMax))
            .catch((error: Error) => line.warn({ error: error.message }, 'a line of the job log was lost')),
        )
      },
      progress: (value) => job.updateProgress(value),
      marker: createAttemptMarker(redis, deps.keys.marker(job.id as string), config.queues.attemptMarkerMs),
      isExpired,
      integrations: deps.integrations,
    }
    const timer = setTimeout(() => stopper.stop('timed_out'), job.data.timeoutMs)
    try {
      const data = deps.sensitive.get(type.name)?.open(job.data.data)
      const outcome = await obeyed(type.run(data, ctx), stopper)
      if (logged.length > 0) await Promise.all(logged)
      return outcome
    } catch (error) {
      if (stopper.reason) return stoppedOutcome(stopper.reason)
      line.error({ err: error }, 'the handler failed unexpectedly')
      return retry('handler_error', jobErrors.handler_error.meaning)
    } finally {
      clearTimeout(timer)
    }
  }
}

const stoppedOutcome = (reason: StopReason) => {
  const code: JobErrorCode = reason === 'timed_out' ? 'timed_out' : 'handler_error'
  const message = reason === 'timed_out' ? jobErrors.timed_out.meaning : `The attempt was stopped: ${reason}.`
  return { kind: 'retry' as const, code, message }
}

/** What the handler resolves with, or, a while after it was told to stop and does not obey, that it was stopped. */
const obeyed = (running: Promise<JobOutcome>, stopper: Stopper): Promise<JobOutcome> =>
  new Promise((resolve, reject) => {
    running.then(resolve, reject)
    stopper.onStop(() => {
      setTimeout(() => resolve(stoppedOutcome(stopper.reason as StopReason)), obeyMs).unref()
    })
  })

const toFailed = ({ code, message }: Pick<Failure, 'code' | 'message'>, table: JobErrorTable) => ({
  kind: 'failed' as const,
  code,
  error: withoutStack(new UnrecoverableError(encodeJobError(code, message, table))),
})

/** Expected outcomes have no stack worth keeping; BullMQ would store this file's own. */
const withoutStack = <E extends Error>(error: E): E => {
  error.stack = ''
  return error
}

const missingIntegration = (
  { requires }: JobType,
  { integrations, integrationVariables }: Pick<Deps, 'integrations' | 'integrationVariables'>,
) => {
  const missing = (requires as readonly string[]).find((name) => !integrations[name])
  return missing && integrationVariables[missing]
}
