import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import t, { type Test } from 'tap'
import gracefulClose from '../../src/http/graceful-close.js'
import { problem } from '../../src/http/problems/problem-json.js'
import sse, { formatEvent, requireEventStream, type SseEvent } from '../../src/http/sse.js'
import { listen, smallApp } from '../helpers/small-app.js'

/** Events by hand: `push` sends one, `end` ends; `signal` and `isEnded` show what became of the reader. */
const createFeed = () => {
  const waiting: SseEvent[] = []
  let wake = () => {}
  const feed = { asked: 0, isEnded: false, isOver: false, signal: undefined as AbortSignal | undefined, started: 0, push, end, read }
  function push(event: SseEvent) {
    waiting.push(event)
    wake()
  }
  function end() {
    feed.isOver = true
    wake()
  }
  async function* read(signal: AbortSignal): AsyncGenerator<SseEvent> {
    feed.signal = signal
    feed.started++
    signal.addEventListener('abort', () => wake())
    try {
      while (!signal.aborted) {
        feed.asked++
        const next = waiting.shift()
        if (next) yield next
        else if (feed.isOver) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      feed.isEnded = true
    }
  }
  return feed
}

const until = async (isTrue: () => boolean) => {
  while (!isTrue()) await new Promise((resolve) => setImmediate(resolve))
}

const eventApp = async (t: Test, heartbeatMs = 15_000) => {
  const { app, lines } = await smallApp(t)
  await app.register(gracefulClose)
  await app.register(sse, { heartbeatMs })
  const feed = createFeed()
  const stop = new AbortController()
  app.addHook('onSend', async (_request, reply, payload) => {
    reply.header('ratelimit', '"default";r=1;t=1')
    return payload
  })
  app.get('/events', { preHandler: requireEventStream }, async (_request, reply) => reply.sse(feed.read, { signal: stop.signal }))
  app.get('/fails', async (_request, reply) =>
    reply.sse(
      (async function* () {
        yield { event: 'a', data: 1 }
        throw new Error('canary')
      })(),
    ),
  )
  return { app, feed, stop, lines }
}

/** Opens a stream; `until` reads on till the text matches. */
const openStream = async (port: number, path = '/events') => {
  const request = httpRequest({ port, path, agent: false })
  request.on('error', () => {})
  let text = ''
  let isClosed = false
  let wake = () => {}
  // Listens as soon as there is an answer: a short stream may be over before an await returns.
  request.once('response', (response: IncomingMessage) => {
    response.setEncoding('utf8')
    response.on('data', (chunk: string) => {
      text += chunk
      wake()
    })
    response.on('error', () => {})
    response.on('close', () => {
      isClosed = true
      wake()
    })
  })
  const answered = once(request, 'response') as Promise<[IncomingMessage]>
  request.end()
  const [response] = await answered
  const reads = async (pattern: RegExp | 'end') => {
    while (pattern === 'end' ? !isClosed : !pattern.test(text)) {
      if (isClosed) throw new Error(`closed after ${JSON.stringify(text)}`)
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    return text
  }
  return { request, response, reads }
}

t.test('SSE-1 SSE-2 SSE-5 the stream opens at once, with all headers', async (t) => {
  const { app, feed } = await eventApp(t)
  const { port } = await listen(app)
  const { response, reads } = await openStream(port)
  t.equal(response.statusCode, 200)
  t.match(response.headers, {
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'x-request-id': /./,
    ratelimit: '"default";r=1;t=1',
  })
  t.equal(await reads(/retry/), 'retry: 3000\n\n')
  feed.push({ id: '1-0', event: 'active', data: { a: 'line\nbreak' } })
  await reads(/line/)
  feed.push({ event: 'completed', data: null })
  feed.end()
  t.equal(await reads('end'), 'retry: 3000\n\nid: 1-0\nevent: active\ndata: {"a":"line\\nbreak"}\n\nevent: completed\ndata: null\n\n')
  t.equal(feed.isEnded, true)
})

t.test('SSE-2 no value can begin a field of its own', async (t) => {
  t.equal(formatEvent({ id: '1\nevent: x', event: 'a\r\nb\0', data: undefined }), 'id: 1event: x\nevent: ab\ndata: null\n\n')
})

t.test('SSE-1 SSE-5 an Accept that excludes streams is 406, before the stream opens', async (t) => {
  const { app, feed } = await eventApp(t)
  for (const accept of ['application/json', 'text/html, text/event-stream;q=0', 'image/*']) {
    const answer = await app.inject({ url: '/events', headers: { accept } })
    t.equal(answer.statusCode, 406, accept)
    t.match(answer.json(), { type: '/problems/not-acceptable' })
  }
  t.equal(feed.started, 0)
  feed.end()
  for (const accept of ['text/event-stream', 'text/*', '*/*;q=0.1', 'TEXT/Event-Stream; charset=utf-8']) {
    t.equal((await app.inject({ url: '/events', headers: { accept } })).statusCode, 200, accept)
  }
})

t.test('SSE-3 a comment keeps the connection while nothing happens', async (t) => {
  const { app } = await eventApp(t, 20)
  const { port } = await listen(app)
  const { request, reads } = await openStream(port)
  await reads(/^retry: 3000\n\n(:\n\n){2,}/)
  request.destroy()
})

t.test('SSE-4 the source ends when the client leaves', async (t) => {
  const { app, feed, lines } = await eventApp(t)
  const { port } = await listen(app)
  const { request, reads } = await openStream(port)
  await reads(/retry/)
  request.destroy()
  await until(() => feed.isEnded)
  t.equal(feed.signal?.aborted, true)
  t.notOk(lines.some(({ level }) => level === 'error' || level === 'fatal'))
})

t.test("SSE-4 the caller's signal ends the stream in good order", async (t) => {
  const { app, feed, stop } = await eventApp(t)
  const { port } = await listen(app)
  const { reads } = await openStream(port)
  feed.push({ event: 'a', data: 1 })
  await reads(/event: a/)
  stop.abort()
  t.match(await reads('end'), /event: a\ndata: 1\n\n$/)
  await until(() => feed.isEnded)
})

t.test("SSE-4 a problem as the signal's reason is the last event, which changes no id", async (t) => {
  const { app, feed, stop } = await eventApp(t)
  const { port } = await listen(app)
  const { reads } = await openStream(port)
  feed.push({ id: '1-0', event: 'a', data: 1 })
  await reads(/event: a/)
  stop.abort(problem('unauthorized', 'It was revoked.'))
  const [, last = ''] = (await reads('end')).split('data: 1\n\n')
  t.match(last, /^event: unauthorized\ndata: \{"type":"\/problems\/unauthorized",.*"status":401,"detail":"It was revoked\."\}\n\n$/)
  await until(() => feed.isEnded)
  t.match((await app.inject('/events')).body, /^retry: 3000\n\nevent: unauthorized\n/, 'also of a stream that begins after that')
})

t.test('SSE-5 streams end in preClose', async (t) => {
  const { app, feed } = await eventApp(t)
  const { port } = await listen(app)
  const { reads } = await openStream(port)
  await reads(/retry/)
  const closed = app.close()
  await reads('end')
  await closed
  t.equal(feed.isEnded, true)
})

t.test('a slow client makes the source wait', async (t) => {
  const { app, feed } = await eventApp(t)
  const { port } = await listen(app)
  const { response, request, reads } = await openStream(port)
  await reads(/retry/)
  response.pause()
  const data = 'x'.repeat(10_000)
  for (let count = 0; count < 5000; count++) feed.push({ event: 'a', data })
  let asked = -1
  // Once the sockets are full, turns of the event loop no longer make it ask for more.
  for (let turns = 0; turns < 200; turns++) {
    await new Promise((resolve) => setImmediate(resolve))
    if (asked !== feed.asked) turns = 0
    asked = feed.asked
  }
  t.ok(asked < 5000, `asked ${asked} times`)
  request.destroy()
  await until(() => feed.isEnded)
})

t.test('a client that reads nothing any more is let go', async (t) => {
  const { app, feed } = await eventApp(t, 10)
  const { port } = await listen(app)
  const { response, reads } = await openStream(port)
  await reads(/retry/)
  response.pause()
  for (let count = 0; count < 3000; count++) feed.push({ event: 'a', data: 'x'.repeat(10_000) })
  await until(() => feed.isEnded)
  response.destroy()
  t.ok(feed.asked < 3000)
})

t.test('a source that fails breaks the stream off; the log knows why', async (t) => {
  const { app, lines } = await eventApp(t)
  const { port } = await listen(app)
  const { reads } = await openStream(port, '/fails')
  t.match(await reads('end'), /event: a/)
  t.notMatch(await reads('end'), /canary/)
  await until(() => lines.some(({ level }) => level === 'warn'))
  t.match(JSON.stringify(lines), /canary/)
})

t.test('HEAD opens no stream, and the source gives back what it holds', async (t) => {
  const { app, feed } = await eventApp(t)
  const answer = await app.inject({ method: 'HEAD', url: '/events' })
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['content-type'], 'text/event-stream')
  await until(() => feed.isEnded)
  t.equal(feed.signal?.aborted, true)
})

t.test('a stream that is over before it began ends its source too', async (t) => {
  const { app, feed, stop } = await eventApp(t)
  stop.abort()
  t.equal((await app.inject('/events')).body, 'retry: 3000\n\n')
  await until(() => feed.isEnded)
})

t.test('PRB-1 a problem in the route before the stream is a document', async (t) => {
  const { app } = await eventApp(t)
  app.get('/none', async () => {
    throw problem('not-found', 'No such job.')
  })
  t.equal((await app.inject('/none')).headers['content-type'], 'application/problem+json')
})
