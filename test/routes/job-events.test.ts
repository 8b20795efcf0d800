import t from 'tap'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'
import { parsePrometheusText, sampleValue } from '../helpers/prometheus-text.js'
import { rawConnection } from '../helpers/raw-http.js'
import { parseSse } from '../helpers/read-sse.js'
import { listen } from '../helpers/small-app.js'

const follow = ({ app }: TestApp, id: string, headers: Record<string, string> = {}) =>
  app.inject({ method: 'GET', url: `/v1/jobs/${id}/events`, headers: { authorization: `Bearer ${adminKey}`, ...headers } })
/** A stream that is read while it is open. */
const begin = async ({ app }: TestApp, id: string) => {
  const answer = await app.inject({
    method: 'GET',
    url: `/v1/jobs/${id}/events`,
    headers: { authorization: `Bearer ${adminKey}` },
    payloadAsStream: true,
  })
  let seen = ''
  const stream = answer.stream()
  const ended = (async () => {
    for await (const chunk of stream) seen += String(chunk)
    return seen
  })()
  return {
    headers: answer.headers,
    /** All of it, once it has ended. */
    text: () => ended,
    saw: (text: string) => eventually(`the stream says ${text}`, () => seen.includes(text)),
  }
}
const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id

/** The whole stream of a job that does not begin before it is followed. */
const followFromStart = async (test: TestApp, type: string, label: string, options: object = {}) => {
  const id = await submitOne(test, type, label, { options: { ...options, delayMs: 3_600_000 } })
  const stream = await begin(test, id)
  await stream.saw('event: waiting')
  await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
  return { id, events: parseSse(await stream.text()) }
}

t.test('the stream of a job', async (t) => {
  const test = await buildTestApp(t)
  await t.test('SSE-1 SSE-2 from its present state to its last event', async (t) => {
    const id = await submitOne(test, 'block', 'whole')
    await test.probes.started('whole')
    const answer = await begin(test, id)
    const body = answer.text()
    await answer.saw('event: active')
    test.probes.release('whole')
    t.match(answer.headers, { 'content-type': /^text\/event-stream/, 'cache-control': 'no-cache, no-transform', 'x-accel-buffering': 'no' })
    t.ok(answer.headers['x-request-id'] && answer.headers['ratelimit'], 'SSE-5 headers set by hooks are present')
    t.match(await body, /^retry: 3000\n\n/)
    const events = parseSse(await body)
    t.same(
      events.map(({ event }) => event),
      ['active', 'completed'],
    )
    t.match(events[0]?.data, { id, state: 'active', data: { label: 'whole' } })
    t.match(events[1]?.data, { id, state: 'completed', result: { label: 'whole' } })
    t.ok(events.every(({ id }) => /^\d+-\d+$/.test(id)))
  })

  await t.test('every change has its event', async (t) => {
    const { events } = await followFromStart(test, 'flaky', 'changes', { backoff: { type: 'fixed', delayMs: 1 } })
    t.same(
      events.map(({ event, data }) => [event, data['state']]),
      [
        ['waiting', 'delayed'],
        ['waiting', 'waiting'],
        ['active', 'active'],
        ['retrying', 'delayed'],
        ['waiting', 'waiting'],
        ['active', 'active'],
        ['completed', 'completed'],
      ],
    )
  })

  await t.test('progress, failure and cancellation', async (t) => {
    const { events } = await followFromStart(test, 'progress', 'prog')
    t.same(
      events.filter(({ event }) => event === 'progress').map(({ data }) => data['progress']),
      [50, { step: 'last' }],
    )

    const refused = await followFromStart(test, 'refuse', 'ref')
    t.match(refused.events.at(-1), { event: 'failed', data: { error: { code: 'invalid_data' } } })

    const blocked = await submitOne(test, 'block', 'canc')
    await test.probes.started('canc')
    const stream = await begin(test, blocked)
    const body = stream.text()
    await stream.saw('event: active')
    await test.request({ method: 'DELETE', url: `/v1/jobs/${blocked}` })
    t.match(parseSse(await body).at(-1), { event: 'cancelled', data: { state: 'cancelled' } })
  })

  await t.test('SSE-3 Last-Event-ID resumes after it', async (t) => {
    const { id, events: all } = await followFromStart(test, 'progress', 'resume')
    for (let at = 1; at < all.length - 1; at++) {
      const rest = parseSse((await follow(test, id, { 'last-event-id': all[at]?.id as string })).body)
      t.same(
        rest.map(({ id }) => id),
        all.slice(at + 1).map(({ id }) => id),
        String(all[at]?.event),
      )
    }
    t.equal((await follow(test, id, { 'last-event-id': all.at(-1)?.id as string })).statusCode, 204, 'SSE-4')
  })

  await t.test('SSE-3 an unknown id starts with the present state', async (t) => {
    const id = await submitOne(test, 'echo', 'unknown')
    await test.finished(id)
    for (const lastEventId of ['x', '0-0', '1-1', '99999999999999999999-0', '9999999999999-0', '1'.repeat(5000), 'a b']) {
      const events = parseSse((await follow(test, id, { 'last-event-id': lastEventId })).body)
      t.match(events, [{ event: 'completed', data: { id } }], lastEventId.slice(0, 30))
    }
  })

  await t.test('SSE-1 SSE-5 refusals are problem documents', async (t) => {
    const id = await submitOne(test, 'echo', 'refusal')
    const json = await follow(test, id, { accept: 'application/json' })
    t.equal(json.statusCode, 406)
    t.match(json.headers['content-type'], 'application/problem+json')
    t.equal((await follow(test, 'ext_3q2AMb1cT7mR0wZk9vYxFg')).statusCode, 404)
    t.equal((await follow(test, id, { authorization: 'Bearer wrong' })).statusCode, 401)
  })

  await t.test('followers leave nothing behind', async (t) => {
    await t.resolves(eventually('nobody follows', () => test.services.events.followed() === 0))
  })
})

t.test('SSE-5 streams of a tenant are capped', async (t) => {
  const test = await buildTestApp(t, { env: { MAX_STREAMS: '1' } })
  const id = await submitOne(test, 'block', 'cap')
  const stream = await begin(test, id)
  await test.probes.started('cap')
  t.equal((await follow(test, id)).statusCode, 503)
  test.probes.release('cap')
  await stream.text()
  t.equal((await follow(test, id)).statusCode, 200)
})

t.test('SSE-5 streams and waits that were asked for behind each other end with their connection', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', MAX_WAIT_MS: '600000' } })
  const id = await submitOne(test, 'echo', 'pipelined')
  const { port } = await listen(test.app as never)
  const count = async (name: string) => sampleValue(parsePrometheusText(await test.services.metrics.render()), `jobgate_${name}_open`)
  for (const [path, gauge] of [
    [`/v1/jobs/${id}/events`, 'event_streams'],
    [`/v1/jobs/${id}?waitMs=600000`, 'long_polls'],
  ] as const) {
    const { socket } = rawConnection(port)
    socket.write(`GET ${path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${adminKey}\r\n\r\n`.repeat(6))
    await eventually('all are open', async () => (await count(gauge)) === 6)
    socket.destroy()
    await eventually('none is open', async () => (await count(gauge)) === 0)
  }
  t.equal(test.services.events.followed(), 0)
})
