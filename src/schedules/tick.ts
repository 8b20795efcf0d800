// A tick of a schedule's clock: submits the job of the run that is due, once, however often the tick is tried.

import type { Logger } from 'pino'
import type { HasBegun } from '../bullmq/job-begun.js'
import { scheduledJobId } from '../bullmq/job-id.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import type { Config } from '../config/config.js'
import { toClaim } from '../idempotency/claim.js'
import type { Accept } from '../jobs/accept.js'
import type { ScheduleClock } from './clock.js'
import { type SchedulePayload, type SchedulePayloads, toRefused } from './payload.js'
import type { Reconcile } from './reconcile.js'
import type { ScheduleRecords, StoredSchedule } from './record.js'
import type { RefuseRun } from './refuse-run.js'
import { dueAtOf, runsAfter, timingFingerprint } from './timing.js'

/** A run that has waited this long for a worker keeps further ones from piling up behind it. */
const waitingMsMax = 60_000
/** No two runs of a schedule are closer than this. */
const intervalMsMin = 1000
/** Runs that were missed although a worker lived are made up for when they were due within this time. */
const madeUpMsMax = 60_000
/** A worker hears of a new job type a moment after the gateway that stored a schedule with such a follow-up: a run waits this long for it. */
const unknownMsMax = 3000

/** Times are milliseconds since 1970. */
export interface Tick {
  /** Of the schedule. */
  readonly key: string
  /** When the clock was due. */
  readonly at: number
  /** Of the timing that the clock was set by. */
  readonly print: string
  /** Since when this process has been awake, with Redis at hand. */
  readonly awakeSince: number
}

export type TickOutcome =
  | { readonly kind: 'submitted'; readonly runs: number }
  /** Nothing to do: the schedule is gone, over or has new timing. */
  | { readonly kind: 'void' }
  /** Left out, since earlier runs still wait. */
  | { readonly kind: 'skipped' }
  /** The queue is full, or a job type is not known here yet: the tick is to be tried again. */
  | { readonly kind: 'waits'; readonly reason: string }

/** One run on its way. `name` is the same however often it is tried. */
interface Run {
  readonly stored: StoredSchedule
  readonly jobId: string
  readonly name: string
  readonly line: Logger
}

interface Deps {
  readonly reconcile: Reconcile
  readonly clock: ScheduleClock
  readonly config: Config
  readonly hasBegun: HasBegun
  readonly queues: Pick<QueuePlaces, 'has' | 'partitions'>
  readonly log: Logger
  readonly payloads: SchedulePayloads
  readonly records: ScheduleRecords
  readonly refuse: RefuseRun
  readonly accept: Accept
}

/**
 * Runs schedules. A run is counted first and submitted then, under an id and an idempotency key that follow from schedule and
 * due time: a crash between any two steps is healed by the next try.
 * Rejects with the error of Redis; the tick is then to be tried again.
 */
export const createRunSchedule = (deps: Deps) => {
  const { accept, reconcile, clock, config, hasBegun, log, queues, payloads, records, refuse } = deps

  /** A run that cannot be submitted is seen as a job that failed. */
  const refuseRun = async (run: Run, { code, message, errors }: SchedulePayload & { kind: 'refused' }) => {
    const { record } = run.stored
    const claim = { ...toClaim(record.tenant, { key: run.name, space: 'schedule' }, { refused: code }), record: run.jobId }
    const outcome = await refuse({ record, jobId: run.jobId, claim, refusal: { code, message } })
    if (outcome.kind === 'created') run.line.warn({ code, faults: errors.map(({ pointer }) => pointer) }, 'scheduled run refused')
    return outcome.kind
  }

  const submitRun = async (run: Run) => {
    const { record } = run.stored
    const payload = payloads.open(record)
    if (payload.kind === 'refused') return refuseRun(run, payload)
    const outcome = await accept(payload.submission, {
      tenant: record.tenant,
      jobId: run.jobId,
      key: { key: run.name, space: 'schedule' },
      scheduleId: record.id,
    })
    return outcome.kind === 'invalid' ? refuseRun(run, toRefused(outcome.errors)) : outcome.kind
  }

  /** Submits one run. */
  const submitDue = async (key: string, stored: StoredSchedule, dueAt: number): Promise<'submitted' | 'full' | 'over'> => {
    const { record, createdAt } = stored
    const jobId = scheduledJobId(key, createdAt, dueAt, record.queue, queues.partitions.forSubmission(key))
    const claimed = await records.claim(key, dueAt, jobId, record.limit)
    if (claimed === 'over' || claimed === 'gone') return 'over'
    // Its idempotency key may be forgotten by now: rather no run than a second one.
    if (claimed === 'again' && Date.now() - dueAt > config.queues.idempotencyTtlMs) return 'submitted'
    const line = log.child({ scheduleId: record.id, tenant: record.tenant, jobId, dueAt: new Date(dueAt).toISOString() })
    // `reused`: an earlier try submitted it, before the schedule was changed.
    if ((await submitRun({ stored, jobId, name: `${key}|${createdAt}|${dueAt}`, line })) === 'full') return 'full'
    line.debug({ lateMs: Date.now() - dueAt }, 'scheduled run submitted')
    return 'submitted'
  }

  /** Due times after `dueAt` that the clock has passed over although this process could have served them. */
  const missedRuns = async (key: string, { record, timing }: StoredSchedule, dueAt: number, { awakeSince }: Tick): Promise<number[]> => {
    const now = Date.now()
    if (now - dueAt < intervalMsMin) return []
    const [next] = await clock.nextAt([key])
    const until = typeof next === 'number' ? dueAtOf(timing, next) : now
    const last = Math.min(now, record.endAt ?? now)
    const missed: number[] = []
    for (const at of runsAfter(timing, Math.max(dueAt, awakeSince - 1, now - madeUpMsMax))) {
      if (at >= until || at > last) break
      missed.push(at)
    }
    return missed
  }

  const isPilingUp = async (key: string): Promise<boolean> => {
    const jobId = await records.jobDueBefore(key, Date.now() - waitingMsMax)
    return jobId !== undefined && !(await hasBegun(jobId))
  }

  const skip = async (key: string, { record }: StoredSchedule, reason: string): Promise<TickOutcome> => {
    await records.noteSkipped(key)
    log.warn({ scheduleId: record.id, tenant: record.tenant, reason }, 'scheduled run skipped')
    return { kind: 'skipped' }
  }

  /** A tick waits for its queue until a newer one takes its place. */
  const giveWay = async (key: string, stored: StoredSchedule, dueAt: number, reason: string): Promise<TickOutcome> => {
    const [next] = await clock.nextAt([key])
    if (typeof next !== 'number' || next > Date.now()) return { kind: 'waits', reason }
    await records.unclaim(key, dueAt)
    return skip(key, stored, reason)
  }

  return async (tick: Tick): Promise<TickOutcome> => {
    const { key, at, print } = tick
    const stored = await records.read(key)
    const dueAt = stored && dueAtOf(stored.timing, at)
    if (!stored || dueAt === null || timingFingerprint(stored.timing) !== print || dueAt > (stored.record.endAt ?? dueAt)) {
      await reconcile(key)
      return { kind: 'void' }
    }
    if (!queues.has(stored.record.queue)) return giveWay(key, stored, dueAt, 'its job type is not registered')
    if (Date.now() - dueAt < unknownMsMax && !payloads.knowsFollowUps(stored.record)) {
      return giveWay(key, stored, dueAt, 'the job type of a follow-up is not registered')
    }
    if (await isPilingUp(key)) return skip(key, stored, 'earlier runs are waiting for a worker')
    let runs = 0
    for (const each of [dueAt, ...(await missedRuns(key, stored, dueAt, tick))]) {
      const outcome = await submitDue(key, stored, each)
      if (outcome === 'over') break
      if (outcome === 'full') return giveWay(key, stored, each, 'the queue is full')
      runs++
    }
    // Its last run may have been submitted.
    if (stored.record.limit !== undefined) await reconcile(key)
    return { kind: 'submitted', runs }
  }
}

export type RunSchedule = ReturnType<typeof createRunSchedule>
