// The definition of a job type: one piece of data, schemas and behavior that gateway, workers and documents share.

import type { Static, TSchema } from '@sinclair/typebox'
import type { Config } from '../config/config.js'
import type { Runs } from './contracts/definition.js'
import type { FieldProblem } from './field-problems.js'
import type { JobPriority } from './job-schema.js'
import type { QueueName } from './queue-name.js'
import type { Validate } from './validator.js'

/**
 * How an attempt ended. Anything thrown instead counts as `handler_error` and is retried.
 * `C` are the codes it may end with: those of `jobErrors`, or of the table of its subject.
 */
export type JobOutcome<R = unknown, C extends string = string> =
  | { readonly kind: 'done'; readonly result: R }
  /** Never again: the job is failed. `retryable` here and below for codes that are in no table. */
  | { readonly kind: 'fail'; readonly code: C; readonly message: string; readonly retryable?: boolean }
  /** Again after the job's backoff, as long as attempts are left. */
  | { readonly kind: 'retry'; readonly code: C; readonly message: string; readonly retryable?: boolean }
  /** Again in `afterMs`, without using up an attempt: rate limits and busy locks. */
  | { readonly kind: 'defer'; readonly code: C; readonly message: string; readonly afterMs: number }

export const done = <R>(result: R): JobOutcome<R, never> => ({ kind: 'done', result })
export const fail = <C extends string>(code: C, message: string): JobOutcome<never, C> => ({ kind: 'fail', code, message })
export const retry = <C extends string>(code: C, message: string): JobOutcome<never, C> => ({ kind: 'retry', code, message })
export const defer = <C extends string>(code: C, message: string, afterMs: number): JobOutcome<never, C> => ({
  kind: 'defer',
  code,
  message,
  afterMs,
})

/**
 * Remembers, outside the attempt, whether a call that the vendor cannot de-duplicate was begun or done.
 * Survives crashes, stalls and manual retries; kept at least as long as failed jobs are.
 */
export interface AttemptMarker {
  /** `none`: never begun. `begun`: begun, outcome not known. `done`: done, with its result. */
  read(): Promise<{ state: 'none' } | { state: 'begun' } | { state: 'done'; result: unknown }>
  /** Call right before handing over to the vendor. */
  begin(): Promise<void>
  /** Call after a success; `result` is what a later attempt completes with. */
  done(result: unknown): Promise<void>
  /** Call after a definite refusal. */
  clear(): Promise<void>
}

/** What this process has opened for its handlers, by name. A member is absent when its settings are. */
export type Integrations = Readonly<Record<string, unknown>>

/** What a handler is given besides its data; `I` is what it finds under `integrations`. */
export interface JobContext<I = Integrations> {
  readonly jobId: string
  /** When the job was accepted, in milliseconds since 1970: every attempt sees the same. */
  readonly createdAt: number
  /** 1 for the first attempt. */
  readonly attempt: number
  readonly maxAttempts: number
  /** Fires on cancellation, on `timeoutMs` and at shutdown: pass it to every call. */
  readonly signal: AbortSignal
  /** Adds a line to the job's own log, readable at `/v1/jobs/{id}/logs`. No secrets. */
  log(line: string): void
  /** A number from 0 to 100 or a small object. */
  progress(value: number | Record<string, unknown>): Promise<void>
  readonly marker: AttemptMarker
  /** Its time to start is over: what was begun before may be settled, and nothing new is begun. */
  readonly isExpired: boolean
  /** Those in `requires` are present. */
  readonly integrations: I
}

/** What a submission is checked against beyond its schema. */
export interface SubmissionCheck {
  /** Milliseconds since 1970. */
  readonly now: number
  /** What the settings of subjects hold is known to their job types alone. */
  readonly config: Config
}

/** What a type that is registered at run time has besides: its contracts are checked by functions of its own. */
export interface Registered {
  /** Tells it from one of the same name that was deleted before; '' where none is stored. */
  readonly registration: string
  readonly runs: Runs
  readonly compatibility: 'backward' | 'none'
  readonly checkData: Validate
  /** Whether a result may be that of a job; absent: any result may. */
  readonly checkResult?: Validate
  /** A copy of the data of an earlier version in which what is new and has a default is filled in. */
  readonly fillDefaults: (data: unknown) => unknown
  /** Paths to the members that are sensitive in this version or were so in an earlier one; `*` stands for every entry. */
  readonly sensitive: readonly (readonly string[])[]
}

export interface JobTypeDefinition<D extends TSchema = TSchema, R extends TSchema = TSchema, I = Integrations> {
  /** kebab-case; equals the file's name. */
  readonly name: string
  readonly queue: QueueName
  /** One or two sentences for callers. */
  readonly description: string
  /** Closed schema of `data`, as submitted. */
  readonly data: D
  readonly result: R
  /** Valid `data`, shown ready to send in Swagger UI. */
  readonly example: Static<D>
  readonly defaults: {
    readonly attempts?: number
    readonly backoff?: { readonly type: 'fixed' | 'exponential'; readonly delayMs: number }
    readonly priority: JobPriority
    readonly timeoutMs: number
  }
  /** Integrations without which an attempt fails at once with `not_configured`. */
  readonly requires: readonly string[]
  /** Integrations of which one is enough; which one, the data say. A worker with none of them cannot serve the type. */
  readonly requiresOneOf?: readonly string[]
  /** What the schema cannot say; an empty list accepts. Pointers start at `#/data/…`. */
  check?(data: Static<D>, check: SubmissionCheck): FieldProblem[]
  /** When a job is due if the client names no time, and when it expires if the client names no limit (ms since 1970). */
  timing?(data: Static<D>, now: number): { runAt?: number; expiresAt?: number }
  /** For a submission that stands for many: the data of every child, in order; null for a plain one. */
  fanOut?(data: Static<D>): Static<D>[] | null
  /** The result of the parent of a fan-out; `children` in the order of `fanOut`. */
  gather?(data: Static<D>, children: readonly ChildOutcome[]): Static<R>
  /** Present on types that are registered at run time. */
  readonly registered?: Registered
  /** One attempt. A type without it is worked by other programs: workers of Jobgate take none of its jobs. */
  run?(data: Static<D>, ctx: JobContext<I>): Promise<JobOutcome<Static<R>>>
}

/** A type that workers of Jobgate run. */
export interface RunnableDefinition<D extends TSchema = TSchema, R extends TSchema = TSchema, I = Integrations>
  extends JobTypeDefinition<D, R, I> {
  run(data: Static<D>, ctx: JobContext<I>): Promise<JobOutcome<Static<R>>>
}

/** How one child of a fan-out ended. */
export type ChildOutcome = { readonly kind: 'completed'; readonly result: unknown } | { readonly kind: 'failed'; readonly code: string }

/** A job type whose own types are no longer of interest: what the registry, queues and workers handle. */
// biome-ignore lint/suspicious/noExplicitAny: a list of definitions with different data needs one type for all.
export type JobType = JobTypeDefinition<any, any, any>

export type RunnableJobType = JobType & Required<Pick<JobType, 'run'>>

export const isRunnable = (type: JobType): type is RunnableJobType => type.run !== undefined

/** Whether a worker with these integrations can serve jobs of the type, or at least some of them. */
export const canServe = (
  { requires, requiresOneOf }: { readonly requires: readonly string[]; readonly requiresOneOf?: readonly string[] },
  integrations: Integrations,
): boolean => requires.every((name) => integrations[name]) && (requiresOneOf?.some((name) => integrations[name]) ?? true)

/** Checks a definition's parts against each other; the types of `run` follow from its schemas. */
export const defineJobType = <D extends TSchema, R extends TSchema, I = Integrations>(
  definition: RunnableDefinition<D, R, I>,
): RunnableDefinition<D, R, I> => definition
