// Sends requests as bytes of our own and reads the answers: no client library would send what is sent here.

import { connect, type Socket } from 'node:net'

export interface WireRequest {
  readonly method: string
  /** As it stands in the request line. */
  readonly target: string
  /** In order, repeated ones too; one character is one byte. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: Buffer | null
  /** Sent in chunks, so that its length is not announced. */
  readonly isChunked?: boolean
}

export interface WireAnswer {
  readonly status: number
  /** By lower-case name; of repeated ones the last. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly tookMs: number
}

/** What is read of a stream that may never end. */
const streamEventsRead = 1

const chunkBytes = 1000

const toChunks = (body: Buffer): Buffer[] => {
  const count = Math.ceil(body.length / chunkBytes)
  const chunks = Array.from({ length: count }, (_, index) => body.subarray(index * chunkBytes, (index + 1) * chunkBytes))
  return [
    ...chunks.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from('\r\n')]),
    Buffer.from('0\r\n\r\n'),
  ]
}

const toBytes = ({ method, target, headers, body, isChunked }: WireRequest): Buffer => {
  const framing = body === null ? [] : [isChunked ? 'Transfer-Encoding: chunked' : `Content-Length: ${body.length}`]
  const head = [`${method} ${target} HTTP/1.1`, ...headers.map(([name, value]) => `${name}: ${value}`), ...framing, '', ''].join('\r\n')
  const parts = body === null ? [] : isChunked ? toChunks(body) : [body]
  return Buffer.concat([Buffer.from(head, 'latin1'), ...parts])
}

const headEnd = Buffer.from('\r\n\r\n')

interface Head {
  readonly status: number
  readonly headers: Record<string, string>
  /** Where the body begins. */
  readonly end: number
}

const readHead = (bytes: Buffer): Head | null => {
  const end = bytes.indexOf(headEnd)
  if (end === -1) return null
  const [first = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n')
  const status = Number(/^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1])
  if (Number.isNaN(status)) throw new Error(`this is no answer: ${first.slice(0, 200)}`)
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      if (colon < 1) throw new Error(`this is no header: ${line.slice(0, 200)}`)
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
  return { status, headers, end: end + headEnd.length }
}

/** The decoded body, and whether it is whole. */
const readChunks = (bytes: Buffer): { body: Buffer; isWhole: boolean } => {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd === -1) return { body: Buffer.concat(parts), isWhole: false }
    const text = bytes.toString('latin1', at, lineEnd)
    if (!/^[0-9a-f]+$/i.test(text)) throw new Error(`this is no chunk size: ${text.slice(0, 40)}`)
    const size = Number.parseInt(text, 16)
    const start = lineEnd + 2
    if (size === 0) return { body: Buffer.concat(parts), isWhole: bytes.length >= start + 2 }
    if (bytes.length < start + size + 2) return { body: Buffer.concat([...parts, bytes.subarray(start)]), isWhole: false }
    parts.push(bytes.subarray(start, start + size))
    at = start + size + 2
  }
}

const readBody = (head: Head, bytes: Buffer, method: string): { body: Buffer; isWhole: boolean } => {
  const { status, headers } = head
  if (method === 'HEAD' || status === 204 || status === 304) return { body: Buffer.alloc(0), isWhole: true }
  if (headers['transfer-encoding'] === 'chunked') return readChunks(bytes)
  const length = headers['content-length']
  if (length === undefined) throw new Error(`an answer ${status} of no known length`)
  return { body: bytes.subarray(0, Number(length)), isWhole: bytes.length >= Number(length) }
}

const countEvents = (body: Buffer): number => body.toString('latin1').split('\ndata: ').length - 1

/** One connection, used for one request after the other and opened again when the server has closed it. */
export const openLane = (port: number) => {
  let socket: Socket | null = null
  /** Requests that were answered on the present connection. */
  let served = 0

  const drop = () => {
    socket?.destroy()
    socket = null
    served = 0
  }

  const exchange = (request: WireRequest, deadlineMs: number): Promise<WireAnswer | null> =>
    new Promise((resolve, reject) => {
      const isReused = served > 0
      const open = socket ?? connect({ port, host: '127.0.0.1', noDelay: true })
      socket = open
      const started = performance.now()
      let received: Buffer = Buffer.alloc(0)
      let head: Head | null = null

      const finish = (act: () => void) => {
        clearTimeout(timer)
        for (const name of ['data', 'close', 'error']) open.removeAllListeners(name)
        // What comes late is nobody's.
        open.on('error', () => {})
        open.on('close', () => {
          if (socket === open) drop()
        })
        act()
      }
      const fail = (message: string) =>
        finish(() => {
          drop()
          reject(new Error(message))
        })
      const timer = setTimeout(
        () => fail(`no complete answer within ${deadlineMs} ms; received: ${received.toString('latin1', 0, 500)}`),
        deadlineMs,
      )

      const succeed = ({ status, headers }: Head, body: Buffer, isOver: boolean) =>
        finish(() => {
          served++
          if (isOver || headers['connection'] === 'close') drop()
          resolve({ status, headers, body: body.toString('utf8'), tookMs: performance.now() - started })
        })

      const look = () => {
        head ??= readHead(received)
        while (head && head.status >= 100 && head.status < 200) {
          received = received.subarray(head.end)
          head = readHead(received)
        }
        if (!head) return
        const { body, isWhole } = readBody(head, received.subarray(head.end), request.method)
        const isStream = head.headers['content-type']?.startsWith('text/event-stream') === true
        if (isWhole) succeed(head, body, false)
        else if (isStream && countEvents(body) >= streamEventsRead) succeed(head, body, true)
      }

      open.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        try {
          look()
        } catch (error) {
          fail((error as Error).message)
        }
      })
      open.on('error', () => {})
      open.on('close', () => {
        if (received.length > 0) return fail(`the answer ended early: ${received.toString('latin1', 0, 500)}`)
        // An idle connection may end at any time.
        if (isReused) {
          finish(() => {
            drop()
            resolve(null)
          })
        } else fail('the connection was closed without an answer')
      })
      open.write(toBytes(request))
    })

  return {
    /** Rejects when no complete answer came in time. */
    async send(request: WireRequest, deadlineMs: number): Promise<WireAnswer> {
      const answer = (await exchange(request, deadlineMs)) ?? (await exchange(request, deadlineMs))
      if (!answer) throw new Error('the connection was closed without an answer')
      return answer
    },
    close: drop,
  }
}

export type Lane = ReturnType<typeof openLane>

/** A word of a shell, whatever it holds. */
const quote = (text: string): string =>
  /^[\x20-\x26\x28-\x7e]*$/.test(text)
    ? `'${text}'`
    : `$'${text.replace(/[^\x20-\x7e]|['\\]/g, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`)}'`

/** What curl adds by itself and must not. */
const ownHeaders = ['accept', 'content-type', 'user-agent', 'expect']

/** A command that sends the same request. */
export const toCurl = (request: WireRequest, origin: string): string => {
  const { method, target, headers, body, isChunked } = request
  const names = new Set(headers.map(([name]) => name.toLowerCase()))
  const options = [
    ...headers.map(([name, value]) => (value === '' ? `${name};` : `${name}: ${value}`)),
    ...ownHeaders.filter((name) => !names.has(name)).map((name) => `${name}:`),
    ...(isChunked ? ['Transfer-Encoding: chunked'] : []),
  ].map((header) => `-H ${quote(header)}`)
  const verb = method === 'HEAD' ? '--head' : `-X ${quote(method)}`
  const curl = ['curl -sSi --http1.1 --path-as-is -g -m 30', verb, quote(`${origin}${target}`), ...options].join(' ')
  if (body === null) return curl
  const text = body.toString('latin1')
  if (body.length < 2000 && /^[\x20-\x7e]*$/.test(text)) return `${curl} --data-binary ${quote(text)}`
  return `base64 -d <<< ${body.toString('base64')} | ${curl} --data-binary @-`
}
