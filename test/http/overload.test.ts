// Under overload submissions are refused before they are read, and nothing else is.

import t from 'tap'
import overload from '../../src/http/limits/overload.js'
import { createMetrics } from '../../src/telemetry/metrics.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'
import { rawConnection, readAnswer } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

t.test('too many submissions that wait for Redis', async (t) => {
  const test = await buildTestApp(t, { env: { MAX_IN_FLIGHT: '3' } })
  const { app, submit, request } = test
  const first = await submit({ type: 'echo', data: { label: 'a' } })
  t.equal(first.statusCode, 202)
  t.equal(app.submissionCounts.inFlight, 0, 'counted while they wait only')
  app.submissionCounts.inFlight = 3

  for (const [url, payload] of [
    ['/v1/jobs', { type: 'echo', data: { label: 'b' } }],
    ['/v1/jobs/batch', { items: [] }],
  ] as const) {
    const answer = await request({ method: 'POST', url, payload })
    t.equal(answer.statusCode, 503)
    t.match(answer.json(), { type: '/problems/overloaded', requestId: answer.headers['x-request-id'] })
    t.match(answer.json().detail, /Nothing was stored/)
    t.match(answer.headers['retry-after'], /^[123]$/)
    t.equal(answer.headers.connection, 'keep-alive')
  }
  const unread = await app.inject({ method: 'POST', url: '/v1/jobs', headers: { 'content-type': 'application/json' }, payload: '{' })
  t.equal(unread.statusCode, 503, 'neither key nor body were looked at')

  const { id } = first.json()
  for (const url of ['/livez', '/metrics', '/docs/', '/admin/queues/health', '/admin/queues/metrics', `/v1/jobs/${id}`, '/v1/jobs']) {
    t.equal((await request({ method: 'GET', url })).statusCode, 200, url)
  }
  t.match((await app.inject('/readyz')).json(), { status: 503, type: '/problems/overloaded' })
  t.equal(sampleValue(parsePrometheusText(await test.services.metrics.render()), 'jobgate_requests_shed_total', { reason: 'in_flight' }), 3)
  await eventually('it is told once', () => test.logs.some((line) => line.includes('"shed":3')))
  t.notOk(
    test.logs.some((line) => line.includes('"statusCode":503') && !line.includes('"level":"debug"') && line.includes('POST')),
    'and not request by request',
  )

  app.submissionCounts.inFlight = 2
  t.equal((await submit({ type: 'echo', data: { label: 'c' } })).statusCode, 202)
  t.equal(app.submissionCounts.inFlight, 2)
  t.equal((await submit({ type: 'echo', data: { label: 'd' } }, { 'idempotency-key': '"' })).statusCode, 400)
  t.equal(app.submissionCounts.inFlight, 2, 'what is refused never counts')
})

t.test('a body whose end nobody knows is not read to its end', async (t) => {
  const test = await buildTestApp(t, { env: { MAX_IN_FLIGHT: '1', WORKERS_ENABLED: 'false' } })
  const { port } = await listen(test.app as never)
  test.app.submissionCounts.inFlight = 1
  const { socket, answer } = rawConnection(port)
  socket.write(`POST /v1/jobs/batch HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${adminKey}\r\n`)
  socket.write('Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n')
  const line = `${JSON.stringify({ type: 'echo', data: { label: 'x'.repeat(16_000) } })}\n`
  const chunk = `${line.length.toString(16)}\r\n${line}\r\n`
  // Far beyond what the sockets of both sides hold. Each turn of the event loop is the server's too.
  const mostBytes = 64_000_000
  while (!socket.closed && socket.bytesWritten < mostBytes) {
    if (socket.writable && !socket.writableNeedDrain) socket.write(chunk)
    await new Promise((resolve) => setImmediate(resolve))
  }
  t.ok(socket.closed, 'the server has closed the connection')
  socket.destroy()
  // The connection may be gone before the client has seen why.
  const text = await answer
  if (text !== '') t.match(readAnswer(text), { status: 503, headers: { connection: 'close' } })
})

t.test('a turn of the event loop that takes in too many', async (t) => {
  const { app } = await smallApp(t)
  const metrics = createMetrics()
  await app.register(overload, { maxInFlight: 0, maxDelayMs: 20, metrics })
  app.post('/work', { config: { sheddable: true } }, async () => {
    app.submissionCounts.begun++
    return {}
  })
  app.post('/other', async () => ({}))
  await app.ready()
  const post = (url: string) => app.inject({ method: 'POST', url })
  /** All within one turn: the timer that sees it end does not come in between. */
  const spin = (ms: number) => {
    const end = performance.now() + ms
    while (performance.now() < end);
  }
  spin(300)
  t.equal((await post('/work')).statusCode, 200, 'a long turn alone is no overload')
  app.submissionCounts.begun = 64
  spin(300)
  t.equal((await post('/work')).statusCode, 503)
  t.equal((await post('/other')).statusCode, 200)
  t.ok(app.isOverloaded())
  t.equal(sampleValue(parsePrometheusText(await metrics.render()), 'jobgate_requests_shed_total', { reason: 'event_loop_delay' }), 1)
  await eventually('the loop has turned', () => app.submissionCounts.begun === 0)
  t.equal((await post('/work')).statusCode, 200)
  await eventually('a second has passed without shedding', () => !app.isOverloaded())
})

t.test('0 sets no limit', async (t) => {
  const { app } = await smallApp(t)
  await app.register(overload, { maxInFlight: 0, maxDelayMs: 0, metrics: createMetrics() })
  await app.ready()
  app.submissionCounts.inFlight = 1_000_000
  t.notOk(app.isOverloaded())
})
