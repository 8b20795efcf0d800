import { request as httpRequest } from 'node:http'
import { Readable } from 'node:stream'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { type NdjsonLine, readLines } from '../../src/http/bodies/line-stream.js'
import ndjson, { isNdjson } from '../../src/http/bodies/ndjson.js'
import gracefulClose from '../../src/http/graceful-close.js'
import { problem, problemDetailsOf } from '../../src/http/problems/problem-json.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

const limits = { lineBytesMax: 1024, idleMs: 5000 }
const type = { 'content-type': 'application/x-ndjson' }

const linesOf = async (chunks: (string | Buffer)[], lineBytesMax = limits.lineBytesMax): Promise<NdjsonLine[]> => {
  const found: NdjsonLine[] = []
  const body = Readable.from(
    chunks.map((chunk) => Buffer.from(chunk as string)),
    { objectMode: false },
  )
  for await (const lines of readLines(body, { ...limits, lineBytesMax })) found.push(...lines)
  return found
}

/** An app whose route answers every line with its number, and whose lines can be held back. */
const echoApp = async (t: Test, options: { idleMs?: number; lineBytesMax?: number; before?: (line: NdjsonLine) => Promise<void> } = {}) => {
  const { app, lines } = await smallApp(t)
  await app.register(gracefulClose)
  await app.register(ndjson, { lineBytesMax: options.lineBytesMax ?? limits.lineBytesMax, idleMs: options.idleMs ?? limits.idleMs })
  const seen = { count: 0, ended: false }
  app.post('/echo', async (request, reply) => {
    if (!isNdjson(request)) throw problem('unsupported-media-type', 'Send NDJSON.')
    const { body } = request
    const results = async function* () {
      try {
        for await (const line of body) {
          await options.before?.(line)
          seen.count++
          yield 'text' in line ? { number: line.number, length: line.text.length } : line
        }
      } finally {
        seen.ended = true
      }
    }
    return reply.code(207).ndjson(results())
  })
  app.post('/refuse', async () => {
    throw problem('forbidden', 'No.')
  })
  return { app, lines, seen }
}

t.test('BAT-3 lines are found wherever chunks are cut, blank ones skipped but counted', async (t) => {
  const lineBytesMax = 20
  const alphabet = fc.constantFrom('a', 'ü', '😀', ' ', '\r', '"')
  const line = fc.string({ unit: alphabet, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(
      fc.array(line, { maxLength: 12 }),
      fc.constantFrom('\n', '\r\n'),
      fc.boolean(),
      fc.array(fc.nat(60), { maxLength: 8 }),
      async (texts, end, isClosed, cuts) => {
        const bytes = Buffer.from(texts.join(end) + (isClosed ? end : ''))
        const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
        const chunks = edges
          .slice(1)
          .map((edge, index) => bytes.subarray(edges[index], edge))
          .filter((chunk) => chunk.length > 0)
        const expected = bytes
          .toString()
          .split('\n')
          .map((text, index) => ({ number: index + 1, text: text.endsWith('\r') ? text.slice(0, -1) : text }))
          .filter(({ text }) => Buffer.byteLength(text) > lineBytesMax || text.trim() !== '')
          .map((each) => (Buffer.byteLength(each.text) > lineBytesMax ? { number: each.number, tooLong: true } : each))
        t.strictSame(await linesOf(chunks, lineBytesMax), expected)
      },
    ),
    { numRuns: 150 },
  )
})

t.test('BAT-3 lines that are too long or not UTF-8 do not spoil others', async (t) => {
  t.same(await linesOf(['a\n', 'x'.repeat(5000), '\nb']), [
    { number: 1, text: 'a' },
    { number: 2, tooLong: true },
    { number: 3, text: 'b' },
  ])
  t.same(await linesOf([Buffer.from([0x61, 0x0a, 0x62, 0x0a, 0xff, 0x0a, 0x63, 0x0a])]), [
    { number: 1, text: 'a' },
    { number: 2, text: 'b' },
    { number: 3, notUtf8: true },
    { number: 4, text: 'c' },
  ])
  t.same(
    await linesOf(['\ufeff{}\n\ufeff{}']),
    [
      { number: 1, text: '{}' },
      { number: 2, text: '\ufeff{}' },
    ],
    'a byte order mark may open the body only',
  )
  t.same(await linesOf([]), [])
})

t.test('BAT-1 a line without end is 413, in bounded memory', async (t) => {
  let sent = 0
  const endless = new Readable({
    read() {
      sent++
      this.push(Buffer.alloc(16_384, 0x61))
    },
  })
  const consume = async () => {
    for await (const _ of readLines(endless, limits)) t.fail('no line')
  }
  const error = await consume().then(
    () => null,
    (thrown: unknown) => thrown,
  )
  t.equal(problemDetailsOf(error)?.problem, 'payload-too-large')
  t.ok(sent < 20)
})

t.test('SHD-1 once stopped, lines that have come are given, a line without its end is not', async (t) => {
  const stop = new AbortController()
  const body = new Readable({ read: () => {} })
  const lines = readLines(body, limits, [new AbortController().signal, stop.signal])
  body.push('a\nb\nbegun')
  t.same((await lines.next()).value, [
    { number: 1, text: 'a' },
    { number: 2, text: 'b' },
  ])
  const next = lines.next()
  await new Promise((resolve) => setImmediate(resolve))
  stop.abort(problem('shutting-down', 'Stop.'))
  const error = await next.then(
    () => null,
    (thrown: unknown) => thrown,
  )
  t.equal(problemDetailsOf(error)?.problem, 'shutting-down')
  t.equal(body.listenerCount('readable'), 0)

  const whole = Object.assign(Readable.from([Buffer.from('a\nb')], { objectMode: false }), { complete: true })
  const found: NdjsonLine[] = []
  for await (const some of readLines(whole, limits, [stop.signal])) found.push(...some)
  t.same(
    found.map(({ number }) => number),
    [1, 2],
    'a body that is there as a whole is read to its end',
  )
})

t.test('NEG only routes in its scope read NDJSON', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  await app.register(async (scope) => {
    await scope.register(ndjson, limits)
    scope.post('/inside', async (request) => ({ isNdjson: isNdjson(request) }))
  })
  app.post('/outside', async () => 'read')
  const post = (url: string) => app.inject({ method: 'POST', url, headers: type, payload: '{}' })
  t.same((await post('/inside')).json(), { isNdjson: true })
  const refused = await post('/outside')
  t.equal(refused.statusCode, 415)
  t.match(refused.json(), { type: '/problems/unsupported-media-type' })
})

t.test('BAT-3 NDJSON in, NDJSON out', async (t) => {
  const { app } = await echoApp(t)
  const answer = await app.inject({ method: 'POST', url: '/echo', headers: type, payload: '{"a":1}\r\n\r\n[1]' })
  t.equal(answer.statusCode, 207)
  t.equal(answer.headers['content-type'], 'application/x-ndjson; charset=utf-8'.split(';')[0])
  t.equal(answer.body, '{"number":1,"length":7}\n{"number":3,"length":3}\n')
  const coded = await app.inject({ method: 'POST', url: '/echo', headers: { ...type, 'content-encoding': 'gzip' }, payload: 'x' })
  t.equal(coded.statusCode, 415)
  t.equal(
    (await app.inject({ method: 'POST', url: '/echo', headers: { 'content-type': 'application/json' }, payload: '{}' })).statusCode,
    415,
  )
})

t.test('BAT-3 results leave while lines still arrive', async (t) => {
  const { app } = await echoApp(t)
  const { port } = await listen(app)
  const request = httpRequest({ port, method: 'POST', path: '/echo', headers: type })
  request.write('{"first":1}\n')
  const response = await new Promise<import('node:http').IncomingMessage>((resolve) => request.once('response', resolve))
  const chunks = response[Symbol.asyncIterator]()
  t.equal(String((await chunks.next()).value), '{"number":1,"length":11}\n')
  request.end('{"second":2}\n')
  t.equal(String((await chunks.next()).value), '{"number":2,"length":12}\n')
  t.equal((await chunks.next()).done, true)
})

t.test('BAT-1 reading pauses while the consumer is busy', async (t) => {
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  let reached = () => {}
  const first = new Promise<void>((resolve) => {
    reached = resolve
  })
  const before = async () => {
    reached()
    await released
  }
  const { app } = await echoApp(t, { before })
  const { port } = await listen(app)
  const request = httpRequest({ port, method: 'POST', path: '/echo', headers: type })
  const answered = new Promise<number>((resolve) => {
    request.once('response', async (response) => {
      let count = 0
      for await (const chunk of response) count += String(chunk).split('\n').length - 1
      resolve(count)
    })
  })
  const line = `${'x'.repeat(999)}\n`
  let written = 1000
  request.write(line)
  await first
  // Far beyond what sockets on both sides hold: the writer is made to wait long before that.
  while (written < 64_000_000 && request.write(line.repeat(1000))) written += 1_000_000
  const isHeldBack = !request.write(line) || request.writableLength > 0
  t.ok(isHeldBack, `${written} bytes written`)
  t.ok(written < 64_000_000)
  request.end()
  release()
  t.ok((await answered) > 1000)
})

t.test('BAT-1 a body that pauses too long is 408, also when it drips', async (t) => {
  const { app } = await echoApp(t, { idleMs: 150 })
  const { port } = await listen(app)
  for (const rest of ['', ' ']) {
    const { socket, answer } = rawConnection(port)
    socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
    const drip = setInterval(() => rest !== '' && socket.write(`1\r\n${rest}\r\n`), 20)
    t.teardown(() => clearInterval(drip))
    const got = readAnswer(await answer)
    clearInterval(drip)
    t.equal(got.status, 408)
    t.match(JSON.parse(got.body), { type: '/problems/request-timeout' })
  }
})

t.test('BAT-1 a refusal in the middle of an import closes the connection', async (t) => {
  const { app } = await echoApp(t)
  const { port } = await listen(app)
  const { socket, answer } = rawConnection(port)
  socket.write('POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n')
  const got = readAnswer(await answer)
  t.equal(got.status, 403)
  t.equal(got.headers['connection'], 'close')
})

t.test('BAT-1 the source ends when the client leaves, and nothing crashes', async (t) => {
  const { app, seen, lines } = await echoApp(t)
  const { port } = await listen(app)
  const { socket } = rawConnection(port)
  socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n')
  await new Promise<void>((resolve) => socket.once('data', () => resolve()))
  socket.destroy()
  while (!seen.ended) await new Promise((resolve) => setImmediate(resolve))
  t.equal(seen.count, 1)
  t.notOk(lines.some(({ level }) => level === 'error' || level === 'fatal'))
})

t.test('a source that throws is a problem before its first value, a broken answer later', async (t) => {
  const { app, lines } = await smallApp(t)
  await app.register(gracefulClose)
  await app.register(ndjson, limits)
  app.get('/:count', async (request, reply) => {
    const count = Number((request.params as { count: string }).count)
    const values = async function* () {
      for (let index = 0; index < count; index++) yield index
      await new Promise((resolve) => setImmediate(() => setImmediate(resolve)))
      throw problem('redis-unavailable', 'Gone.')
    }
    return reply.code(207).ndjson(values())
  })
  const { origin } = await listen(app)
  const early = await fetch(`${origin}/0`)
  t.equal(early.status, 503)
  t.match(await early.json(), { type: '/problems/redis-unavailable' })
  const late = await fetch(`${origin}/2`)
  t.equal(late.status, 207)
  await t.rejects(late.text(), 'the client can tell that it is not complete')
  t.equal(lines.filter(({ msg }) => msg === 'NDJSON response was cut off').length, 1)
})
