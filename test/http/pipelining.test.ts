// What one connection may have in work, and what becomes of it when the connection closes.

import { createReadStream } from 'node:fs'
import { mkdtemp, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import connections from '../../src/http/limits/connections.js'
import { eventually } from '../helpers/eventually.js'
import { rawConnection } from '../helpers/raw-http.js'
import { listen, smallApp } from '../helpers/small-app.js'

const inFlightMax = 8
const waitingMax = 100

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`
const times = (count: number, path: string) => Array.from({ length: count }, (_, at) => get(`${path}?${at}`)).join('')
/** What was asked for, in the order of the answers. */
const answersIn = (text: string) => [...text.matchAll(/^answer (\d+)$/gm)].map(([, number]) => Number(number))
const upTo = (count: number) => Array.from({ length: count }, (_, at) => at)

/** `/file` is larger than what sockets hold; `/held` answers when it is released. */
const pipelineApp = async (t: Test) => {
  const { app, lines } = await smallApp(t)
  await app.register(connections, { unreadMs: 600_000 })
  const folder = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'file')
  await writeFile(path, Buffer.alloc(16_000_000))
  const held = { begun: 0, now: 0, most: 0, closed: 0 }
  let release = () => {}
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const numberOf = (url: string) => Number(url.split('?')[1])
  app.get('/file', async (_request, reply) => reply.send(createReadStream(path)))
  const fast = { onStart: () => {} }
  app.get('/fast', async ({ url }) => {
    fast.onStart()
    return `answer ${numberOf(url)}\n`
  })
  app.get('/at-once', ({ url }, reply) => {
    fast.onStart()
    reply.send(`answer ${numberOf(url)}\n`)
  })
  app.get('/held', async ({ url }, reply) => {
    held.begun++
    held.now++
    held.most = Math.max(held.most, held.now)
    reply.raw.once('close', () => held.closed++)
    await released
    held.now--
    return `answer ${numberOf(url)}\n`
  })
  app.get('/late', async (_request, reply) => {
    held.begun++
    held.now++
    await released
    held.now--
    return reply.send(createReadStream(path))
  })
  /** Descriptors of this process that read the file. */
  const countOpen = async () => {
    const links = (await readdir('/proc/self/fd')).map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''))
    return (await Promise.all(links)).filter((target) => target === path).length
  }
  return { ...(await listen(app)), app, lines, held, fast, release: () => release(), countOpen }
}

t.test('files of responses that nobody reads are closed with the connection', async (t) => {
  const { port, countOpen } = await pipelineApp(t)
  for (const count of [50, 200]) {
    const { socket } = rawConnection(port)
    socket.pause()
    socket.write(times(count, '/file'))
    await eventually('files are open', async () => (await countOpen()) > 1)
    t.ok((await countOpen()) <= inFlightMax)
    socket.destroy()
    await t.resolves(eventually(`all of ${count} are closed`, async () => (await countOpen()) === 0))
  }
})

t.test('a file that is opened after its connection has closed is closed as well', async (t) => {
  const { port, app, held, release, countOpen } = await pipelineApp(t)
  const { socket } = rawConnection(port)
  socket.write(times(inFlightMax, '/late'))
  await eventually('all are begun', () => held.begun === inFlightMax)
  socket.destroy()
  await eventually(
    'the connection has closed',
    () => new Promise((resolve) => app.server.getConnections((_, count) => resolve(count === 0))),
  )
  release()
  await eventually('all went on', () => held.now === 0)
  await t.resolves(eventually('none is open', async () => (await countOpen()) === 0))
})

t.test('a few are handled at once, the others wait; responses come in order', async (t) => {
  const { port, held, release } = await pipelineApp(t)
  const { socket, answer } = rawConnection(port)
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk
  })
  socket.write(times(inFlightMax + waitingMax, '/held'))
  await eventually('some are being handled', () => held.begun === inFlightMax)
  release()
  await eventually('all are answered', () => answersIn(text).length === inFlightMax + waitingMax)
  t.same(answersIn(text), upTo(inFlightMax + waitingMax))
  t.equal(held.most, inFlightMax)
  socket.write(`${get('/fast?7')}${get('/fast?8')}`)
  await eventually('the connection goes on', () => answersIn(text).length === inFlightMax + waitingMax + 2)
  socket.end()
  await answer
  t.equal(held.closed, inFlightMax + waitingMax)
})

for (const path of ['/fast', '/at-once']) {
  t.test(`those that wait are started one in each turn of the event loop: ${path}`, async (t) => {
    const { port, fast } = await pipelineApp(t)
    let turn = 0
    let isOver = false
    const countTurns = () => {
      turn++
      if (!isOver) setImmediate(countTurns)
    }
    const turns: number[] = []
    fast.onStart = () => turns.push(turn)
    const { socket } = rawConnection(port)
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    countTurns()
    socket.write(times(waitingMax, path))
    await eventually('all are answered', () => answersIn(text).length === waitingMax)
    isOver = true
    socket.destroy()
    t.equal(new Set(turns.slice(inFlightMax)).size, waitingMax - inFlightMax)
  })
}

t.test('too many waiting: what is in work is answered, then the connection is closed', async (t) => {
  const { app, port, held, release, lines } = await pipelineApp(t)
  let parsed = 0
  app.server.on('request', () => parsed++)
  const { socket, answer } = rawConnection(port)
  socket.write(times(1000, '/held'))
  await eventually('some are being handled', () => held.begun === inFlightMax)
  release()
  const text = await answer
  t.same(answersIn(text), upTo(inFlightMax))
  t.match(text, /answer 7\nHTTP\/1\.1 429 Too Many Requests\r\n[\s\S]*\r\nRetry-After: 1\r\n[\s\S]*"title":"Too many requests"/)
  t.equal(parsed, inFlightMax + waitingMax + 1, 'no more is parsed')
  t.equal(held.begun, inFlightMax, 'none of the others was begun')
  t.match(
    lines.filter(({ msg }) => msg.includes('too many requests waiting')),
    [{ level: 'warn', remoteAddress: '127.0.0.1' }],
  )
})

t.test('too many waiting behind what does not end, from a client that goes on sending', async (t) => {
  const { port, held, release } = await pipelineApp(t)
  const { socket, answer } = rawConnection(port)
  const sending = setInterval(() => socket.write(times(100, '/held')), 5)
  t.after(() => clearInterval(sending))
  t.equal(await answer, '')
  clearInterval(sending)
  t.equal(held.begun, inFlightMax)
  await eventually('all of them were told', () => held.closed === inFlightMax)
  release()
})

t.test('what follows good requests and is no request is refused behind their responses', async (t) => {
  const { port, held, release } = await pipelineApp(t)
  const { answer, socket } = rawConnection(port)
  socket.write(`${times(3, '/held')}NONSENSE\r\n\r\n`)
  await eventually('all are being handled', () => held.begun === 3)
  release()
  const text = await answer
  t.same(answersIn(text), [0, 1, 2])
  t.match(text, /answer 2\nHTTP\/1\.1 400 [\s\S]*"type":"\/problems\/bad-request"/)
})

t.test('behind what does not end, it closes the connection', async (t) => {
  const { port, held, release } = await pipelineApp(t)
  const { answer, socket } = rawConnection(port)
  socket.write(`${times(3, '/held')}NONSENSE\r\n\r\n`)
  t.equal(await answer, '')
  await eventually('all of them were told', () => held.closed === 3)
  release()
})

t.test('requests with an Expect header are bounded like all others', async (t) => {
  const { port, held, release } = await pipelineApp(t)
  const { socket, answer } = rawConnection(port)
  for (const expectation of ['wonders', '100-continue']) {
    const one = `GET /held?0 HTTP/1.1\r\nHost: a\r\nExpect: ${expectation}\r\n\r\n`
    socket.write(one.repeat(10))
  }
  await eventually('some are being handled', () => held.begun === inFlightMax)
  socket.destroy()
  await answer
  await eventually('all of them were told', () => held.closed === inFlightMax)
  t.equal(held.begun, inFlightMax)
  release()
})
