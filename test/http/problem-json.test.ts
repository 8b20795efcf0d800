import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Type } from '@sinclair/typebox'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { problem, toProblemDetails, toProblemDocument } from '../../src/http/problems/problem-json.js'
import { Problem, problemResponses } from '../../src/http/problems/problem-schema.js'
import { problems } from '../../src/http/problems/problem-types.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

const addRoutes = (app: FastifyInstance): void => {
  app.addSchema(Problem)
  const Cat = Type.Object({ type: Type.Literal('cat'), lives: Type.Integer() }, { $id: 'Cat', additionalProperties: false })
  const Dog = Type.Object(
    {
      type: Type.Literal('dog'),
      name: Type.String({ maxLength: 5, 'x-sensitive': true }),
      at: Type.Optional(Type.Union([Type.String({ format: 'date-time' }), Type.Null()])),
      tag: Type.Optional(Type.Union([Type.String({ maxLength: 3 }), Type.Number(), Type.Null()])),
      home: Type.Optional(Type.Union([Type.Ref('Home'), Type.Null()])),
    },
    { $id: 'Dog', additionalProperties: false },
  )
  app.addSchema(Type.Object({ street: Type.String(), number: Type.Integer() }, { $id: 'Home', additionalProperties: false }))
  app.addSchema(Cat)
  app.addSchema(Dog)
  const body = { type: 'object', required: ['type'], discriminator: { propertyName: 'type' }, oneOf: [{ $ref: 'Cat#' }, { $ref: 'Dog#' }] }
  app.post('/pets', { schema: { body, response: { 200: Type.Object({}), ...problemResponses } } }, async () => ({}))
  app.get(
    '/pets/:id',
    {
      schema: {
        params: Type.Object({ id: Type.Integer() }),
        querystring: Type.Object({ limit: Type.Integer({ minimum: 1 }) }, { additionalProperties: false }),
        response: { ...problemResponses },
      },
    },
    async () => ({}),
  )
  app.delete('/pets/:id', async () => ({}))
  app.put('/pets/all', async () => ({}))
  app.get('/fails', { schema: { response: { ...problemResponses } } }, async (request) => {
    const { how } = request.query as { how: string }
    if (how === 'problem')
      throw problem('queue-full', 'Try later.', { retryAfterSeconds: 1.2, headers: { 'x-extra': '1' }, extensions: { depth: 7 } })
    if (how === 'stranger') throw Object.assign(new Error('canary-message'), { command: { args: ['canary-argument'] } })
    if (how === 'redis') throw new Error('Command timed out')
    if (how === 'status') throw Object.assign(new Error('canary-message'), { statusCode: 418 })
    throw 'canary-string'
  })
  app.post('/fails', async () => {
    throw Object.assign(new Error('OOM command not allowed when used memory > maxmemory. canary'), {
      command: { args: ['canary-argument'] },
    })
  })
}

const post = async (app: FastifyInstance, payload: unknown) => {
  const answer = await app.inject({ method: 'POST', url: '/pets', payload: payload as object })
  return answer.json() as { type: string; errors: { pointer: string; detail: string }[]; detail: string }
}

t.test('PRB-2 a problem has all members, in its own media type', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  const answer = await app.inject({ url: '/fails?how=problem&token=canary', headers: { 'x-request-id': 'my-id.1' } })
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['content-type'], 'application/problem+json')
  t.equal(answer.headers['x-request-id'], 'my-id.1')
  t.equal(answer.headers['retry-after'], '2', 'rounded up')
  t.equal(answer.headers['x-extra'], '1')
  t.same(answer.json(), {
    type: '/problems/queue-full',
    title: problems['queue-full'].title,
    status: 503,
    detail: 'Try later.',
    requestId: 'my-id.1',
    instance: '/fails#my-id.1',
    depth: 7,
  })
})

t.test('PRB-2 a kind registered elsewhere keeps its own type', async (t) => {
  t.match(toProblemDocument({ problem: 'quota-exceeded', detail: 'x' }), { type: problems['quota-exceeded'].type, status: 429 })
})

t.test('PRB-1 unknown routes are 404, known ones with another method 405 with Allow', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  const unknown = await app.inject({ url: '/nothing?x=1' })
  t.equal(unknown.statusCode, 404)
  t.match(unknown.json(), { type: '/problems/not-found', requestId: unknown.headers['x-request-id'] as string })
  const wrong = await app.inject({ method: 'PATCH', url: '/pets/1?x=1' })
  t.equal(wrong.statusCode, 405)
  t.equal(wrong.headers.allow, 'DELETE, GET, HEAD')
  t.match(wrong.json(), { type: '/problems/method-not-allowed' })
  t.equal(
    (await app.inject({ method: 'PATCH', url: '/pets/all' })).headers.allow,
    'DELETE, GET, HEAD, PUT',
    'every pattern that fits counts',
  )
  t.equal((await app.inject({ method: 'GET', url: '/pets' })).headers.allow, 'POST')
  t.equal((await app.inject({ method: 'GET', url: '/pets/1/2' })).statusCode, 404)
  t.equal((await app.inject({ method: 'OPTIONS', url: '/pets' })).statusCode, 405)
})

t.test('PRB-3 a pointer leads to the very member', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  t.same((await post(app, { type: 'dog' })).errors, [{ pointer: '#/name', detail: 'is missing' }])
  t.same((await post(app, { type: 'cat', lives: 9, 'a/b~c d#': 1 })).errors, [
    { pointer: '#/a~1b~0c%20d%23', detail: 'is not a known member' },
  ])
  t.match((await post(app, {})).errors, [{ pointer: '#/type' }])
  t.match((await post(app, { type: 'cow' })).errors, [{ pointer: '#/type', detail: 'is not a known type' }], 'never the list of branches')
  t.match((await post(app, { type: 'cat', lives: '9' })).errors, [{ pointer: '#/lives', detail: 'must be integer' }])
  const both = await post(app, { type: 'cat', lives: 1.5, x: 1 })
  t.same(both.errors.map(({ pointer }) => pointer).sort(), ['#/lives', '#/x'])
  t.match(both.detail, /2 errors/)
  t.match((await post(app, [])).errors, [{ pointer: '#' }])
})

t.test('PRB-3 of several forms the one that was meant is reported', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  t.match((await post(app, { type: 'dog', name: 'Rex', at: 'yesterday' })).errors, [{ pointer: '#/at', detail: /date-time/ }])
  t.match((await post(app, { type: 'dog', name: 'Rex', at: 5 })).errors, [{ pointer: '#/at', detail: 'must be string or null' }])
  t.match((await post(app, { type: 'dog', name: 'Rex', tag: 'long' })).errors, [{ pointer: '#/tag', detail: /3 characters/ }])
  t.match((await post(app, { type: 'dog', name: 'Rex', tag: [] })).errors, [
    { pointer: '#/tag', detail: 'must be string or number or null' },
  ])
  t.match((await post(app, { type: 'dog', name: 'Rex', home: { street: 'x' } })).errors, [
    { pointer: '#/home/number', detail: 'is missing' },
  ])
  t.match((await post(app, { type: 'dog', name: 'Rex', home: { street: 1, number: 1 } })).errors, [{ pointer: '#/home/street' }])
})

t.test('PRB-3 entries outside the body say where', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  const query = await app.inject({ url: '/pets/1?limit=0&other=1' })
  t.equal(query.statusCode, 400)
  t.same(
    new Set(query.json().errors.map((each: object) => JSON.stringify(each))),
    new Set([
      JSON.stringify({ pointer: '#/limit', detail: 'must be >= 1', in: 'query', parameter: 'limit' }),
      JSON.stringify({ pointer: '#/other', detail: 'is not a known member', in: 'query', parameter: 'other' }),
    ]),
  )
  t.match((await app.inject({ url: '/pets/one?limit=1' })).json().errors, [{ pointer: '#/id', in: 'path', parameter: 'id' }])
})

t.test('PRB-3 entries are bounded and repeat no value', async (t) => {
  const { app, lines } = await smallApp(t)
  addRoutes(app)
  const many = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`m${index}`, 1]))
  t.equal((await post(app, { type: 'cat', lives: 1, ...many })).errors.length, 20)
  t.match((await post(app, { type: 'cat', lives: 1, ['x'.repeat(5000)]: 1 })).errors, [{ pointer: '#' }])
  const answer = await post(app, { type: 'dog', name: 'canary-secret', tag: 'canary-tag' })
  t.notMatch(JSON.stringify(answer), /canary/)
  t.notMatch(JSON.stringify(lines), /canary/)
  t.match((await post(app, { type: 'cat', lives: 1, '\ud800': 1 })).errors, [{ pointer: '#/%EF%BF%BD' }], 'a lone surrogate')
})

t.test('PRB-6 a 500 hides its message; the log has it under the request id', async (t) => {
  const { app, lines } = await smallApp(t)
  addRoutes(app)
  for (const how of ['stranger', 'string', 'status']) {
    lines.length = 0
    const answer = await app.inject({ url: `/fails?how=${how}` })
    t.notMatch(answer.body, /canary/)
    if (how === 'status') {
      t.match(answer.json(), { status: 400, type: '/problems/bad-request' }, 'an unknown 4xx of a plugin')
      continue
    }
    t.match(answer.json(), { status: 500, type: '/problems/internal-error' })
    const line = lines.find(({ level }) => level === 'error')
    t.equal(line?.['reqId'], answer.json().requestId)
    if (how === 'stranger') t.match(line, { err: { message: 'canary-message' } })
    t.notMatch(JSON.stringify(lines), /canary-argument/, 'what an error carries besides stays out')
  }
})

t.test('IDK-13 Redis failing is 503 with Retry-After and says that the key is safe', async (t) => {
  const { app, lines } = await smallApp(t)
  addRoutes(app)
  const read = await app.inject({ url: '/fails?how=redis' })
  t.match(read.json(), { status: 503, type: '/problems/redis-unavailable', detail: /Nothing was changed/ })
  t.equal(read.headers['retry-after'], '1')
  const write = await app.inject({ method: 'POST', url: '/fails' })
  t.match(write.json(), { status: 503, detail: /not stored.*safe to retry/ })
  t.notMatch(write.body, /OOM|canary/)
  t.notMatch(JSON.stringify(lines), /canary-argument/)
  t.match(toProblemDetails(new Error('Command timed out')), {
    problem: 'redis-unavailable',
    detail: /outcome is unknown.*safe to retry/,
  })
  t.equal(lines.filter(({ msg }) => msg === 'redis failed a request').length, 1, 'one line a second, however many fail')
})

t.test('PRB-1 addresses that no route can take', async (t) => {
  const { app } = await smallApp(t)
  addRoutes(app)
  for (const url of ['/pets/%zz', `/pets/${'9'.repeat(600)}?limit=1`]) {
    const answer = await app.inject({ url, headers: { 'x-request-id': 'abc' } })
    t.equal(answer.statusCode, 400)
    t.equal(answer.headers['content-type'], 'application/problem+json')
    t.match(answer.json(), { type: '/problems/bad-request', requestId: 'abc' })
    t.equal(answer.headers['x-request-id'], 'abc')
  }
})

t.test('TRC-5 only a sane inbound X-Request-Id is kept', async (t) => {
  const { app } = await smallApp(t)
  for (const id of ['a', 'A-b_c.d~e:f@g/h+i=j', 'x'.repeat(128)]) {
    t.equal((await app.inject({ url: '/', headers: { 'x-request-id': id } })).headers['x-request-id'], id)
  }
  for (const id of ['', 'x'.repeat(129), 'a b', 'a"b', '<script>', 'é']) {
    const kept = (await app.inject({ url: '/', headers: { 'x-request-id': id } })).headers['x-request-id'] as string
    t.match(kept, /^[A-Za-z0-9_-]{16}-[0-9a-z]+$/, JSON.stringify(id))
  }
})

t.test('PRB-1 what Node itself refuses is a problem document too', async (t) => {
  const { app } = await smallApp(t)
  app.get('/', async () => 'ok')
  const { port } = await listen(app)
  const cases = [
    { text: 'NONSENSE\r\n\r\n', status: 400, type: '/problems/bad-request' },
    { text: `GET / HTTP/1.1\r\nHost: a\r\nX-Large: ${'x'.repeat(20_000)}\r\n\r\n`, status: 431, type: '/problems/headers-too-large' },
    { text: 'GET / HTTP/1.1\r\nConnection: close\r\n\r\n', status: 400, type: '/problems/bad-request' },
    { text: 'PROPFIND / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n', status: 405, type: '/problems/method-not-allowed' },
    {
      text: 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      status: 400,
      type: '/problems/bad-request',
    },
  ]
  for (const { text, status, type } of cases) {
    const { socket, answer } = rawConnection(port)
    socket.write(text)
    const got = readAnswer(await answer)
    t.equal(got.status, status, text.slice(0, 30))
    t.equal(got.headers['content-type'], 'application/problem+json')
    t.match(JSON.parse(got.body), { type, status, requestId: got.headers['x-request-id'] as string })
  }
  const { socket, answer } = rawConnection(port)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\nConnection: close\r\n\r\n')
  t.equal(readAnswer(await answer).status, 200, 'an unknown Expect is ignored')
})

t.test('PRB-1 slow headers are 408, others are served meanwhile', async (t) => {
  const { app } = await smallApp(t, { settings: { headersTimeoutMs: 300 } })
  app.get('/', async () => 'ok')
  const { port, origin } = await listen(app)
  const { socket, answer } = rawConnection(port)
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n')
  t.equal((await fetch(origin)).status, 200)
  const got = readAnswer(await answer)
  t.equal(got.status, 408)
  t.match(JSON.parse(got.body), { type: '/problems/request-timeout' })
})

t.test('a connection that Node refused ends, even if its client never ends it', async (t) => {
  const { app } = await smallApp(t, { settings: { headersTimeoutMs: 300 } })
  const { port } = await listen(app)
  for (const text of ['NONSENSE\r\n\r\n', 'GET / HTTP/1.1\r\nHost: a\r\n']) {
    const accepted = once(app.server, 'connection') as Promise<[Socket]>
    const client = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    t.after(() => client.destroy())
    client.resume().on('error', () => {})
    client.write(text)
    const [socket] = await accepted
    await once(client, 'end')
    if (!socket.closed) await once(socket, 'close')
    t.ok(socket.destroyed, text.slice(0, 10))
  }
})
