// Reads the event streams of all queues, those of a partition on one connection, and hands each job's events to whoever follows that job.

import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { withDeadline } from '../runtime/deadline.js'
import type { JobEventName } from '../types/job-schema.js'
import { toFailedState } from './cancelled.js'
import type { QueuePlaces } from './queues.js'
import { decodeJobError } from './stored-job-error.js'

/** One change of one job. `id` is the stream id: `<ms>-<n>`, growing and replayable. */
export interface StreamedEvent {
  readonly id: string
  readonly name: JobEventName | 'removed'
  /** `delayed` and `waiting-children` arrive as `waiting`; this is exact. */
  readonly state: 'waiting' | 'delayed' | 'waiting-children' | 'active' | 'completed' | 'failed' | 'cancelled' | 'removed'
  readonly progress?: unknown
}

export type EventListener = (event: StreamedEvent) => void

/** A blocking read returns at least this often, so that a stopped reader ends. */
const blockMs = 5000
const eventsPerRead = 500
/** The reader goes on this long after the last follower left: the next one then costs no round trip. */
const lingerMs = 60_000
/** Closing waits this long for the read under way. */
const closeMsMax = 1000
/** Pause after a failed read; the connection itself reconnects by its own rules. */
const retryMs = 200

type Entry = [id: string, fields: string[]]
type ReadReply = [key: string, entries: Entry[]][] | null

interface ReaderDeps {
  readonly connect: () => RedisClient
  readonly request: RedisClient
  readonly log: Logger
}

/**
 * Reads streams on one connection as long as somebody follows a job whose events they carry. In a Cluster the streams share a slot.
 * `connect` opens the connection when it is first needed.
 */
const createStreamReader = ({ connect, request, streams, log }: ReaderDeps & { streams: readonly string[] }) => {
  const listeners = new Map<string, Set<EventListener>>()
  const positions = new Map<string, string>()
  let client: RedisClient | undefined
  let reading: Promise<void> | undefined
  let idleSince = 0
  let loop: Promise<void> | undefined
  const stop = new AbortController()

  const start = async () => {
    client ??= connect()
    await Promise.all(
      streams.map(async (stream) => {
        const [last] = (await request.xrevrange(stream, '+', '-', 'COUNT', 1)) as Entry[]
        positions.set(stream, last?.[0] ?? '0-0')
      }),
    )
    loop = readLoop(client)
  }

  const readLoop = async (reader: RedisClient) => {
    while (!stop.signal.aborted) {
      if (listeners.size === 0 && Date.now() - idleSince > lingerMs) {
        // Whoever follows next starts over from the end of the streams.
        reading = undefined
        return
      }
      try {
        const from = streams.map((stream) => positions.get(stream) as string)
        const reply = (await reader.xread('COUNT', eventsPerRead, 'BLOCK', blockMs, 'STREAMS', ...streams, ...from)) as ReadReply
        for (const [stream, entries] of reply ?? []) dispatch(stream, entries)
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn({ error: (error as Error).message }, 'reading job events failed; falling back to polling')
        await pause(retryMs, undefined, { signal: stop.signal }).catch(() => {})
      }
    }
  }

  const dispatch = (stream: string, entries: Entry[]) => {
    for (const [id, fields] of entries) {
      positions.set(stream, id)
      const jobId = fieldOf(fields, 'jobId')
      const followers = jobId === undefined ? undefined : listeners.get(jobId)
      if (!followers) continue
      const event = toEvent(id, fields)
      if (event) for (const listener of followers) listener(event)
    }
  }

  const unfollow = (jobId: string, listener: EventListener) => {
    const followers = listeners.get(jobId)
    followers?.delete(listener)
    if (followers?.size === 0) listeners.delete(jobId)
    if (listeners.size === 0) idleSince = Date.now()
  }

  return {
    async follow(jobId: string, listener: EventListener): Promise<() => void> {
      const followers = listeners.get(jobId)
      if (followers) followers.add(listener)
      else listeners.set(jobId, new Set([listener]))
      reading ??= start()
      try {
        await reading
      } catch (error) {
        reading = undefined
        unfollow(jobId, listener)
        throw error
      }
      return () => unfollow(jobId, listener)
    },
    position: (stream: string): string => positions.get(stream) ?? '0-0',
    followed: () => listeners.size,
    async close() {
      stop.abort()
      client?.disconnect()
      // A read that waits for a connection is not ended by a disconnect (ioredis 6.0).
      if (loop) await withDeadline(loop, closeMsMax, undefined)
    },
  }
}

/**
 * `follow` calls `listener` with every event of one job that happens after it resolves, so a state read
 * afterwards misses nothing. `replay` gives what a job's stream still holds after a known event.
 */
export const openJobEvents = ({ queues, ...deps }: ReaderDeps & { queues: Pick<QueuePlaces, 'in' | 'names' | 'ofJob' | 'partitions'> }) => {
  const readers = queues.partitions.all.map((partition) =>
    createStreamReader({ ...deps, streams: queues.names.map((name) => queues.in(name, partition).events) }),
  )
  const readerOf = (jobId: string) => readers[queues.ofJob(jobId)?.partition.number ?? 0] as (typeof readers)[number]

  return {
    /** Resolves with the function that ends it. Rejects with the error of Redis. */
    follow: (jobId: string, listener: EventListener): Promise<() => void> => readerOf(jobId).follow(jobId, listener),

    /** The newest event id of the stream that tells of a job, from which a snapshot taken afterwards can be resumed. */
    position(jobId: string): string {
      const stream = queues.ofJob(jobId)?.events
      return stream === undefined ? '0-0' : readerOf(jobId).position(stream)
    },

    /**
     * Events of one job after the stream id `after`, oldest first.
     * null when the stream does not reach back or ahead that far, or `after` is not an id of it.
     */
    async replay(jobId: string, after: string): Promise<StreamedEvent[] | null> {
      const { request } = deps
      const stream = queues.ofJob(jobId)?.events
      if (stream === undefined || !/^\d{1,16}-\d{1,10}$/.test(after)) return null
      const [[first], [last]] = (await Promise.all([
        request.xrange(stream, '-', '+', 'COUNT', 1),
        request.xrevrange(stream, '+', '-', 'COUNT', 1),
      ])) as [Entry[], Entry[]]
      if (!first || !last || compareIds(first[0], after) > 0 || compareIds(last[0], after) < 0) return null
      const events: StreamedEvent[] = []
      let from = `(${after}`
      for (;;) {
        const entries = (await request.xrange(stream, from, '+', 'COUNT', 1000)) as Entry[]
        for (const [id, fields] of entries) {
          if (fieldOf(fields, 'jobId') !== jobId) continue
          const event = toEvent(id, fields)
          if (event) events.push(event)
        }
        const latest = entries.at(-1)
        if (!latest || entries.length < 1000) return events
        from = `(${latest[0]}`
      }
    },

    /** How many jobs are followed: a gauge. */
    followed: () => readers.reduce((sum, reader) => sum + reader.followed(), 0),

    async close() {
      await Promise.all(readers.map((reader) => reader.close()))
    },
  }
}

export type JobEvents = ReturnType<typeof openJobEvents>

/** Orders two stream ids as Redis does. */
export const compareIds = (a: string, b: string): number => {
  const [aMs = '', aSeq = ''] = a.split('-')
  const [bMs = '', bSeq = ''] = b.split('-')
  return Number(aMs) - Number(bMs) || Number(aSeq) - Number(bSeq)
}

const fieldOf = (fields: readonly string[], name: string): string | undefined => {
  for (let at = 0; at < fields.length; at += 2) if (fields[at] === name) return fields[at + 1]
  return undefined
}

const toFailedEvent = (id: string, failedReason: string): StreamedEvent => {
  const state = toFailedState(decodeJobError(failedReason))
  return { id, name: state, state }
}

/** BullMQ's events in our words; undefined for those that clients have no use for. */
const toEvent = (id: string, fields: readonly string[]): StreamedEvent | undefined => {
  switch (fieldOf(fields, 'event')) {
    case 'waiting':
      return { id, name: fieldOf(fields, 'prev') === 'active' ? 'retrying' : 'waiting', state: 'waiting' }
    case 'delayed':
      return { id, name: 'waiting', state: 'delayed' }
    case 'waiting-children':
      return { id, name: 'waiting', state: 'waiting-children' }
    case 'active':
      return { id, name: 'active', state: 'active' }
    case 'progress':
      return { id, name: 'progress', state: 'active', progress: JSON.parse(fieldOf(fields, 'data') ?? 'null') }
    case 'completed':
      return { id, name: 'completed', state: 'completed' }
    case 'failed':
      return toFailedEvent(id, fieldOf(fields, 'failedReason') ?? '')
    case 'removed':
      return { id, name: 'removed', state: 'removed' }
    default:
      return undefined
  }
}
