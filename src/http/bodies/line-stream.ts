// Cuts a request body into lines: bounded memory, reading only as fast as the lines are used.

import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'
import { problem } from '../problems/problem-json.js'

/** One line that is not blank. `number` counts every line from 1, blank ones too. */
export type NdjsonLine =
  | { readonly number: number; readonly text: string }
  | { readonly number: number; readonly tooLong: true }
  | { readonly number: number; readonly notUtf8: true }

export interface LineLimits {
  /** Longest line in bytes, without its end. */
  readonly lineBytesMax: number
  /** A sender that delivers next to nothing for this long is cut off. */
  readonly idleMs: number
}

const newline = 0x0a
const carriageReturn = 0x0d
/** Less than this in `idleMs` counts as nothing: one byte now and then keeps no connection. */
const progressBytes = 64
/** A line of this many times the limit ends the request: nobody is waiting for its end. */
const endlessFactor = 64

/** A request knows when all of it has arrived, though not all has been read. */
type Body = Readable & { readonly complete?: boolean }

/**
 * All lines, those of one chunk at a time. When one of `stops` fires, nothing more is read, unless the whole body is there already.
 * Throws problems: request-timeout, payload-too-large, malformed-body, and once it has stopped the reason of the signal.
 */
export async function* readLines(
  body: Body,
  limits: LineLimits,
  stops: readonly AbortSignal[] = [],
): AsyncGenerator<NdjsonLine[], void, undefined> {
  const splitter = createSplitter(limits.lineBytesMax)
  for await (const chunk of readChunks(body, limits.idleMs, stops)) {
    const lines = splitter.add(chunk)
    if (lines.length > 0) yield lines
  }
  const rest = splitter.end()
  if (rest.length > 0) yield rest
}

/** Chunks as they arrive. Nothing is read while the consumer is busy, and its time does not count as the sender's. */
async function* readChunks(body: Body, idleMs: number, stops: readonly AbortSignal[]): AsyncGenerator<Buffer, void, undefined> {
  let left = idleMs
  let progress = 0
  for (;;) {
    const stopped = stops.find(({ aborted }) => aborted)
    if (stopped && !body.complete && !body.readableEnded) throw stopped.reason
    const chunk = body.read() as Buffer | null
    if (chunk !== null) {
      progress += chunk.length
      if (progress >= progressBytes) {
        left = idleMs
        progress = 0
      }
      yield chunk
      continue
    }
    if (body.readableEnded) return
    if (body.destroyed) throw problem('malformed-body', 'The body ended before it was complete.')
    const started = performance.now()
    const isOver = await waitForMore(body, left, stops)
    left -= performance.now() - started
    if (isOver) throw problem('request-timeout', `The body paused for more than ${idleMs} ms.`, { headers: { connection: 'close' } })
  }
}

/** False when there is something to do: to read, to end or to stop; true when the time is up. */
const waitForMore = (body: Readable, timeoutMs: number, stops: readonly AbortSignal[]): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const finish = (act: () => void) => () => {
      clearTimeout(timer)
      for (const stop of stops) stop.removeEventListener('abort', onMore)
      for (const name of ['readable', 'end', 'close']) body.off(name, onMore)
      body.off('error', onError)
      act()
    }
    const onMore = finish(() => resolve(false))
    const onError = finish(() => reject(problem('malformed-body', 'The body ended before it was complete.')))
    const timer = setTimeout(
      finish(() => resolve(true)),
      Math.max(0, timeoutMs),
    )
    for (const name of ['readable', 'end', 'close']) body.on(name, onMore)
    body.on('error', onError)
    for (const stop of stops) stop.addEventListener('abort', onMore)
  })

const createSplitter = (lineBytesMax: number) => {
  let number = 0
  /** The beginning of a line whose end has not arrived. */
  let parts: Buffer[] = []
  let length = 0

  const takeLine = (bytes: Buffer): NdjsonLine | null => {
    number++
    const end = bytes.at(-1) === carriageReturn ? bytes.length - 1 : bytes.length
    if (end > lineBytesMax) return { number, tooLong: true }
    const line = bytes.subarray(0, end)
    if (!isUtf8(line)) return { number, notUtf8: true }
    return toLine(line.toString('utf8'), number)
  }

  const takePartial = (last: Buffer): NdjsonLine | null => {
    const bytes = length + last.length
    // Of a line that is too long only its length is kept.
    if (bytes > lineBytesMax + 1) {
      number++
      parts = []
      length = 0
      return { number, tooLong: true }
    }
    const line = takeLine(parts.length === 0 ? last : Buffer.concat([...parts, last], bytes))
    parts = []
    length = 0
    return line
  }

  const keep = (rest: Buffer): void => {
    if (rest.length === 0) return
    length += rest.length
    if (length <= lineBytesMax + 1) parts.push(rest)
    else parts = []
    if (length > lineBytesMax * endlessFactor) {
      throw problem('payload-too-large', `Line ${number + 1} is too long. A line can have at most ${lineBytesMax} bytes.`, {
        headers: { connection: 'close' },
      })
    }
  }

  return {
    add(chunk: Buffer): NdjsonLine[] {
      const first = chunk.indexOf(newline)
      if (first === -1) {
        keep(chunk)
        return []
      }
      const lines: NdjsonLine[] = []
      const opened = takePartial(chunk.subarray(0, first))
      if (opened) lines.push(opened)
      const last = chunk.lastIndexOf(newline)
      if (last > first) takeBlock(chunk.subarray(first + 1, last), lines)
      keep(chunk.subarray(last + 1))
      return lines
    },

    end(): NdjsonLine[] {
      if (length === 0) return []
      const line = takePartial(Buffer.alloc(0))
      return line ? [line] : []
    },
  }

  /** Whole lines: decoded in one go, which is several times faster than one by one. */
  function takeBlock(block: Buffer, lines: NdjsonLine[]): void {
    if (!isUtf8(block)) {
      let start = 0
      while (start <= block.length) {
        const found = block.indexOf(newline, start)
        const end = found === -1 ? block.length : found
        const line = takeLine(block.subarray(start, end))
        if (line) lines.push(line)
        start = end + 1
      }
      return
    }
    for (const part of block.toString('utf8').split('\n')) {
      number++
      const text = part.endsWith('\r') ? part.slice(0, -1) : part
      // A character takes three bytes of UTF-8 at most for each unit of length.
      const isTooLong = text.length * 3 > lineBytesMax && Buffer.byteLength(text) > lineBytesMax
      const line = isTooLong ? ({ number, tooLong: true } as const) : toLine(text, number)
      if (line) lines.push(line)
    }
  }
}

const toLine = (decoded: string, number: number): NdjsonLine | null => {
  const text = number === 1 && decoded.startsWith('\ufeff') ? decoded.slice(1) : decoded
  return text.trim() === '' ? null : { number, text }
}
