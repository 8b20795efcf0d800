import { once } from 'node:events'
import { Agent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import t from 'tap'
import gracefulClose from '../../src/http/graceful-close.js'
import { eventually } from '../helpers/eventually.js'
import { listen, smallApp } from '../helpers/small-app.js'

t.test('SHD-1 a request in flight is answered, and its connection closed', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  let finish = () => {}
  let arrived = () => {}
  const inFlight = new Promise<void>((resolve) => {
    arrived = resolve
  })
  app.get('/slow', async () => {
    arrived()
    await new Promise<void>((resolve) => {
      finish = resolve
    })
    return 'done'
  })
  const order: string[] = []
  app.addHook('onResponse', async () => void order.push('answered'))
  app.addHook('onClose', async () => void order.push('closed'))
  const { port } = await listen(app)
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const answered = new Promise<{ status: number | undefined; connection: string | undefined; body: string }>((resolve) => {
    httpRequest({ port, path: '/slow', agent }, async (response) => {
      let body = ''
      for await (const chunk of response) body += chunk
      resolve({ status: response.statusCode, connection: response.headers.connection, body })
    }).end()
  })
  await inFlight
  const closed = app.close()
  while (!app.isStopping()) await new Promise((resolve) => setImmediate(resolve))
  finish()
  t.same(await answered, { status: 200, connection: 'close', body: 'done' })
  await closed
  t.same(order, ['answered', 'closed'], 'what onClose takes away is there until the last answer')
})

t.test('HLT-2 while draining everything works, but no connection is kept', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  app.get('/', async () => 'ok')
  t.equal((await app.inject('/')).headers.connection, 'keep-alive')
  t.equal(app.isStopping(), false)
  app.startStopping()
  t.equal(app.isStopping(), true)
  t.equal(app.stopSignal.aborted, false)
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers.connection, 'close')
})

t.test('SHD-1 long polls end in preClose', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  let arrived = () => {}
  const inFlight = new Promise<void>((resolve) => {
    arrived = resolve
  })
  app.get('/poll', async () => {
    arrived()
    await new Promise((resolve) => app.stopSignal.addEventListener('abort', resolve))
    return 'as it is now'
  })
  const { origin } = await listen(app)
  const answer = fetch(`${origin}/poll`)
  await inFlight
  await app.close()
  t.equal(await (await answer).text(), 'as it is now')
})

t.test('SHD-1 a client keeps no connection whose answer began before the stop', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  const body = new Readable({ read: () => {} })
  body.push('begun ')
  app.get('/stream', async (_request, reply) => reply.send(body))
  const { port } = await listen(app)
  const agent = new Agent({ keepAlive: true })
  t.after(() => agent.destroy())
  const [response] = (await once(httpRequest({ port, path: '/stream', agent }).end(), 'response')) as [IncomingMessage]
  t.equal(response.headers.connection, 'keep-alive')
  const closed = app.close()
  await eventually('nobody listens', () => !app.server.listening)
  body.push('ended')
  body.push(null)
  t.equal(await text(response), 'begun ended')
  await closed
  t.pass('it closes, though the client would keep its connection')
})

t.test('PRB-1 a request that arrives while closing is a 503 problem', async (t) => {
  const { app } = await smallApp(t)
  await app.register(gracefulClose)
  let proceed = () => {}
  const closing = new Promise<void>((resolve) => {
    app.addHook('preClose', async () => {
      resolve()
      await new Promise<void>((done) => {
        proceed = done
      })
    })
  })
  app.get('/', async () => 'ok')
  const { origin } = await listen(app)
  const closed = app.close()
  await closing
  const answer = await fetch(origin)
  t.equal(answer.status, 503)
  t.equal(answer.headers.get('retry-after'), '1')
  t.equal(answer.headers.get('connection'), 'close')
  t.match(await answer.json(), { type: '/problems/shutting-down' })
  proceed()
  await closed
})
