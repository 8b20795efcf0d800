// Every form of request smuggling that we know of, as bytes.

/** What the answer to the request that is hidden would carry. */
export const hiddenId = 'hidden-request'
/** Well-formed, and the end of the connection: who answers it has read everything before it. */
export const lastRequest = 'GET /livez HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n'

export interface AmbiguousRequest {
  readonly name: string
  /** `key` is a good one: what is hidden would be let in. */
  bytes(key: string): string
  /**
   * `closed`: one refusal, and the end of the connection. `refused`: a refusal first, and what follows is read as it should be, or not at
   * all. `once`: at most one answer. Or exactly these statuses.
   */
  readonly expected: 'closed' | 'refused' | 'once' | readonly number[]
}

const hidden = (key: string) =>
  `GET /v1/jobs HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nX-Request-Id: ${hiddenId}\r\n\r\n`

const post = (key: string, headers: string, body: string, line = 'POST /v1/jobs HTTP/1.1') =>
  `${line}\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/json\r\n${headers}\r\n${body}`

/** A body that a reader of chunks ends at once, and a reader of lengths after the hidden request. */
const chunksFirst = (key: string) => `0\r\n\r\n${hidden(key)}`
const lengthOf = (text: string) => `Content-Length: ${Buffer.byteLength(text)}\r\n`

/** Lengths and codings that contradict each other or are none: with the hidden request behind the end of the chunks. */
const codings: readonly (readonly [string, (length: string) => string])[] = [
  ['CL.TE', (length) => `${length}Transfer-Encoding: chunked\r\n`],
  ['TE.CL', (length) => `Transfer-Encoding: chunked\r\n${length}`],
  ['TE identity', (length) => `${length}Transfer-Encoding: identity\r\n`],
  ['TE unknown', (length) => `${length}Transfer-Encoding: xchunked\r\n`],
  ['TE chunked, identity', (length) => `${length}Transfer-Encoding: chunked, identity\r\n`],
  ['TE identity, chunked', (length) => `${length}Transfer-Encoding: identity, chunked\r\n`],
  ['TE chunked twice', (length) => `${length}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n`],
  ['TE chunked and cow', (length) => `${length}Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n`],
  ['TE with a space before the colon', (length) => `${length}Transfer-Encoding : chunked\r\n`],
  ['TE with a tab before the colon', (length) => `${length}Transfer-Encoding\t: chunked\r\n`],
  ['TE with a vertical tab', (length) => `${length}Transfer-Encoding: \x0bchunked\r\n`],
  ['TE quoted', (length) => `${length}Transfer-Encoding: "chunked"\r\n`],
  ['TE folded', (length) => `${length}Transfer-Encoding:\r\n chunked\r\n`],
  ['TE behind a bare LF', (length) => `${length}X: y\nTransfer-Encoding: chunked\r\n`],
  ['TE behind a bare CR', (length) => `${length}X: y\rTransfer-Encoding: chunked\r\n`],
  ['TE behind NUL', (length) => `${length}X: y\0Transfer-Encoding: chunked\r\n`],
  ['TE in a name with a space', (length) => `${length}X Transfer-Encoding: chunked\r\n`],
]

const lengths = ['+5', '-5', '0x5', '5,5', '5 5', '5, 6', '5.0', '5e0', '', 'five', '5\0', '\x0b5', '18446744073709551621', '٥']

const chunks: readonly (readonly [string, string])[] = [
  ['chunk size with a sign', '+2\r\n{}\r\n0\r\n\r\n'],
  ['chunk size below zero', '-2\r\n{}\r\n0\r\n\r\n'],
  ['chunk size with 0x', '0x2\r\n{}\r\n0\r\n\r\n'],
  ['chunk size with an underscore', '0_2\r\n{}\r\n0\r\n\r\n'],
  ['chunk size without digits', '\r\n{}\r\n0\r\n\r\n'],
  ['chunk size of 64 bits and more', 'FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n'],
  ['chunk size behind a space', ' 2\r\n{}\r\n0\r\n\r\n'],
  ['chunk size behind a bare LF', '2\n{}\r\n0\r\n\r\n'],
  ['chunk extension with a bare LF', '2;a=b\n{}\r\n0\r\n\r\n'],
  ['chunk extension with a bare CR', '2;a\rb\r\n{}\r\n0\r\n\r\n'],
  ['chunk extensions without end', `2;${'a=b;'.repeat(8000)}\r\n{}\r\n0\r\n\r\n`],
  ['chunk data without its end', '2\r\n{}0\r\n\r\n'],
  ['chunk data longer than said', '2\r\n{} \r\n0\r\n\r\n'],
]

/** Read without trouble, and refused for what they say. */
const hosts: readonly (readonly [string, string])[] = [
  ['two Hosts', 'GET /livez HTTP/1.1\r\nHost: gateway\r\nHost: other\r\n\r\n'],
  ['two equal Hosts', 'GET /livez HTTP/1.1\r\nHost: gateway\r\nHost: gateway\r\n\r\n'],
  ['no Host', 'GET /livez HTTP/1.1\r\n\r\n'],
  ['a Host that is none', 'GET /livez HTTP/1.1\r\nHost: a b/c@d\r\n\r\n'],
]

const heads: readonly (readonly [string, string])[] = [
  ['bare LF as line ends', 'GET /livez HTTP/1.1\nHost: gateway\n\n'],
  ['a header folded', 'GET /livez HTTP/1.1\r\nHost: gateway\r\nX: a\r\n b\r\n\r\n'],
  ['a header without a colon', 'GET /livez HTTP/1.1\r\nHost: gateway\r\nnothing\r\n\r\n'],
  ['a header without a name', 'GET /livez HTTP/1.1\r\nHost: gateway\r\n: x\r\n\r\n'],
  ['a first header behind a space', 'GET /livez HTTP/1.1\r\n Host: gateway\r\n\r\n'],
  ['NUL in a header', 'GET /livez HTTP/1.1\r\nHost: gateway\r\nX: a\0b\r\n\r\n'],
  ['HTTP/1.2', 'GET /livez HTTP/1.2\r\nHost: gateway\r\n\r\n'],
  ['HTTP/2 with prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  ['a space in the address', 'GET /livez x HTTP/1.1\r\nHost: gateway\r\n\r\n'],
  ['an unknown method', 'GETT /livez HTTP/1.1\r\nHost: gateway\r\n\r\n'],
  ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['garbage', '\x00\xff\xfe\xfd'.repeat(64)],
]

export const ambiguousRequests: readonly AmbiguousRequest[] = [
  ...codings.map(([name, headers]) => ({
    name,
    bytes: (key: string) => post(key, headers(lengthOf(chunksFirst(key))), chunksFirst(key)),
    expected: 'closed' as const,
  })),
  ...lengths.map((length) => ({
    name: `CL of ${JSON.stringify(length)}`,
    bytes: (key: string) => post(key, `Content-Length: ${length}\r\n`, `12345${hidden(key)}`),
    expected: 'closed' as const,
  })),
  {
    name: 'two CL',
    bytes: (key) => post(key, 'Content-Length: 2\r\nContent-Length: 200\r\n', `{}${hidden(key)}`.padEnd(200)),
    expected: 'closed',
  },
  ...chunks.map(([name, body]) => ({
    name,
    bytes: (key: string) => post(key, 'Transfer-Encoding: chunked\r\n', `${body}`),
    // The head was read before, and may be answered on its own.
    expected: 'once' as const,
  })),
  ...heads.map(([name, bytes]) => ({ name, bytes: () => bytes, expected: 'closed' as const })),
  ...hosts.map(([name, bytes]) => ({ name, bytes: () => bytes, expected: 'refused' as const })),
  {
    name: 'a request in the body of GET',
    bytes: (key) => `GET /livez HTTP/1.1\r\nHost: gateway\r\n${lengthOf(hidden(key))}\r\n${hidden(key)}`,
    expected: [200, 200],
  },
  {
    name: 'a request in the body of a request that is refused early',
    bytes: (key) =>
      `POST /v1/jobs HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n${lengthOf(hidden(key))}\r\n${hidden(key)}`,
    expected: [401, 200],
  },
  {
    name: 'headers in trailers',
    bytes: (key) => post(key, 'Transfer-Encoding: chunked\r\n', `2\r\n{}\r\n0\r\nContent-Length: 5\r\nX-Request-Id: ${hiddenId}\r\n\r\n`),
    expected: 'refused',
  },
  {
    name: 'garbage behind a whole request',
    bytes: (key) => post(key, 'Content-Length: 2\r\n', '{}\x00\x01garbage\r\n\r\n'),
    expected: 'refused',
  },
  {
    name: 'absolute form that names another host',
    bytes: () => 'GET http://other.example/livez HTTP/1.1\r\nHost: gateway\r\n\r\n',
    expected: [200, 200],
  },
  { name: 'HTTP/0.9', bytes: () => 'GET /livez\r\n\r\n', expected: 'once' },
  {
    name: 'Upgrade to h2c',
    bytes: () =>
      'GET /livez HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n',
    expected: 'once',
  },
  {
    name: 'CONNECT',
    bytes: () => 'CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: 127.0.0.1:22\r\n\r\n',
    expected: 'once',
  },
  { name: 'TRACE', bytes: () => 'TRACE /livez HTTP/1.1\r\nHost: gateway\r\n\r\n', expected: [405, 200] },
]
