// Newline-delimited JSON in both directions: lines as they arrive, results while more arrive.

import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { type LineLimits, type NdjsonLine, readLines } from './line-stream.js'

/**
 * The body of a request of type application/x-ndjson. To be read once. When the server stops, reading it throws the
 * problem shutting-down behind the last line that was read.
 */
export interface NdjsonBody extends AsyncIterable<NdjsonLine> {
  /** The same lines, those of one chunk at a time: much cheaper for many short lines. When `stop` fires, its reason is thrown likewise. */
  chunks(stop?: AbortSignal): AsyncIterable<NdjsonLine[]>
}

declare module 'fastify' {
  interface FastifyReply {
    /**
     * Answers with one JSON value a line, each sent soon after `source` yields it; `source` is asked for more only
     * while the client reads. Set the status before. When `source` throws before its first value, the answer is
     * the problem; later, the connection breaks off. `source` is ended when the client leaves.
     */
    ndjson(source: AsyncIterable<unknown>): FastifyReply
  }
}

const mediaType = 'application/x-ndjson'
const chunkBytes = 16_384
const bodies = new WeakSet<object>()

/** Whether the client sent NDJSON; `request.body` then is an NdjsonBody. */
export const isNdjson = (request: FastifyRequest): request is FastifyRequest & { body: NdjsonBody } =>
  typeof request.body === 'object' && request.body !== null && bodies.has(request.body)

/** Only the routes of the scope in which this is registered read NDJSON; all others refuse it with 415. */
const ndjson = async (app: FastifyInstance, limits: LineLimits) => {
  app.addContentTypeParser(mediaType, async (_request: FastifyRequest, payload: Readable) => toBody(payload, limits, app.stopSignal))

  app.decorateReply('ndjson', function (this: FastifyReply, source: AsyncIterable<unknown>) {
    return this.header('content-type', mediaType)
      .header('x-accel-buffering', 'no')
      .send(
        toLineStream(source, (error) => {
          // Before the headers have left, the error handler answers and logs.
          if (this.raw.headersSent) this.log.warn({ err: error }, 'NDJSON response was cut off')
        }),
      )
  })
}

const toBody = (payload: Readable, limits: LineLimits, closing: AbortSignal): NdjsonBody => {
  const chunks = (stop?: AbortSignal) => readLines(payload, limits, stop ? [closing, stop] : [closing])
  const body: NdjsonBody = {
    chunks,
    async *[Symbol.asyncIterator]() {
      for await (const lines of chunks()) yield* lines
    },
  }
  bodies.add(body)
  return body
}

/** Joins what is ready at once into chunks, and holds nothing back while waiting for more. */
const toLineStream = (source: AsyncIterable<unknown>, onError: (error: unknown) => void): Readable => {
  const iterator = source[Symbol.asyncIterator]()
  let pending = ''
  let isPumping = false
  let isFlushDue = false

  const flush = (): boolean => {
    isFlushDue = false
    if (pending === '' || stream.destroyed) return true
    const text = pending
    pending = ''
    return stream.push(text)
  }

  const pump = async (): Promise<void> => {
    isPumping = true
    try {
      for (;;) {
        const { done, value } = await iterator.next()
        if (stream.destroyed) return
        if (done) {
          flush()
          stream.push(null)
          return
        }
        pending += `${JSON.stringify(value)}\n`
        if (pending.length >= chunkBytes) {
          if (!flush()) return
        } else if (!isFlushDue) {
          isFlushDue = true
          setImmediate(flush)
        }
      }
    } catch (error) {
      onError(error)
      flush()
      stream.destroy(error as Error)
    } finally {
      isPumping = false
    }
  }

  const stream: Readable = new Readable({
    highWaterMark: chunkBytes,
    read() {
      if (!isPumping) void pump()
    },
    destroy(error, done) {
      // A generator that waits ends when its wait does: nothing to wait for here.
      Promise.resolve(iterator.return?.()).catch(() => {})
      done(error)
    },
  })
  return stream
}

export default fp(ndjson, { name: 'ndjson', dependencies: ['problem-json', 'json-body', 'graceful-close'] })
