// Reads the Server-Sent Events of one job, and takes the stream up again where it broke off.

import { setTimeout as pause } from 'node:timers/promises'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { type Client, type Failure, isPassing } from './client.js'

/** One event of a job. */
export interface JobEvent {
  readonly id: string
  readonly event: string
  readonly data: Readonly<Record<string, unknown>>
}

const finalEvents: ReadonlySet<string> = new Set(['completed', 'failed', 'cancelled'])
/** Attempts in a row that bring no event. */
const attemptsMax = 5
const firstPauseMs = 250

/**
 * Yields the events of a job up to its last one. `lastEventId` resumes after an event.
 * Returns null at the end of the job or of its stream, else the failure that stopped it.
 */
export async function* followEvents(client: Client, id: string, lastEventId?: string): AsyncGenerator<JobEvent, Failure | null> {
  let last = lastEventId
  for (let attempt = 1; ; attempt++) {
    const leave = new AbortController()
    try {
      const headers = { accept: 'text/event-stream', ...(last === undefined ? {} : { 'last-event-id': last }) }
      const opened = await client.open(`/v1/jobs/${encodeURIComponent(id)}/events`, headers, leave.signal)
      if (opened.kind === 'failure') {
        if (!isPassing(opened) || attempt >= attemptsMax) return opened
      } else {
        if (opened.response.status === 204 || !opened.response.body) return null
        for await (const event of readEvents(opened.response.body)) {
          attempt = 0
          last = event.id
          yield event
          if (finalEvents.has(event.event)) return null
        }
        if (attempt >= attemptsMax) return null
      }
    } finally {
      leave.abort()
    }
    await pause(firstPauseMs * 2 ** attempt)
  }
}

/** Ends with the stream, cut off or not: the caller resumes. */
async function* readEvents(body: ReadableStream<Uint8Array<ArrayBuffer>>): AsyncGenerator<JobEvent> {
  try {
    for await (const { id, event, data } of body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())) {
      // What has no id tells why the stream ends, such as a revoked key: the next attempt is refused for the same reason.
      if (id !== undefined && event !== undefined) yield { id, event, data: JSON.parse(data) }
    }
  } catch (error) {
    // The gateway went away in the middle of the stream.
    if (!(error instanceof TypeError)) throw error
  }
}
