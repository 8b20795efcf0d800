import t from 'tap'
import requestLog from '../../src/http/request-log.js'
import { smallApp } from '../helpers/small-app.js'

const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

t.test('TRC-5 one line a request, with ids and pattern, without values', async (t) => {
  const { app, lines } = await smallApp(t)
  await app.register(requestLog, { trustTrace: true })
  app.decorateRequest('principal')
  app.addHook('preHandler', async (request) => {
    Object.assign(request, { principal: { keyId: 'k1', tenant: 't1', name: 'canary' } })
  })
  app.post('/things/:id', async (request) => {
    request.log.info('inside')
    return { canary: 1 }
  })
  await app.inject({
    method: 'POST',
    url: '/things/canary?q=canary',
    headers: { traceparent, 'x-request-id': 'r1', 'x-canary': 'canary' },
    payload: { a: 'canary' },
  })
  const expected = { reqId: 'r1', trace_id: '4bf92f3577b34da6a3ce929d0e0e4736', span_id: /^[0-9a-f]{16}$/ }
  t.match(lines, [
    { ...expected, msg: 'inside' },
    {
      ...expected,
      level: 'info',
      msg: 'request',
      method: 'POST',
      route: '/things/:id',
      statusCode: 200,
      durationMs: Number,
      keyId: 'k1',
      tenant: 't1',
    },
  ])
  t.notMatch(JSON.stringify(lines), /canary/)
})

t.test('unknown addresses, failures and quiet routes', async (t) => {
  const { app, lines } = await smallApp(t)
  await app.register(requestLog, { trustTrace: true })
  app.get('/quiet', { config: { quiet: true } }, async () => 'ok')
  app.get('/fails', async () => {
    throw new Error('x')
  })
  const lineOf = async (url: string) => {
    lines.length = 0
    await app.inject(url)
    return lines.find(({ msg }) => msg === 'request')
  }
  t.match(await lineOf('/canary?x=canary'), { level: 'info', route: null, statusCode: 404 })
  t.match(await lineOf('/fails'), { level: 'warn', statusCode: 500 })
  t.match(await lineOf('/quiet'), { level: 'debug', route: '/quiet' })
})

t.test('TRC-3 without trust the old trace is only linked', async (t) => {
  const { app, lines } = await smallApp(t)
  await app.register(requestLog, { trustTrace: false })
  app.get('/', async (request) => request.traceContext)
  const context = (await app.inject({ url: '/', headers: { traceparent } })).json()
  t.equal(context.link.spanId, '00f067aa0ba902b7')
  t.match(lines[0], { trace_id: context.traceId, link_trace_id: '4bf92f3577b34da6a3ce929d0e0e4736' })
})
