// What the fuzzer sends and reads by hand.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { openLane, toCurl, type WireRequest } from './wire.js'

const request: WireRequest = { method: 'POST', target: '/a?b=%zz', headers: [['X-Odd', 'a\u0001ü']], body: Buffer.from('{"a":1}') }
const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

/** Answers each connection with what `answer` says of the requests on it so far. */
const startServer = async (t: Test, answer: (received: string, socket: Socket) => void) => {
  const server = createServer((socket) => {
    let received = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      answer(received, socket)
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const lane = openLane((server.address() as AddressInfo).port)
  t.after(() => {
    lane.close()
    server.close()
  })
  return lane
}

const patientMs = 60_000

t.test('bytes are sent as they are, with or without a length', async (t) => {
  const seen: string[] = []
  const lane = await startServer(t, (received, socket) => {
    seen.push(received)
    socket.write(ok)
  })
  t.match(await lane.send(request, patientMs), { status: 200, body: 'ok' })
  t.equal(seen[0], 'POST /a?b=%zz HTTP/1.1\r\nX-Odd: a\u0001ü\r\nContent-Length: 7\r\n\r\n{"a":1}')
  await lane.send({ ...request, isChunked: true }, patientMs)
  t.match(seen[1], '\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"a":1}\r\n0\r\n\r\n', 'on the same connection')
})

t.test('answers in chunks, after interim ones, and of streams that go on', async (t) => {
  const parts = [
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 207 Multi\r\nTransfer-Enc',
    'oding: chunked\r\nA: 1\r\nA: 2\r\n\r\n3\r\nabc\r\n',
    '2\r\nde\r\n0\r\n\r\n',
  ]
  const chunked = await startServer(t, async (_received, socket) => {
    for (const part of parts) await new Promise<void>((resolve) => socket.write(part, () => resolve()))
  })
  t.match(await chunked.send(request, patientMs), { status: 207, body: 'abcde', headers: { a: '2' } })
  const stream = await startServer(t, (_received, socket) => {
    const event = 'event: waiting\ndata: {}\n\n'
    socket.write(
      `HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n${event.length.toString(16)}\r\n${event}\r\n`,
    )
  })
  t.match(await stream.send(request, patientMs), { status: 200, body: 'event: waiting\ndata: {}\n\n' })
})

t.test('a connection that ended while it was idle is opened again; one that ends without an answer is a fault', async (t) => {
  let connections = 0
  const lane = await startServer(t, (_received, socket) => {
    connections++
    socket.end(ok)
  })
  for (let count = 1; count <= 3; count++) t.equal((await lane.send(request, patientMs)).status, 200)
  t.ok(connections >= 3)
  const rude = await startServer(t, (_received, socket) => socket.destroy())
  await t.rejects(rude.send(request, patientMs), { message: /without an answer/ })
  const half = await startServer(t, (_received, socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'))
  await t.rejects(half.send(request, patientMs), { message: /ended early/ })
  const silent = await startServer(t, () => {})
  await t.rejects(silent.send(request, 1), { message: /no complete answer within 1 ms/ })
})

t.test('a command of a shell says the same', async (t) => {
  t.equal(
    toCurl(request, 'http://h'),
    `curl -sSi --http1.1 --path-as-is -g -m 30 -X 'POST' 'http://h/a?b=%zz' -H $'X-Odd: a\\x01\\xfc' -H 'accept:' -H 'content-type:' -H 'user-agent:' -H 'expect:' --data-binary '{"a":1}'`,
  )
  const binary = toCurl({ ...request, method: 'HEAD', headers: [['Accept', '']], body: Buffer.from([0, 255]) }, 'http://h')
  t.match(binary, /^base64 -d <<< AP8= \| curl .* --head .* -H 'Accept;' .* --data-binary @-$/)
})
