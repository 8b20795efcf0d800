// Sends the beginning of a request at once and the rest byte by byte, until the server has had enough.

import type { Wire } from './wire.js'

const everyMs = 400

export interface SlowEnd {
  /** Whether the server ended the connection in time. */
  readonly ended: boolean
  readonly tookMs: number
  /** Of what it answered; null without an answer. */
  readonly status: number | null
}

/** `rest` goes on for as long as it takes, over and over; an empty one stays silent. */
export const sendSlowly = async (wire: Wire, begin: string, rest: string, deadlineMs: number): Promise<SlowEnd> => {
  const start = Date.now()
  wire.send(begin)
  let at = 0
  const timer = setInterval(() => {
    if (rest !== '') wire.send(rest[at++ % rest.length] as string)
  }, everyMs)
  const ended = await wire.ended(deadlineMs)
  clearInterval(timer)
  const tookMs = Date.now() - start
  const answer = await wire.next(1)
  wire.close()
  return { ended, tookMs, status: answer?.status ?? null }
}
