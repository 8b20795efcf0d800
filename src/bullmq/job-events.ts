// Reads the event streams of queues, those of a partition on one connection, and hands each job's events to whoever follows that job.

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import { withDeadline } from '../runtime/deadline.js'
import type { JobEventName } from '../types/job-schema.js'
import { toFailedState } from './cancelled.js'
import type { QueueKeys } from './queue-keys.js'
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
/** A stream is read this long after the last follower left: the next one then costs no round trip. */
const lingerMs = 60_000
/** The entry that ends a blocking read may go once that would have ended anyway. */
const wakeMs = 60_000
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

/** A stream that is read: somebody follows a job whose events it carries, or did so a moment ago. */
interface ReadStream {
  /** Id of the last entry that was read; absent until the reader knows where it begins. */
  position?: string
  /** Settles once it is read. */
  opening: Promise<void>
  followers: number
  /** When the last follower left. */
  idleSince: number
}

/**
 * Reads streams on one connection, those in which somebody follows a job. In a Cluster they and `wakeKey` share a slot.
 * `wakeKey` is a stream of the reader's own: an entry ends its blocking read, so that it goes on with other streams.
 * `connect` opens the connection when it is first needed.
 */
const createStreamReader = ({ connect, request, wakeKey, log }: ReaderDeps & { wakeKey: string }) => {
  const listeners = new Map<string, Set<EventListener>>()
  const streams = new Map<string, ReadStream>()
  let wakePosition = '0-0'
  let client: RedisClient | undefined
  let loop: Promise<void> | undefined
  const stop = new AbortController()

  const openStream = async (name: string): Promise<void> => {
    const [last] = (await request.xrevrange(name, '+', '-', 'COUNT', 1)) as Entry[]
    const stream = streams.get(name)
    if (!stream) return
    stream.position = last?.[0] ?? '0-0'
    client ??= connect()
    if (loop) wake()
    else loop = readLoop(client)
  }

  const wake = (): void => {
    const entry = request.pipeline().xadd(wakeKey, 'MAXLEN', 1, '*', 'wake', '').pexpire(wakeKey, wakeMs)
    // Without it the read goes on with the other streams when its time is over.
    entry.exec().catch((error: Error) => log.debug({ error: error.message }, 'the reader of job events was not woken'))
  }

  /** Streams that are read now; those that nobody has followed for a while are left. */
  const toRead = (): [name: string, position: string][] => {
    const now = Date.now()
    const names: [string, string][] = []
    for (const [name, { followers, idleSince, position }] of streams) {
      if (followers === 0 && now - idleSince > lingerMs) streams.delete(name)
      else if (position !== undefined) names.push([name, position])
    }
    return names
  }

  const readLoop = async (reader: RedisClient) => {
    while (!stop.signal.aborted) {
      const all = toRead()
      if (all.length === 0) {
        loop = undefined
        return
      }
      const [names, positions] = [all.map(([name]) => name), all.map(([, position]) => position)]
      try {
        const from = [wakeKey, ...names, wakePosition, ...positions]
        const reply = (await reader.xread('COUNT', eventsPerRead, 'BLOCK', blockMs, 'STREAMS', ...from)) as ReadReply
        for (const [stream, entries] of reply ?? []) dispatch(stream, entries)
      } catch (error) {
        if (stop.signal.aborted) return
        log.warn({ error: (error as Error).message }, 'reading job events failed; falling back to polling')
        await pause(retryMs, undefined, { signal: stop.signal }).catch(() => {})
      }
    }
  }

  const dispatch = (name: string, entries: Entry[]) => {
    const last = entries.at(-1)?.[0]
    if (name === wakeKey) wakePosition = last ?? wakePosition
    const stream = streams.get(name)
    if (!stream) return
    stream.position = last ?? stream.position
    for (const [id, fields] of entries) {
      const jobId = fieldOf(fields, 'jobId')
      const followers = jobId === undefined ? undefined : listeners.get(jobId)
      if (!followers) continue
      const event = toEvent(id, fields)
      if (event) for (const listener of followers) listener(event)
    }
  }

  const openOnce = (name: string): ReadStream => {
    const known = streams.get(name)
    if (known) return known
    const stream: ReadStream = { opening: Promise.resolve(), followers: 0, idleSince: Date.now() }
    streams.set(name, stream)
    stream.opening = openStream(name).catch((error: unknown) => {
      // Whoever follows next tries again.
      if (streams.get(name) === stream) streams.delete(name)
      throw error
    })
    return stream
  }

  return {
    async follow(name: string, jobId: string, listener: EventListener): Promise<() => void> {
      const stream = openOnce(name)
      stream.followers++
      const followers = listeners.get(jobId) ?? new Set()
      listeners.set(jobId, followers.add(listener))
      const unfollow = () => {
        followers.delete(listener)
        if (followers.size === 0 && listeners.get(jobId) === followers) listeners.delete(jobId)
        stream.followers--
        if (stream.followers === 0) stream.idleSince = Date.now()
      }
      try {
        await stream.opening
      } catch (error) {
        unfollow()
        throw error
      }
      return unfollow
    },
    position: (name: string): string => streams.get(name)?.position ?? '0-0',
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
 * However many queues there are: only the streams of those whose jobs are followed are read.
 */
export const openJobEvents = ({ queues, ...deps }: ReaderDeps & { queues: Pick<QueuePlaces, 'ofJob' | 'partitions'> }) => {
  const readerName = randomUUID()
  const readers = queues.partitions.all.map(({ keys }) => createStreamReader({ ...deps, wakeKey: keys.wakeReader(readerName) }))
  const readerIn = ({ partition }: QueueKeys) => readers[partition.number] as (typeof readers)[number]

  return {
    /** Resolves with the function that ends it; nothing happens to a job that cannot be. Rejects with the error of Redis. */
    async follow(jobId: string, listener: EventListener): Promise<() => void> {
      const queue = queues.ofJob(jobId)
      return queue ? readerIn(queue).follow(queue.events, jobId, listener) : () => {}
    },

    /** The newest event id of the stream that tells of a job, from which a snapshot taken afterwards can be resumed. */
    position(jobId: string): string {
      const queue = queues.ofJob(jobId)
      return queue ? readerIn(queue).position(queue.events) : '0-0'
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
