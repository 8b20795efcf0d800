// Reads Server-Sent Events as an EventSource would, one by one.

import { adminKey } from './start-probe-process.js'

/** One event. */
export interface ReadEvent {
  readonly id: string | undefined
  readonly event: string
  // biome-ignore lint/suspicious/noExplicitAny: whatever the test expects of it.
  readonly data: any
}

/** Opens the stream; `next` resolves with the next event, null once the server has ended the stream in good order. */
export const openSse = async (url: string) => {
  const answer = await fetch(url, { headers: { authorization: `Bearer ${adminKey}`, accept: 'text/event-stream' } })
  if (answer.status !== 200 || !answer.body) throw new Error(`${url} answered ${answer.status}`)
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''

  const next = async (): Promise<ReadEvent | null> => {
    for (;;) {
      const end = text.indexOf('\n\n')
      if (end !== -1) {
        const block = text.slice(0, end)
        text = text.slice(end + 2)
        const event = toEvent(block)
        if (event) return event
        continue
      }
      const { done, value } = await reader.read()
      if (done) return null
      text += value
    }
  }
  return {
    next,
    /** All events up to the end of the stream. */
    async rest(): Promise<ReadEvent[]> {
      const events: ReadEvent[] = []
      for (let event = await next(); event; event = await next()) events.push(event)
      return events
    },
  }
}

/** Comments and `retry` alone are no events. */
const toEvent = (block: string): ReadEvent | null => {
  const fields = new Map(block.split('\n').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]))
  const event = fields.get('event')
  return event === undefined ? null : { id: fields.get('id'), event, data: JSON.parse(fields.get('data') ?? 'null') }
}
