// A client that does not read holds what its response is made of: not for long.

import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import t, { type Test } from 'tap'
import ndjson, { isNdjson } from '../../src/http/bodies/ndjson.js'
import gracefulClose from '../../src/http/graceful-close.js'
import connections from '../../src/http/limits/connections.js'
import { createUnreadLook } from '../../src/http/limits/unread-responses.js'
import { eventually } from '../helpers/eventually.js'
import { rawConnection } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

/** A client of a server that sends without end, and what it has read. */
const openEndless = async (t: Test, unreadMs: number) => {
  const unread: Socket[] = []
  const endless = () => new Readable({ read: (_size) => {}, highWaterMark: 65_536 })
  const server = createServer((request, response) => {
    if (request.url === '/quiet') return void response.write('begun')
    const body = endless()
    body._read = () => void body.push(Buffer.alloc(65_536))
    body.pipe(response)
    response.on('close', () => body.destroy())
  })
  const look = createUnreadLook(server, unreadMs, (socket) => unread.push(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  const open = async (path: string) => {
    const accepted = once(server, 'connection') as Promise<[Socket]>
    const client = connect(port, '127.0.0.1')
    client.write(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    t.after(() => client.destroy())
    const [socket] = await accepted
    return { client, socket }
  }
  const standsStill = async (socket: Socket) => {
    let last = -1
    let still = 0
    await eventually('what the kernel holds is full', () => {
      still = socket.bytesWritten === last && socket.writableLength > 0 ? still + 1 : 0
      last = socket.bytesWritten
      return still > 20
    })
  }
  return { look, unread, open, standsStill }
}

t.test('a connection whose client takes nothing is found, and no other', async (t) => {
  const { look, unread, open, standsStill } = await openEndless(t, 0)
  const { socket: idle } = await open('/quiet')
  const { client, socket } = await open('/')
  await standsStill(socket)
  look()
  t.same(unread, [], 'seen for the first time')
  let read = 0
  client.on('data', (chunk) => {
    read += chunk.length
  })
  await eventually('the client has read', () => read > 10_000_000)
  client.pause()
  await standsStill(socket)
  look()
  t.same(unread, [], 'it has read meanwhile')
  look()
  t.equal(unread.length, 1)
  t.equal(unread[0], socket)
  t.ok(idle.writableLength === 0, 'one that owes nothing may stay')
})

t.test('it has its time', async (t) => {
  const { look, unread, open, standsStill } = await openEndless(t, 600_000)
  const { socket } = await open('/')
  await standsStill(socket)
  for (let count = 0; count < 3; count++) look()
  t.same(unread, [])
})

t.test('BAT-1 an import whose client never reads its results ends', async (t) => {
  const { app, lines } = await smallApp(t)
  await app.register(connections, { unreadMs: 300 })
  await app.register(gracefulClose)
  await app.register(ndjson, { lineBytesMax: 1024, idleMs: 300 })
  let ended = 0
  app.post('/echo', async (request, reply) => {
    if (!isNdjson(request)) throw new Error('no NDJSON')
    const { body } = request
    return reply.code(207).ndjson(
      (async function* () {
        try {
          for await (const line of body) yield { ...line, more: 'x'.repeat(20_000) }
        } finally {
          ended++
        }
      })(),
    )
  })
  const { port } = await listen(app)
  const line = `${'x'.repeat(99)}\n`
  const chunk = `${(line.length * 100).toString(16)}\r\n${line.repeat(100)}\r\n`
  for (let count = 1; count <= 2; count++) {
    const { socket, answer } = rawConnection(port)
    socket.pause()
    socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
    // What the kernel holds is several MB; results are 200 times as long as lines.
    socket.write(chunk.repeat(50))
    await eventually('the import has ended', () => ended === count)
    socket.resume()
    await answer
  }
  t.equal(lines.filter(({ msg }) => msg.includes('did not read')).length, 1, 'logged now and then')
  t.notOk(lines.some(({ level }) => level === 'error'))
})
