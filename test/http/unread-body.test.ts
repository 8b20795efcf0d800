// Requests that are answered before their body was read: nobody waits for the rest.

import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import { problem } from '../../src/http/problems/problem-json.js'
import { eventually } from '../helpers/eventually.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

const refusingApp = async (t: Test) => {
  const { app } = await smallApp(t, { bodyTimeoutMs: 600_000 })
  const refuse = async () => {
    throw problem('unauthorized', 'No.')
  }
  app.post('/refused', { onRequest: refuse }, async () => 'never')
  app.post('/read', async () => 'never')
  app.get('/other', async () => 'other')
  app.get('/early', async () => 'early')
  return { app, ...(await listen(app)) }
}

/** Sends a byte of a body now and then, until the server closes the connection. */
const drip = (t: Test, socket: Socket, text = 'x') => {
  const timer = setInterval(() => socket.write(text), 50)
  socket.once('close', () => clearInterval(timer))
  t.after(() => clearInterval(timer))
}

const head = (path: string, ...headers: string[]) => [`${path} HTTP/1.1`, 'Host: a', ...headers, '', ''].join('\r\n')

t.test('a body that drips behind its response ends the connection', async (t) => {
  const { port } = await refusingApp(t)
  const cases = [
    {
      what: 'short',
      text: head('POST /refused', 'Content-Length: 60000', 'Content-Type: application/json'),
      status: 401,
      connection: 'keep-alive',
    },
    {
      what: 'long',
      text: head('POST /refused', 'Content-Length: 100000', 'Content-Type: application/json'),
      status: 401,
      connection: 'close',
    },
    {
      what: 'too long',
      text: head('POST /refused', 'Content-Length: 9999999999', 'Content-Type: text/csv'),
      status: 401,
      connection: 'close',
    },
    {
      what: 'without known end',
      text: head('POST /refused', 'Transfer-Encoding: chunked', 'Content-Type: application/x-ndjson'),
      status: 401,
      connection: 'close',
      piece: '1\r\nx\r\n',
    },
    {
      what: 'of a size that is refused',
      text: head('POST /read', 'Content-Length: 9999999', 'Content-Type: application/json'),
      status: 413,
      connection: 'close',
    },
    {
      what: 'of a type that is refused',
      text: head('POST /read', 'Content-Length: 60000', 'Content-Type: text/csv'),
      status: 415,
      connection: 'keep-alive',
    },
    { what: 'unknown route', text: head('POST /nothing', 'Content-Length: 100000'), status: 404, connection: 'close' },
    { what: 'unread by a GET', text: head('GET /early', 'Content-Length: 100000'), status: 200, connection: 'keep-alive' },
  ]
  await Promise.all(
    cases.map(async ({ what, text, status, connection, piece }) => {
      const { socket, answer } = rawConnection(port)
      socket.write(text)
      drip(t, socket, piece)
      const got = readAnswer(await answer)
      t.match(got, { status, headers: { connection } }, what)
    }),
  )
})

t.test('the rest of a short body may still arrive, and the connection goes on', async (t) => {
  const { port } = await refusingApp(t)
  const { socket, answer } = rawConnection(port)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.write(`${head('POST /refused', 'Content-Length: 10', 'Content-Type: application/json')}12345`)
  await eventually('it is refused', () => text.includes('401'))
  socket.write(`67890${head('GET /other', 'Connection: close')}`)
  t.match(await answer, /HTTP\/1\.1 401 [\s\S]*HTTP\/1\.1 200 [\s\S]*other$/)
})

t.test('a connection that goes on keeps nothing of bodies that came late', async (t) => {
  const { app, port } = await refusingApp(t)
  let accepted: Socket | undefined
  app.server.once('connection', (socket: Socket) => {
    accepted = socket
  })
  const { socket } = rawConnection(port)
  t.after(() => socket.destroy())
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  const counts: number[] = []
  for (let round = 1; round <= 15; round++) {
    socket.write(head('POST /refused', 'Content-Length: 5', 'Content-Type: application/json'))
    await eventually('it is refused', () => text.split('HTTP/1.1 401').length - 1 === round)
    socket.write('12345')
    socket.write(head('GET /other'))
    await eventually('the connection goes on', () => text.split('HTTP/1.1 200').length - 1 === round)
    counts.push((accepted as Socket).listenerCount('close'))
  }
  t.equal(counts.at(-1), counts[0])
})

t.test('a client that sends fast gets its refusal all the same', async (t) => {
  const { port } = await refusingApp(t)
  for (let round = 0; round < 20; round++) {
    const { socket, answer } = rawConnection(port)
    socket.write(head('POST /refused', 'Content-Length: 10000000', 'Content-Type: application/json'))
    socket.write(Buffer.alloc(1_000_000))
    t.match(readAnswer(await answer), { status: 401, headers: { connection: 'close' } })
  }
})
