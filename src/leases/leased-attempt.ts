// A leased job as the attempt engine reads and writes it.

import type { HandedOutJob } from '../attempts/attempt.js'
import type { AttemptWriter } from '../attempts/settle.js'
import type { HoldEnd, LeasedJob, LeasedJobs, Settled } from '../bullmq/registered/leased-jobs.js'
import type { JobEnvelope } from '../jobs/envelope.js'

interface StoredOptions {
  readonly attempts?: number
  readonly backoff?: { readonly type: string; readonly delay: number }
}

/** What comes with the end of a lease, besides how it ends. */
export interface EndNotes {
  /** By this the same settlement is known again; '' for ends that nobody repeats. */
  readonly digest?: string
  /** JSON. */
  readonly progress?: string | undefined
  readonly log?: readonly string[] | undefined
}

/** One object for each time that a lease is read, hence a class. */
export class LeasedAttempt implements HandedOutJob, AttemptWriter {
  readonly envelope: JobEnvelope
  readonly #job: LeasedJob
  readonly #leasedJobs: Pick<LeasedJobs, 'end'>
  readonly #options: StoredOptions
  readonly #digest: string
  readonly #progress: string | undefined
  readonly #log: string[]
  #settled: Settled | null = null

  constructor(job: LeasedJob, leasedJobs: Pick<LeasedJobs, 'end'>, { digest = '', progress, log = [] }: EndNotes = {}) {
    this.#job = job
    this.#leasedJobs = leasedJobs
    this.#options = JSON.parse(job.stored.options) as StoredOptions
    this.envelope = JSON.parse(job.stored.data) as JobEnvelope
    this.#digest = digest
    this.#progress = progress
    this.#log = [...log]
  }

  get id() {
    return this.#job.stored.id
  }
  get type() {
    return this.#job.stored.name
  }
  get queue() {
    return this.#job.queue
  }
  get key() {
    return this.#job.key
  }
  get markerKey() {
    return this.#job.markerKey
  }
  get createdAt() {
    return Number(this.#job.stored.timestamp)
  }
  get attemptsMade() {
    return Number(this.#job.stored.attemptsMade ?? 0)
  }
  get attemptsStarted() {
    return this.#job.attemptsStarted
  }
  get attemptsMax() {
    return this.#options.attempts ?? 1
  }

  /** With what the lease turned out to be settled, by this or before; null when it was over without that. */
  get settled() {
    return this.#settled
  }

  /** Written together with the end, so that it is fenced like that. */
  async appendLog(line: string) {
    this.#log.push(line)
  }
  complete(result: unknown) {
    return this.#end({ act: 'complete', value: JSON.stringify(result ?? null) })
  }
  fail(failedReason: string) {
    return this.#end({ act: 'fail', value: failedReason })
  }
  retry(failedReason: string, afterMs = 0) {
    return this.#end({ act: 'retry', value: failedReason, delayMs: Math.max(this.#backoffMs(), afterMs) })
  }
  delayUntil(at: number) {
    return this.#end({ act: 'delay', delayMs: Math.max(1, at - Date.now()) })
  }
  release() {
    return this.#end({ act: 'release' })
  }
  abandon() {}

  /** Gives the job of a worker that was lost to others. */
  giveUp() {
    return this.#end({ act: 'lost' })
  }

  async #end(end: Pick<HoldEnd, 'act' | 'value' | 'delayMs'>): Promise<boolean> {
    const { id, attemptsMax } = this
    const digest = this.#digest
    this.#settled = await this.#leasedJobs.end({
      ...end,
      ...{ id, token: this.#job.token, attemptsMax, digest, progress: this.#progress, log: this.#log },
    })
    return this.#settled?.digest === digest
  }

  /** As BullMQ reckons it. */
  #backoffMs(): number {
    const { backoff } = this.#options
    if (!backoff) return 0
    return backoff.type === 'exponential' ? Math.round(2 ** this.attemptsMade * backoff.delay) : backoff.delay
  }
}
