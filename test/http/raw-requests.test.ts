// Requests that no client library would send: each is refused, or answered once, and its connection does not hang.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Type } from '@sinclair/typebox'
import t, { type Test } from 'tap'
import connections from '../../src/http/limits/connections.js'
import { eventually } from '../helpers/eventually.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'
import { root } from '../helpers/source-files.js'

const rawApp = async (t: Test) => {
  const { app } = await smallApp(t)
  await app.register(connections, { unreadMs: 600_000 })
  let seen = 0
  app.get('/', async () => {
    seen++
    return 'ok'
  })
  app.post('/', { schema: { body: Type.Unknown() } }, async ({ body }) => {
    seen++
    return { body }
  })
  const { port } = await listen(app)
  /** Everything that the server sends for these bytes. */
  const send = (text: string) => {
    const { socket, answer } = rawConnection(port)
    socket.write(text)
    return answer
  }
  return { app, port, send, seen: () => seen }
}

const get = (...headers: string[]) => ['GET / HTTP/1.1', ...headers, '', ''].join('\r\n')
const post = (body: string, ...headers: string[]) =>
  ['POST / HTTP/1.1', 'Host: a', 'Content-Type: application/json', ...headers, '', body].join('\r\n')

t.test('RFC 9112, 3.2: one valid Host', async (t) => {
  const { send, seen } = await rawApp(t)
  const refused = [
    get('Host: a', 'Host: b'),
    get('Host: a', 'Host: a'),
    get('Host: a', 'hOST: b'),
    'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n',
    ...['a b', 'a/b', 'a@b', 'a:b', 'a:1:2', 'http://a', '[::1', '::1', 'a%zz', 'a"b', 'a\\b', 'a<b>', 'é', 'a, b'].map((host) =>
      get(`Host: ${host}`),
    ),
  ]
  for (const text of refused) {
    const got = readAnswer(await send(text))
    t.match(got, { status: 400, headers: { connection: 'close', 'content-type': 'application/problem+json' } }, JSON.stringify(text))
  }
  t.equal(seen(), 0)
  for (const host of ['a', 'a:1', 'a.b-c_d.e:65535', '127.0.0.1:3000', '[::1]:3000', '[fe80::1%25eth0]', 'xn--bcher-kva.example', '']) {
    t.equal(readAnswer(await send(get(`Host: ${host}`, 'Connection: close'))).status, 200, host)
  }
  t.equal(readAnswer(await send('GET / HTTP/1.0\r\n\r\n')).status, 200, 'HTTP/1.0 may name none')
})

t.test('RFC 9112, 6: where a body ends is said once', async (t) => {
  const { send, seen } = await rawApp(t)
  const refused = [
    post('{}', 'Content-Length: 2', 'Content-Length: 3'),
    post('{}', 'Content-Length: 2', 'Content-Length: 2'),
    post('{}', 'Content-Length: 2, 2'),
    post('{}', 'Content-Length: +2'),
    post('{}', 'Content-Length: 0x2'),
    post('{}', 'Content-Length: -2'),
    post('{}', 'Content-Length: 2 2'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Content-Length: 2', 'Transfer-Encoding: chunked'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked', 'Content-Length: 2'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked', 'Transfer-Encoding: identity'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked, gzip'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding : chunked'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: xchunked'),
    post('2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding:\x0bchunked'),
    post('2 \r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'),
    post('2\n{}\n0\n\n', 'Transfer-Encoding: chunked'),
    post('-2\r\n{}\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'),
    post('2\r\n{}x\r\n0\r\n\r\n', 'Transfer-Encoding: chunked'),
  ]
  for (const text of refused) t.equal(readAnswer(await send(text)).status, 400, JSON.stringify(text))
  t.equal(seen(), 0)
})

t.test('RFC 9112, 2.2 and 5.2: lines end in CR LF and are not folded', async (t) => {
  const { send, seen } = await rawApp(t)
  const refused = [
    'GET / HTTP/1.1\nHost: a\n\n',
    'GET / HTTP/1.1\r\nHost: a\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX-Folded: a\r\n b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n X-Folded: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX-Bare: a\rb\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nX-Null: a\0b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\nNo Colon\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n',
    'GET / HTTP/1.2\r\nHost: a\r\n\r\n',
    'get / HTTP/1.1\r\nHost: a\r\n\r\n',
  ]
  for (const text of refused) t.equal(readAnswer(await send(text)).status, 400, JSON.stringify(text))
  t.equal(seen(), 0)
})

t.test('the lenient parser stays off, whatever NODE_OPTIONS says', async (t) => {
  const script = `
    import Fastify from 'fastify'
    import { connect } from 'node:net'
    import { toServerOptions } from './src/http/server-options.ts'
    const app = Fastify(toServerOptions())
    app.get('/', async () => 'ok')
    await app.listen({ port: 0, host: '127.0.0.1' })
    const socket = connect(app.server.address().port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\nTransfer-Encoding: chunked\\r\\nConnection: close\\r\\n\\r\\n0\\r\\n\\r\\n')
    let text = ''
    for await (const chunk of socket) text += chunk
    console.log(text.slice(9, 12))
    await app.close()`
  const child = spawn(process.execPath, ['--insecure-http-parser', '--import', 'tsx', '--input-type=module', '-e', script], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  await once(child, 'exit')
  t.equal(output.trim(), '400')
})

t.test('Expect: 100-continue is followed, and given up when no body comes', async (t) => {
  const { app } = await smallApp(t, { bodyTimeoutMs: 200 })
  await app.register(connections, { unreadMs: 600_000 })
  app.post('/', { schema: { body: Type.Unknown() } }, async ({ body }) => ({ body }))
  const { port } = await listen(app)
  const { socket, answer } = rawConnection(port)
  socket.write(post('', 'Content-Length: 2', 'Expect: 100-continue', 'Connection: close'))
  socket.once('data', () => socket.write('{}'))
  t.match(await answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  const silent = rawConnection(port)
  silent.socket.write(post('', 'Content-Length: 2', 'Expect: 100-continue'))
  t.match(await silent.answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 408 /)
})

t.test('an Upgrade is ignored, and the connection goes on', async (t) => {
  const { port, seen } = await rawApp(t)
  const upgrades = [
    ['Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw=='],
    ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA'],
  ]
  for (const headers of upgrades) {
    const before = seen()
    const { socket, answer } = rawConnection(port)
    socket.write(get('Host: a', ...headers))
    // What is sent together with an Upgrade, Node takes for the other protocol.
    socket.once('data', () => socket.write(get('Host: a', 'Connection: close')))
    t.equal((await answer).match(/HTTP\/1\.1 200 /g)?.length, 2, String(headers[1]))
    t.equal(seen() - before, 2)
  }
})

t.test('CONNECT and HTTP/2 are refused at once, and take nothing with them', async (t) => {
  const { app, send, seen } = await rawApp(t)
  for (const text of [
    'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n',
    'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0',
    `${get('Host: a')}CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n`,
  ]) {
    t.notMatch(await send(text), /HTTP\/1\.1 2\d\d [\s\S]*HTTP\/1\.1 2\d\d /, JSON.stringify(text))
  }
  t.ok(seen() <= 1)
  await eventually('no connection is left', () => new Promise((resolve) => app.server.getConnections((_, count) => resolve(count === 0))))
})
