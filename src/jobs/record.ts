// Everything that is stored of one job besides what clients see, for operators.

import { createStoredRecordReader } from '../bullmq/job-record.js'
import type { Queues } from '../bullmq/queues.js'
import { decodeJobError } from '../bullmq/stored-job-error.js'
import type { RedisClient } from '../redis/connect.js'
import type { JobError } from '../types/job-schema.js'
import type { JobEnvelope } from './envelope.js'

/** An earlier life of a job that was sent back. Times are milliseconds since 1970. */
export interface EarlierRun {
  readonly sentBackAt: number
  readonly attempts: number
  readonly finishedAt: number | null
  readonly error: JobError
}

/** Times are milliseconds since 1970. */
export interface JobRecord {
  readonly tenant: string
  readonly options: {
    readonly attempts: number
    readonly backoff: { readonly type: string; readonly delayMs: number } | null
    readonly delayMs: number
    readonly timeoutMs: number
    readonly expiresAt: number | null
  }
  /** Attempts that began, lost ones included, since the job was last sent back. */
  readonly attemptsStarted: number
  /** How often a worker died or stalled with it. */
  readonly stalled: number
  /** How often the handler deferred it without using an attempt. */
  readonly deferrals: number
  /** Instance that ran the latest attempt. */
  readonly worker: string | null
  /** For how long the running attempt's lock still holds. */
  readonly lockMs: number | null
  readonly retriedAt: number | null
  /** Oldest first. */
  readonly earlierRuns: readonly EarlierRun[]
  readonly stackTraces: readonly string[]
  /** Oldest first; `logsTotal` says whether these are all. */
  readonly logs: readonly string[]
  readonly logsTotal: number
  readonly traceparent: string | null
}

/** The newest lines are the ones of interest. */
export const logLinesMax = 200
const stackTracesMax = 5

/** The latest, oldest first. Expected outcomes have none. */
export const toShownStackTraces = (traces: readonly string[]): string[] => traces.filter((trace) => trace !== '').slice(-stackTracesMax)

interface StoredHistory {
  at: number
  attempts: number
  finishedOn: number
  reason: string
}

/** Reads the record of a job; null when there is none. Rejects with the error of Redis. */
export const createJobRecordReader = ({ redis, queues }: { redis: RedisClient; queues: Queues }) => {
  const read = createStoredRecordReader({ redis, queues })
  return async (id: string): Promise<JobRecord | null> => {
    const stored = await read(id, logLinesMax)
    if (!stored) return null
    const envelope = JSON.parse(stored.data) as JobEnvelope
    const options = JSON.parse(stored.options ?? '{}') as { attempts?: number; backoff?: { type: string; delay: number }; delay?: number }
    return {
      tenant: envelope.tenant,
      options: {
        attempts: options.attempts ?? 1,
        backoff: options.backoff ? { type: options.backoff.type, delayMs: options.backoff.delay } : null,
        delayMs: options.delay ?? 0,
        timeoutMs: envelope.timeoutMs,
        expiresAt: envelope.expiresAt ?? null,
      },
      attemptsStarted: stored.attemptsStarted,
      stalled: stored.stalled,
      deferrals: stored.deferrals,
      worker: stored.worker,
      lockMs: stored.lockMs,
      retriedAt: stored.retriedOn ? Number(stored.retriedOn) : null,
      earlierRuns: (JSON.parse(stored.history ?? '[]') as StoredHistory[]).map(({ at, attempts, finishedOn, reason }) => ({
        sentBackAt: at,
        attempts,
        finishedAt: finishedOn || null,
        error: decodeJobError(reason),
      })),
      stackTraces: toShownStackTraces(JSON.parse(stored.stackTraces ?? '[]') as string[]),
      logs: [...stored.logs].reverse(),
      logsTotal: stored.logsTotal,
      traceparent: envelope.traceparent ?? null,
    }
  }
}

export type ReadJobRecord = ReturnType<typeof createJobRecordReader>
