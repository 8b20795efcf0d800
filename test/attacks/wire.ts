// A connection on which anything can be written, and answers read one by one, or not at all.

import { connect, type Socket } from 'node:net'
import { createAnswerReader, type WireAnswer } from './answer-reader.js'

/** Attackers come from an address of their own, so that limits by address do not meet the good client. */
export const attackerAddress = '127.0.0.2'

export interface WireOptions {
  /** The address it comes from, in 127.0.0.0/8. */
  readonly from?: string
  /** Never reads: the kernel's buffers fill up and stay full. */
  readonly reads?: boolean
  readonly port?: number
}

const answerDeadlineMs = 30_000

/** Opens a connection to `port` of loopback. What happens to it is no error: a reset is an end like any other. */
export const openWire = (port: number, { from = attackerAddress, reads = true }: WireOptions = {}) => {
  const socket: Socket = connect({ port, host: '127.0.0.1', localAddress: from, noDelay: true })
  const reader = createAnswerReader()
  const waiting: (() => void)[] = []
  const wake = () => {
    for (const each of waiting.splice(0)) each()
  }
  let isOver = false
  let bytesRead = 0
  socket.on('error', () => socket.destroy())
  socket.on('close', () => {
    isOver = true
    reader.end()
    wake()
  })
  if (reads) {
    socket.on('data', (chunk: Buffer) => {
      bytesRead += chunk.length
      reader.add(chunk)
      wake()
    })
    socket.on('end', wake)
  }

  /** Waits for something to happen; false when nothing did before `until`. */
  const somethingHappens = (until: number): Promise<boolean> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), Math.max(0, until - Date.now()))
      waiting.push(() => {
        clearTimeout(timer)
        resolve(true)
      })
    })

  /** The next answer; null when the connection ends without one, or the deadline passes. */
  const next = async (deadlineMs = answerDeadlineMs): Promise<WireAnswer | null> => {
    const until = Date.now() + deadlineMs
    for (;;) {
      const answer = reader.take()
      if (answer) return answer
      if (isOver || !(await somethingHappens(until))) return reader.take()
    }
  }

  return {
    socket,
    send: (bytes: string | Buffer): boolean => socket.writable && socket.write(bytes),
    next,
    /** All answers until the server has closed the connection, or until the deadline. */
    async rest(deadlineMs = answerDeadlineMs): Promise<WireAnswer[]> {
      const until = Date.now() + deadlineMs
      const answers: WireAnswer[] = []
      for (;;) {
        const answer = await next(Math.max(0, until - Date.now()))
        if (!answer) return answers
        answers.push(answer)
      }
    },
    /** Whether the server has ended the connection by then. */
    async ended(deadlineMs: number): Promise<boolean> {
      const until = Date.now() + deadlineMs
      while (!isOver) {
        if (socket.readableEnded) return true
        if (!(await somethingHappens(until))) return isOver || socket.readableEnded
      }
      return true
    },
    isOver: (): boolean => isOver,
    bytesRead: (): number => bytesRead,
    /** What came that belongs to no complete answer. */
    remainder: (): string => reader.remainder(),
    close: (): void => void socket.destroy(),
  }
}

export type Wire = ReturnType<typeof openWire>
