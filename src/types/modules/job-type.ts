// What modules in JOB_TYPES_DIR import as `jobgate/job-type`: a job type as its author writes it, and how an attempt can end.

export { type Static, Type } from '@sinclair/typebox'

/** What a schema allows, if TypeBox made it, whichever copy of TypeBox that was. Of plain JSON Schema nothing is known here. */
export type ValueOf<S> = S extends { static: unknown; params: unknown } ? (S & { params: [] })['static'] : unknown

/** What `run` is given besides the data. */
export interface JobTypeContext {
  readonly jobId: string
  /** When the job was accepted, in milliseconds since 1970: every attempt sees the same. */
  readonly createdAt: number
  /** 1 for the first attempt. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Fires on cancellation, on `timeoutMs` and at shutdown: pass it to every call. A second later the attempt ends without the handler. */
  readonly signal: AbortSignal
  /** Adds a line to the job's own log, readable at `/v1/jobs/{id}/logs`. No secrets. */
  log(line: string): void
  /** A number from 0 to 100 or a small object. Never rejects: a report that is lost is no reason to fail. */
  progress(value: number | Record<string, unknown>): Promise<void>
}

export interface JobTypeOptions<D extends object, R extends object> {
  /** 2 to 63 lowercase letters, digits and hyphens, beginning with a letter. The queue of the type is called the same. */
  readonly name: string
  /** One or two sentences for callers. */
  readonly description: string
  /** Schema of `data`: TypeBox or plain JSON Schema 2020-12, of the subset that docs/own-job-types.md describes. */
  readonly data: D
  /** Schema of the result, likewise. Without it any result is allowed. */
  readonly result?: R
  /** Data that fit. */
  readonly example: ValueOf<D>
  /** For submissions that do not say otherwise. Durations are in milliseconds. */
  readonly defaults?: {
    readonly attempts?: number
    readonly backoff?: { readonly type: 'fixed' | 'exponential'; readonly delayMs: number }
    readonly priority?: 'high' | 'normal' | 'low'
    readonly timeoutMs?: number
  }
  /** `backward`, the default: later versions accept whatever this one does. */
  readonly compatibility?: 'backward' | 'none'
  /**
   * One attempt; a job may have several, so it must tolerate running twice. What it returns is the result of the job. What it throws
   * ends the attempt: `fail`, `retry` and `defer` say how, anything else counts as `handler_error` and is retried.
   */
  run(data: ValueOf<D>, ctx: JobTypeContext): ValueOf<R> | JobEnd | Promise<ValueOf<R> | JobEnd>
}

// By registered symbols, not by class: what a module imports may be another copy of this file.
const definitionMark = Symbol.for('jobgate.jobType')
const endMark = Symbol.for('jobgate.jobEnd')

/** A job type, for the default export of a module. */
export type JobTypeModule<D extends object = object, R extends object = object> = JobTypeOptions<D, R> & {
  readonly [definitionMark]: true
}

/** Defines a job type; the types of `example` and `run` follow from its schemas. What is wrong with it, the start of Jobgate says. */
export const defineJobType = <D extends object, R extends object = object>(options: JobTypeOptions<D, R>): JobTypeModule<D, R> =>
  Object.freeze({ ...options, [definitionMark]: true as const })

/** Whether `defineJobType` made it. */
export const isJobTypeModule = (value: unknown): value is JobTypeModule => isMarked(value, definitionMark)

const isMarked = (value: unknown, mark: symbol): boolean => typeof value === 'object' && value !== null && Object.hasOwn(value, mark)

/** An end of an attempt other than a result: thrown, or returned. */
export class JobEnd extends Error {
  readonly [endMark] = true
  readonly kind: 'fail' | 'retry' | 'defer'
  readonly code: string
  /** Of `defer`. */
  readonly afterMs: number | undefined

  constructor(kind: JobEnd['kind'], code: string, message: string, afterMs?: number) {
    super(message)
    this.name = 'JobEnd'
    this.kind = kind
    this.code = code
    this.afterMs = afterMs
  }
}

export const isJobEnd = (value: unknown): value is JobEnd => isMarked(value, endMark)

const codeForm = /^[a-z][a-z0-9_.]{0,63}$/

const requireCode = (code: string): string => {
  if (typeof code === 'string' && codeForm.test(code)) return code
  throw new TypeError(`An error code has the form ${codeForm.source}: ${String(code)}`)
}

/**
 * Fails the job permanently, whatever attempts are left: `throw fail('image_unreadable', 'The image cannot be decoded.')`.
 * `code` has the form `[a-z][a-z0-9_.]{0,63}`; clients see both, so no secrets.
 */
export const fail = (code: string, message: string): JobEnd => new JobEnd('fail', requireCode(code), message)

/** Fails this attempt: another one follows after the job's backoff, as long as attempts are left. */
export const retry = (code: string, message: string): JobEnd => new JobEnd('retry', requireCode(code), message)

/** Postpones the attempt by `afterMs` milliseconds without counting it: for rate limits and busy locks. */
export const defer = (code: string, message: string, afterMs: number): JobEnd => {
  if (!Number.isFinite(afterMs) || afterMs < 0) throw new TypeError(`afterMs must be a number of milliseconds: ${String(afterMs)}`)
  return new JobEnd('defer', requireCode(code), message, afterMs)
}
