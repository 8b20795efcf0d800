// Reads what BullMQ and we keep of a job besides what clients see.

import type { RedisClient } from '../redis/connect.js'
import { jobFields, jobKeyEndings } from './facts.js'
import type { Queues } from './queues.js'

/** As stored; absent members are null. */
export interface StoredRecord {
  /** The envelope as JSON. */
  readonly data: string
  /** BullMQ's options as JSON. */
  readonly options: string | null
  readonly attemptsStarted: number
  /** How often a worker died or stalled with it. */
  readonly stalled: number
  readonly deferrals: number
  /** Instance that ran the latest attempt. */
  readonly worker: string | null
  /** For how long the running attempt's lock still holds. */
  readonly lockMs: number | null
  readonly retriedOn: string | null
  /** How it ended before it was sent back, as JSON. */
  readonly history: string | null
  /** A list as JSON. */
  readonly stackTraces: string | null
  /** The newest lines, newest first. */
  readonly logs: string[]
  readonly logsTotal: number
}

/** Gives the record of a job with the newest `logLines` of its log; null when there is none. Rejects with the error of Redis. */
export const createStoredRecordReader =
  ({ redis, queues }: { redis: RedisClient; queues: Queues }) =>
  async (id: string, logLines: number): Promise<StoredRecord | null> => {
    const queue = queues.ofJob(id)
    if (!queue) return null
    const { attemptsStarted, stalledCount, processedBy } = jobFields
    const [fields, lockTtl, { logs, count }] = await Promise.all([
      redis.hmget(
        queue.job(id),
        ...['data', 'opts', attemptsStarted, stalledCount, 'jg:deferrals', processedBy, 'jg:retriedOn', 'jg:history', 'stacktrace'],
      ),
      redis.pttl(queue.lock(id)),
      queues.bullmqQueue(queue).getJobLogs(id, 0, logLines - 1, false),
    ])
    const [data, options = null, started, stalled, deferrals, worker = null, retriedOn = null, history = null, stackTraces = null] = fields
    if (!data) return null
    return {
      data,
      options,
      attemptsStarted: Number(started ?? 0),
      stalled: Number(stalled ?? 0),
      deferrals: Number(deferrals ?? 0),
      worker,
      lockMs: lockTtl > 0 ? lockTtl : null,
      retriedOn,
      history,
      stackTraces,
      logs,
      logsTotal: count,
    }
  }

/**
 * How the children of a parent ended, by their keys: their results as JSON, and their failedReason. `key` is that of the parent's hash.
 * Rejects with the error of Redis.
 */
export const readChildren = async (redis: RedisClient, key: string) => {
  const [completed, failed] = await Promise.all([redis.hgetall(key + jobKeyEndings.processed), redis.hgetall(key + jobKeyEndings.failed)])
  return { completed, failed }
}
