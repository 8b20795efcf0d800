// Bounds what one connection may have in work, and ends what is left of it when it closes. HTTP/1.1 only.

import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { ProblemDetails } from '../problems/problem-types.js'
import { toRawProblem } from '../problems/raw-problem.js'
import { destroyLater, discardInput, endConnection } from './end-connection.js'

/**
 * Requests of one connection that are handled at once, and that are begun in one turn of the event loop: of those that are answered
 * at once, none is being handled any more when the next one comes. Clients that do not pipeline have one.
 */
const inFlightMax = 8
/** Requests of one connection that may wait behind those: Node parses all of a chunk, and cannot be stopped within it. */
const waitingMax = 100

type Handler = (request: IncomingMessage, response: ServerResponse) => void

/** What one connection has behind its first request. Present only on connections that have pipelined. */
interface Queue {
  /** Being handled, in order; their turn to be sent has not come, or has just come. */
  readonly started: ServerResponse[]
  readonly waiting: [IncomingMessage, ServerResponse][]
  /** One of those that wait is about to be started. */
  isAdvancing: boolean
  /** Once it has had too many waiting, nothing more is taken from the connection. */
  isCut: boolean
}

const tooMany: ProblemDetails = {
  problem: 'quota-exceeded',
  detail: `Too many requests are waiting on this connection: at most ${inFlightMax} can be in progress and ${waitingMax} waiting. This request and those after it were not handled; retry them, fewer at a time.`,
  retryAfterSeconds: 1,
}

const queueKey = Symbol('queue')
const burstKey = Symbol('burst')
/** Requests of one connection in the turn in which it last had one. */
interface Burst {
  turn: number
  count: number
}
type Pipelined = Socket & { [queueKey]?: Queue; [burstKey]?: Burst }

/** Turns of the event loop in which there were requests. */
let turns = 0
let isCounting = false
const endTurn = () => {
  turns++
  isCounting = false
}

/** Whether the connection has had its share of this turn; counts one request more. */
const exceedsBurst = (socket: Pipelined): boolean => {
  if (!isCounting) setImmediate(endTurn)
  isCounting = true
  const burst = socket[burstKey]
  if (burst === undefined) socket[burstKey] = { turn: turns, count: 1 }
  else if (burst.turn === turns) burst.count++
  else {
    burst.turn = turns
    burst.count = 1
  }
  return burst !== undefined && burst.count > inFlightMax
}

/**
 * Takes the place of the one listener for requests that `server` has. `onCut` is told of each connection that is closed
 * because too many requests waited on it; those in work have 2 s to be answered.
 *
 * When a connection closes, Node tells the response whose turn it is, and none behind it (Node 20): their files, streams and
 * waits would stay open as long as the process runs. Here all of them get their `close`.
 */
export const boundPipelining = (server: Server, onCut: (socket: Socket) => void): void => {
  const [handle] = server.listeners('request') as [Handler]
  server.off('request', handle)
  server.on('request', (request, response) => {
    // Node gives the connection to the response whose turn it is: without pipelining, to every one at once.
    const isBurst = exceedsBurst(request.socket)
    if (isBurst || response.socket === null) enqueue(handle, request, response, isBurst, onCut)
    else handle(request, response)
  })
}

/** Whether a connection is about to be closed because too many requests waited on it. */
export const isCut = (socket: Socket): boolean => (socket as Pipelined)[queueKey]?.isCut === true

/** The last response that a connection still owes; null when it owes none. */
export const lastPending = (socket: Socket): ServerResponse | null => {
  const queue = (socket as Pipelined)[queueKey]
  const last = queue?.waiting.at(-1)?.[1] ?? queue?.started.at(-1)
  return last ?? (socket as { _httpMessage?: ServerResponse | null })._httpMessage ?? null
}

const enqueue = (
  handle: Handler,
  request: IncomingMessage,
  response: ServerResponse,
  isBurst: boolean,
  onCut: (socket: Socket) => void,
): void => {
  const socket = request.socket as Pipelined
  const queue = socket[queueKey] ?? openQueue(socket)
  if (queue.isCut) return
  if (!isBurst && queue.waiting.length === 0 && hasRoom(queue)) start(queue, handle, request, response)
  else if (queue.waiting.length === waitingMax) cut(socket, queue, onCut)
  else {
    queue.waiting.push([request, response])
    if (hasRoom(queue)) advance(queue, handle)
  }
}

const openQueue = (socket: Pipelined): Queue => {
  const queue: Queue = { started: [], waiting: [], isAdvancing: false, isCut: false }
  socket[queueKey] = queue
  socket.once('close', () => {
    queue.waiting.length = 0
    for (const response of [...queue.started]) close(response)
  })
  return queue
}

/** One more is in work, or has just been answered: the first one, which is in no list. */
const hasRoom = ({ started }: Queue): boolean => started.length < inFlightMax - 1

const start = (queue: Queue, handle: Handler, request: IncomingMessage, response: ServerResponse): void => {
  queue.started.push(response)
  response.once('close', () => {
    queue.started.splice(queue.started.indexOf(response), 1)
    if (queue.isCut && queue.started.length === 0) endConnection(request.socket, toRawProblem(tooMany))
    else advance(queue, handle)
  })
  handle(request, response)
}

/** Starts what waits, one in each turn of the event loop: other connections come in between, however fast these are answered. */
const advance = (queue: Queue, handle: Handler): void => {
  if (queue.isAdvancing || queue.waiting.length === 0) return
  queue.isAdvancing = true
  setImmediate(() => {
    queue.isAdvancing = false
    const next = hasRoom(queue) ? queue.waiting.shift() : undefined
    if (!next) return
    start(queue, handle, ...next)
    advance(queue, handle)
  })
}

/** What Node does for the response whose turn it is. */
const close = (response: ServerResponse): void => {
  if (response.socket !== null) return
  Object.assign(response, { destroyed: true, _closed: true })
  response.emit('close')
}

const cut = (socket: Socket, queue: Queue, onCut: (socket: Socket) => void): void => {
  queue.isCut = true
  const dropped = new Set(queue.waiting.splice(0).map(([, response]) => response))
  stopParsing(socket)
  destroyLater(socket)
  discardInput(socket)
  onCut(socket)
  // With others in work, the last of them tells.
  if (queue.started.length > 0) return
  const end = () => endConnection(socket, toRawProblem(tooMany))
  const present = lastPending(socket)
  // It may be the turn of one that was never begun: nobody will end that.
  if (present === null || dropped.has(present)) end()
  else present.once('close', end)
}

/** There may be thousands more in the chunk that is being parsed. */
const stopParsing = (socket: Socket): void => {
  const { parser } = socket as { parser?: { onIncoming: () => number } | null }
  // No code that llhttp knows of: it gives up at the end of the next headers (Node 20 to 24).
  if (parser) parser.onIncoming = () => -1
}
