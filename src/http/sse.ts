// Server-Sent Events: sends a job's changes as they happen, and ends with the job, the client or the server.

import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'

import { openDuty } from '../runtime/duty.js'

import { problem, problemDetailsOf, toProblemDocument } from './problems/problem-json.js'

/** One event. `data` is sent as one JSON value. */
export interface SseEvent {
  readonly id?: string
  readonly event: string
  readonly data: unknown
}

export interface SseOptions {
  /** Silence after which a comment is sent, so that proxies keep the connection; 15 s unless a test needs it shorter. */
  readonly heartbeatMs?: number
}

/** A source may be given the signal that fires when the client leaves, the server stops or the caller's signal does. */
export type SseSource = AsyncIterable<SseEvent> | ((signal: AbortSignal) => AsyncIterable<SseEvent>)

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Returns 200 with a stream of the source's events. It ends when the source does or `signal` fires, with an event that tells
     * its reason, if that is a problem; the source is asked for more only while the client reads, and ended when the client leaves
     * or the server stops.
     */
    sse(source: SseSource, options?: { readonly signal?: AbortSignal }): FastifyReply
  }
}

const mediaType = 'text/event-stream'
const heartbeatMsDefault = 15_000
/** How long an EventSource waits before it reconnects. */
const opening = 'retry: 3000\n\n'
const heartbeat = ':\n\n'
/** What may wait for a slow client; the source waits beyond that. */
const bufferBytesMax = 16_384
/** A client that has read nothing through this many heartbeats is gone. */
const missedHeartbeatsMax = 4

/** A preHandler: 406 when Accept excludes event streams. */
export const requireEventStream = async (request: FastifyRequest): Promise<void> => {
  if (!request.type([mediaType, `${mediaType}; charset=utf-8`])) throw problem('not-acceptable', `This URL serves ${mediaType} only.`)
}

/** An event in the notation of the WHATWG standard. */
export const formatEvent = ({ id, event, data }: SseEvent): string => {
  const lines = id === undefined ? '' : `id: ${toOneLine(id)}\n`
  return `${lines}event: ${toOneLine(event)}\ndata: ${JSON.stringify(data ?? null)}\n\n`
}

/** A line break would begin a field of its own. */
const toOneLine = (text: string): string => text.replace(/[\r\n\0]/g, '')

interface OpenStream {
  readonly stream: Readable
  /** Ends the answer in good order: what was sent arrives, and `last` behind it. */
  readonly finish: (last?: SseEvent) => void
  missed: number
}

const sse = async (app: FastifyInstance, { heartbeatMs = heartbeatMsDefault }: SseOptions) => {
  const open = new Set<OpenStream>()
  // One timer and one listener for all: thousands of them would cost more than the streams themselves.
  const sendAll = () => {
    for (const each of open) sendHeartbeat(each)
  }
  const duty = openDuty(
    { name: 'sse-heartbeat', everyMs: heartbeatMs, run: sendAll, failure: 'sending heartbeats failed' },
    { log: app.log },
  )
  app.stopSignal.addEventListener('abort', () => {
    for (const { finish } of open) finish()
  })
  app.addHook('onClose', async () => duty.close())

  app.decorateReply('sse', function (this: FastifyReply, source: SseSource, { signal }: { readonly signal?: AbortSignal } = {}) {
    this.header('content-type', mediaType).header('cache-control', 'no-cache, no-transform').header('x-accel-buffering', 'no')
    const since = performance.now()
    const onEnd = (error: unknown) => {
      open.delete(entry)
      this.request.heldMs = performance.now() - since
      if (error) this.log.warn({ err: error }, 'event stream failed')
    }
    const entry: OpenStream = { ...toEventStream(source, signal, onEnd), missed: 0 }
    open.add(entry)
    const isHead = this.request.method === 'HEAD'
    if (isHead || app.stopSignal.aborted) entry.finish()
    else if (signal?.aborted) entry.finish(toLastEvent(signal))
    if (isHead) return this.send('')
    return this.send(entry.stream)
  })
}

const sendHeartbeat = (entry: OpenStream): void => {
  const { stream } = entry
  if (stream.readableLength === 0) {
    entry.missed = 0
    stream.push(heartbeat)
  } else if (++entry.missed >= missedHeartbeatsMax) {
    stream.destroy()
  }
}

/** The problem for which a stream is ended, named like it and without an id: a client that comes back resumes where it was. */
const toLastEvent = ({ reason }: AbortSignal): SseEvent | undefined => {
  const details = problemDetailsOf(reason)
  return details && { event: details.problem, data: toProblemDocument(details) }
}

const toEventStream = (source: SseSource, signal: AbortSignal | undefined, onEnd: (error: unknown) => void) => {
  const client = typeof source === 'function' ? new AbortController() : null
  const events = typeof source === 'function' ? source((client as AbortController).signal) : source
  const iterator = events[Symbol.asyncIterator]()
  let isOpened = false
  let isStarted = false
  let isPumping = false
  let isEnded = false

  const release = (error?: unknown): void => {
    isEnded = true
    signal?.removeEventListener('abort', stop)
    onEnd(error)
    client?.abort()
    // A generator that never ran would skip its `finally`, and with it what the caller has to give back.
    const started = isStarted || !client ? Promise.resolve() : iterator.next()
    started.then(() => iterator.return?.()).catch(() => {})
  }

  // With the first read and not before: what is pushed early starts the source, and its failure would overtake the headers.
  const open = (): void => {
    if (isOpened) return
    isOpened = true
    stream.push(opening)
  }

  const finish = (last?: SseEvent): void => {
    if (isEnded) return
    release()
    open()
    if (last) stream.push(formatEvent(last))
    stream.push(null)
  }

  const stop = (): void => finish(signal && toLastEvent(signal))

  const pump = async (): Promise<void> => {
    isStarted = true
    isPumping = true
    try {
      for (;;) {
        const { done, value } = await iterator.next()
        if (isEnded) return
        if (done) return finish()
        if (!stream.push(formatEvent(value))) return
      }
    } catch (error) {
      if (isEnded) return
      release(error)
      stream.destroy(error as Error)
    } finally {
      isPumping = false
    }
  }

  const stream: Readable = new Readable({
    highWaterMark: bufferBytesMax,
    read() {
      open()
      if (!isPumping && !isEnded) void pump()
    },
    destroy(error, done) {
      if (!isEnded) release()
      done(error)
    },
  })
  signal?.addEventListener('abort', stop, { once: true })
  return { stream, finish }
}

export default fp(sse, { name: 'sse', dependencies: ['problem-json', 'graceful-close', '@fastify/accepts'] })
