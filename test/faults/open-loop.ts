// Submits at a fixed rate whether or not earlier submissions were answered, in a process of its own; closed loops hide what queues up.
// Usage: node --import tsx open-loop.ts '{"url","out","prefix","rate","durationMs","connections","ballast","closed"}'.
// Writes a line before and after every call to `out`, as the history does.

import { once } from 'node:events'
import { openSync, writeSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { adminKey } from '../helpers/start-probe-process.js'
import type { Call } from './checker.js'
import { toOutcome } from './history.js'

export interface OpenLoopSettings {
  readonly url: string
  /** File for the lines. */
  readonly out: string
  /** Begins every key. */
  readonly prefix: string
  /** Calls a second; left out with `closed`. */
  readonly rate?: number
  readonly durationMs: number
  /** Opened before the first call. A call that is due while all of them wait for answers is not sent, and counted as such. */
  readonly connections: number
  /** Characters that every job carries besides its label. */
  readonly ballast: number
  /** So many clients that each wait for their answer: measures what the gateway can take. */
  readonly closed?: number
}

/** No promise takes this long: who has no answer by then counts as hanging. */
const hangMs = 10_000
const tickMs = 1
const connectedAtOnce = 50

interface Pending {
  readonly key: string
  /** When it was due. */
  readonly start: number
}

interface Connection {
  readonly socket: Socket
  current: Pending | null
  answer: string
}

const run = async ({ url, out, prefix, rate = 0, durationMs, connections, ballast, closed }: OpenLoopSettings) => {
  const { hostname, port } = new URL(url)
  const file = openSync(out, 'a')
  let lines = ''
  const note = (line: object) => {
    lines += `${JSON.stringify(line)}\n`
  }
  const flush = () => {
    if (lines !== '') writeSync(file, lines)
    lines = ''
  }
  const nested = ballast > 0 ? `,"nested":${JSON.stringify(toBallast(ballast))}` : ''
  const idle: Connection[] = []
  const busy = new Set<Connection>()
  const waiting: Pending[] = []
  let settled = 0

  const settle = (connection: Connection, answer: Pick<Call, 'outcome' | 'status' | 'id' | 'fault'>) => {
    const { key, start } = connection.current as Pending
    note({ what: 'end', key, label: key, start, end: Date.now(), ...answer } satisfies Call & { what: string })
    connection.current = null
    busy.delete(connection)
    settled++
    onSettled()
  }
  let onSettled = () => {}

  const read = (connection: Connection, chunk: string) => {
    connection.answer += chunk
    const headEnd = connection.answer.indexOf('\r\n\r\n')
    if (headEnd < 0 || !connection.current) return
    const head = connection.answer.slice(0, headEnd).toLowerCase()
    const length = Number(/\ncontent-length: (\d+)/.exec(head)?.[1] ?? 0)
    if (Buffer.byteLength(connection.answer) < headEnd + 4 + length) return
    const { id = null, detail = '' } = JSON.parse(connection.answer.slice(headEnd + 4)) as { id?: string; detail?: string }
    const status = Number(head.slice(9, 12))
    connection.answer = ''
    const isBare = status === 503 && !head.includes('\nretry-after:')
    settle(connection, { outcome: toOutcome(status, detail), status, id, ...(isBare ? { fault: 'a 503 without Retry-After' } : {}) })
    if (head.includes('\nconnection: close')) connection.socket.destroy()
    else {
      idle.push(connection)
      sendNext()
    }
  }

  let opened = 0
  const open = (): Connection => {
    opened++
    const socket = connect({ host: hostname, port: Number(port), noDelay: true })
    const connection: Connection = { socket, current: null, answer: '' }
    socket.setEncoding('utf8')
    socket.on('data', (chunk) => read(connection, String(chunk)))
    socket.on('error', () => {})
    socket.on('close', () => {
      opened--
      const at = idle.indexOf(connection)
      if (at >= 0) idle.splice(at, 1)
      if (connection.current) settle(connection, { outcome: 'unknown', status: null, id: null })
      sendNext()
    })
    return connection
  }

  const send = (connection: Connection, pending: Pending) => {
    connection.current = pending
    busy.add(connection)
    const body = `{"type":"echo","data":{"label":"${pending.key}"${nested}}}`
    connection.socket.write(
      `POST /v1/jobs HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAuthorization: Bearer ${adminKey}\r\nContent-Type: application/json\r\n` +
        `Idempotency-Key: "${pending.key}"\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    )
  }

  const sendNext = () => {
    if (waiting.length > 0) flush()
    while (waiting.length > 0) {
      const connection = idle.pop() ?? (opened < connections ? open() : undefined)
      if (!connection) return
      send(connection, waiting.shift() as Pending)
    }
  }

  let sent = 0
  const submit = () => {
    const key = `${prefix}${sent++}`
    const start = Date.now()
    note({ what: 'begin', key, label: key, start })
    waiting.push({ key, start })
  }
  const expire = () => {
    const before = Date.now() - hangMs
    for (const connection of busy) {
      if ((connection.current as Pending).start > before) continue
      settle(connection, { outcome: 'unknown', status: null, id: null, fault: `no answer within ${hangMs} ms` })
      connection.socket.destroy()
    }
  }

  // A few at a time, and each answered once: to us a connection is open when the kernel has taken it, and Node takes one new
  // connection in each turn of its event loop. Those still waiting when the load begins would measure that alone.
  const greet = async (connection: Connection) => {
    connection.socket.write(`GET /livez HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`)
    await once(connection.socket, 'data')
    connection.answer = ''
    idle.push(connection)
  }
  while (opened < connections) {
    await Promise.all(Array.from({ length: Math.min(connectedAtOnce, connections - opened) }, () => greet(open())))
  }

  const from = Date.now()
  if (closed) {
    onSettled = () => {
      if (Date.now() - from < durationMs) submit()
    }
    for (let client = 0; client < closed; client++) submit()
  }
  let due = 0
  while (Date.now() - from < durationMs || settled < sent) {
    const elapsed = Math.min(Date.now() - from, durationMs)
    for (; !closed && due < Math.floor((elapsed * rate) / 1000); due++) {
      if (busy.size + waiting.length < connections) submit()
    }
    sendNext()
    expire()
    await pause(tickMs)
  }
  note({ what: 'unsent', count: closed ? 0 : due - sent })
  flush()
  process.exit(0)
}

/** Many members, as a record has: what validates, sorts and copies them has work to do. */
const toBallast = (characters: number) =>
  Object.fromEntries(Array.from({ length: Math.ceil(characters / 40) }, (_, index) => [`member${index}`, { value: `text of ${index}` }]))

await run(JSON.parse(process.argv[2] as string) as OpenLoopSettings)
