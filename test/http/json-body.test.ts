import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { readMediaType } from '../../src/http/bodies/json-body.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

const addRoute = (app: FastifyInstance): void => {
  app.post('/echo', { schema: { body: Type.Unknown() } }, async ({ body }) => ({ body }))
  app.post('/empty', async ({ body }) => ({ none: body === undefined }))
}
const send = (app: FastifyInstance, payload: string | Buffer, contentType = 'application/json', url = '/echo') =>
  app.inject({ method: 'POST', url, payload, headers: { 'content-type': contentType } })

t.test('PRB-1 bodies that cannot be read are 400 malformed-body', async (t) => {
  const { app } = await smallApp(t)
  addRoute(app)
  const bodies: [string, string | Buffer][] = [
    ['no JSON', '{"a":'],
    ['trailing text', '{} x'],
    ['proto', '{"__proto__":{"x":1}}'],
    ['nested proto', '{"a":{"__proto__":{"x":1}}}'],
    ['escaped proto', '{"\\u005f\\u005fproto__":{"x":1}}'],
    ['constructor', '{"constructor":{"prototype":{"x":1}}}'],
    ['65 levels', '['.repeat(65) + ']'.repeat(65)],
    ['100,000 levels', '['.repeat(100_000) + ']'.repeat(100_000)],
    ['not UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22])],
    ['nothing', ''],
  ]
  for (const [name, body] of bodies) {
    const answer = await send(app, body)
    t.equal(answer.statusCode, 400, name)
    t.match(answer.json(), { type: '/problems/malformed-body' }, name)
  }
  t.same((await send(app, '['.repeat(64) + ']'.repeat(64))).statusCode, 200)
  t.same((await send(app, '\ufeff{"a":"ü"}')).json(), { body: { a: 'ü' } }, 'a byte order mark is skipped')
})

t.test('PRB-1 other media types, charsets and encodings are 415', async (t) => {
  const { app } = await smallApp(t)
  addRoute(app)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/vnd.api+json',
    'application/json; charset=utf-16',
    'application/json; charset="latin1"',
    'application/json garbage',
    'application/json; charset=utf-8; charset=utf-16',
    'json',
    'application/json;charset',
  ]) {
    const answer = await send(app, '{}', type)
    t.equal(answer.statusCode, 415, type)
    t.match(answer.json(), { type: '/problems/unsupported-media-type' }, type)
  }
  for (const type of [
    'application/json',
    'Application/JSON; charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/json; profile=x;',
  ]) {
    t.equal((await send(app, '{}', type)).statusCode, 200, type)
  }
  const packed = await app.inject({
    method: 'POST',
    url: '/echo',
    payload: '{}',
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  })
  t.equal(packed.statusCode, 415)
  const untyped = await app.inject({ method: 'POST', url: '/echo', payload: Buffer.from('{}') })
  t.equal(untyped.statusCode, 415, 'no Content-Type')
})

t.test('an empty body counts as none where no body is asked for', async (t) => {
  const { app } = await smallApp(t)
  addRoute(app)
  t.same((await send(app, '', 'application/json', '/empty')).json(), { none: true })
})

t.test('reads media types', async (t) => {
  t.equal(readMediaType(undefined), undefined)
  t.equal(readMediaType('Application/X-NDJSON; charset=utf-8'), 'application/x-ndjson')
  t.equal(readMediaType('application/json\u0000'), null)
  t.equal(readMediaType(`application/json; ${'a=b;'.repeat(1000)}`), null)
})

t.test('PRB-1 a 10 MB body is 413, announced or not, over a real connection', async (t) => {
  const { app } = await smallApp(t)
  addRoute(app)
  const { port } = await listen(app)
  const announced = rawConnection(port)
  announced.socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 10000000\r\n\r\n')
  const first = readAnswer(await announced.answer)
  t.equal(first.status, 413)
  t.match(JSON.parse(first.body), { type: '/problems/payload-too-large' })

  const chunked = rawConnection(port)
  chunked.socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n')
  const chunk = `${(100_000).toString(16)}\r\n${' '.repeat(100_000)}\r\n`
  for (let sent = 0; sent < 12; sent++) chunked.socket.write(chunk)
  t.equal(readAnswer(await chunked.answer).status, 413)
})

t.test('PRB-1 a body that drips is 408 within its time, each by its own', async (t) => {
  const { app, lines } = await smallApp(t, { bodyTimeoutMs: 1000 })
  addRoute(app)
  const { port, origin } = await listen(app)
  const startDrip = () => {
    const { socket, answer } = rawConnection(port)
    socket.write('POST /echo HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"a":')
    const drip = setInterval(() => socket.write(' '), 20)
    t.after(() => clearInterval(drip))
    return answer
  }
  const answer = startDrip()
  const good = await fetch(`${origin}/echo`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' })
  t.equal(good.status, 200, 'others are served meanwhile')
  const later = startDrip()
  const got = readAnswer(await answer)
  t.equal(got.status, 408)
  t.equal(readAnswer(await later).status, 408, 'one that came later too')
  t.equal(got.headers['connection'], 'close')
  t.match(JSON.parse(got.body), { type: '/problems/request-timeout' })
  t.notOk(lines.some(({ level }) => level === 'error' || level === 'fatal'))
})
