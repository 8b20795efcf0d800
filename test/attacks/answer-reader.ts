// Tells the answers on a connection apart, also many in one chunk, as strictly as a proxy in front of the gateway would.

export interface WireAnswer {
  readonly status: number
  /** Names in lower case; repeated ones joined by a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const headEnd = Buffer.from('\r\n\r\n')

/** Answers to HEAD are not understood: they announce a length that does not come. */
export const createAnswerReader = () => {
  let bytes: Buffer = Buffer.alloc(0)
  let chunks: Buffer[] = []
  let isOver = false
  const join = () => {
    if (chunks.length === 0) return
    bytes = Buffer.concat([bytes, ...chunks])
    chunks = []
  }

  return {
    add(chunk: Buffer): void {
      chunks.push(chunk)
    },
    end(): void {
      isOver = true
    },
    /** The next complete answer; null when there is none yet. Interim answers are skipped. */
    take(): WireAnswer | null {
      join()
      for (;;) {
        const end = bytes.indexOf(headEnd)
        if (end < 0) return null
        const head = readHead(bytes.toString('latin1', 0, end))
        const body = readBody(bytes.subarray(end + headEnd.length), head, isOver)
        if (!body) return null
        bytes = bytes.subarray(end + headEnd.length + body.length)
        if (head.status >= 200) return { ...head, body: body.text }
      }
    },
    remainder(): string {
      join()
      return bytes.toString('latin1')
    },
  }
}

type Head = Omit<WireAnswer, 'body'>

const readHead = (text: string): Head => {
  const [first = '', ...lines] = text.split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`
  }
  return { status: Number(/^HTTP\/1\.[01] (\d{3})/.exec(first)?.[1] ?? 0), headers }
}

/** The body at the start of `bytes` and how much of them it takes; null when it is not complete. */
const readBody = (bytes: Buffer, { status, headers }: Head, isOver: boolean): { text: string; length: number } | null => {
  if (status < 200 || status === 204 || status === 304) return { text: '', length: 0 }
  if (headers['transfer-encoding']?.includes('chunked')) return readChunks(bytes)
  const announced = headers['content-length']
  const length = announced === undefined ? (isOver ? bytes.length : Number.POSITIVE_INFINITY) : Number(announced)
  return bytes.length < length ? null : { text: bytes.toString('utf8', 0, length), length }
}

const readChunks = (bytes: Buffer): { text: string; length: number } | null => {
  const parts: Buffer[] = []
  for (let at = 0; ; ) {
    const lineEnd = bytes.indexOf('\r\n', at)
    if (lineEnd < 0) return null
    const size = Number.parseInt(bytes.toString('latin1', at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (bytes.length < next) return null
    if (size === 0) return { text: Buffer.concat(parts).toString('utf8'), length: next }
    parts.push(bytes.subarray(lineEnd + 2, lineEnd + 2 + size))
    at = next
  }
}
