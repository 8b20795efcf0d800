// The guarded fetch: what it refuses, without a connection ever reaching a server, and how it bounds what it reads.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import type { LookupFunction } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import t from 'tap'
import { createOutbound } from '../../src/outbound/client.js'
import { type OutboundOutcome, outboundFault } from '../../src/outbound/outcome.js'
import { checkUrl, isPublicAddress } from '../../src/outbound/rules.js'
import { privateHosts } from '../helpers/private-hosts.js'
import { startSourceServer, stream } from '../helpers/source-server.js'

type Rules = Parameters<typeof checkUrl>[1]
const rules = (overrides: Partial<Rules> = {}): Rules => ({
  allowHosts: [],
  allowPorts: [],
  allowPrivateHosts: [],
  maxRedirects: 3,
  ...overrides,
})

interface Test {
  after(close: () => unknown): unknown
}

const open = (t: Test, overrides: Partial<Rules> = {}, parts: { lookup?: LookupFunction; ca?: string } = {}) => {
  const outbound = createOutbound({ rules: rules(overrides), ...parts })
  t.after(() => outbound.close())
  return outbound
}

/** Answers every name with these addresses; later calls get the later lists. */
const resolver = (...answers: string[][]) => {
  let calls = 0
  const lookup = ((_name: string, options: { all?: boolean }, callback: (...all: unknown[]) => void) => {
    const found = (answers[Math.min(calls, answers.length - 1)] ?? []).map((address) => ({
      address,
      family: address.includes(':') ? 6 : 4,
    }))
    calls += 1
    if (options.all) callback(null, found)
    else callback(null, found[0]?.address, found[0]?.family)
  }) as unknown as LookupFunction
  return { lookup, calls: () => calls }
}

const patient = () => ({ signal: new AbortController().signal, maxBytes: 1_000_000 })

const readAll = async (outcome: OutboundOutcome): Promise<Buffer> => {
  if (outcome.kind !== 'response') throw new Error(`no response but ${outcome.kind}`)
  const chunks: Buffer[] = []
  for await (const chunk of outcome.body) chunks.push(chunk)
  return Buffer.concat(chunks)
}

const faultOf = async (outcome: OutboundOutcome): Promise<string | null> => {
  try {
    await readAll(outcome)
    return null
  } catch (error) {
    return outboundFault(error)
  }
}

t.test('refuses every form of a private host, and no connection reaches the server', async (t) => {
  const server = await startSourceServer(t, { '/': (_, response) => response.end('secret') })
  const outbound = open(t, { allowPorts: [server.port] })
  for (const host of privateHosts) {
    for (const url of [`https://${host}:${server.port}/`, `http://${host}:${server.port}/`, `https://${host}/`, `http://${host}/`]) {
      t.same(await outbound.fetch(url, patient()), { kind: 'refused', reason: 'address' }, url)
      t.equal(outbound.checkUrl(url), 'does not point to a public address', url)
    }
  }
  t.equal(server.connections(), 0)
  t.same(server.requests, [])
})

t.test('knows public addresses from others', async (t) => {
  for (const address of ['8.8.8.8', '1.1.1.1', '172.15.0.1', '172.32.0.1', '100.63.0.1', '2606:4700::1111', '::ffff:8.8.8.8']) {
    t.equal(isPublicAddress(address), true, address)
  }
  for (const address of ['', 'example.com', '127.0.0.1%eth0', 'fe80::1%eth0', '::8.8.8.8', '168.63.129.16', '::ffff:168.63.129.16']) {
    t.equal(isPublicAddress(address), false, address)
  }
})

t.test('refuses other schemes, userinfo, ports and hosts, at submission and when fetching', async (t) => {
  const given = rules({ allowPorts: [8443], allowHosts: ['files.example.com', '.example.net'] })
  const outbound = open(t, given)
  const cases: [string, string | null][] = [
    ['file:///etc/passwd', 'scheme'],
    ['data:text/plain,hello', 'scheme'],
    ['ftp://files.example.com/a', 'scheme'],
    ['javascript:alert(1)', 'scheme'],
    ['blob:https://files.example.com/a', 'scheme'],
    ['http://files.example.com/a', 'scheme'],
    ['//files.example.com/a', 'malformed'],
    ['files.example.com/a', 'malformed'],
    ['', 'malformed'],
    ['https://', 'malformed'],
    ['https://[fe80::1%25eth0]/', 'malformed'],
    ['https://256.1.1.1/', 'malformed'],
    ['https://user@files.example.com/a', 'userinfo'],
    ['https://user:pass@files.example.com/a', 'userinfo'],
    ['https://files.example.com@127.0.0.1/', 'userinfo'],
    ['https://files.example.com:22/a', 'port'],
    ['https://files.example.com:6379/a', 'port'],
    ['https://files.example.com:0/a', 'port'],
    ['https://other.example.com/a', 'host'],
    ['https://notexample.net/a', 'host'],
    ['https://files.example.com.evil.org/a', 'host'],
    ['https://files.example.com/a', null],
    ['https://FILES.example.com./a', null],
    ['https://files.example.com:8443/a?token=1', null],
    ['https://files.example.com:80/a', null],
    ['https://example.net/a', null],
    ['https://a.b.example.net/a', null],
  ]
  for (const [url, reason] of cases) {
    t.equal(checkUrl(url, given) === null, reason === null, url)
    if (reason) t.same(await outbound.fetch(url, patient()), { kind: 'refused', reason }, url)
  }
  t.equal(checkUrl('https://anything.example.org/a', rules()), null, 'without a list every public host will do')
})

t.test('checks every address a name resolves to, before a connection is made', async (t) => {
  const server = await startSourceServer(t, { '/': (_, response) => response.end('secret') })
  const lists = [
    ['127.0.0.1'],
    ['::1'],
    ['8.8.8.8', '127.0.0.1'],
    ['127.0.0.1', '8.8.8.8'],
    ['2606:4700::1111', '::ffff:127.0.0.1'],
    ['169.254.169.254'],
    ['64:ff9b::7f00:1'],
    [],
  ]
  for (const answers of lists) {
    const { lookup, calls } = resolver(answers)
    const outbound = open(t, { allowPorts: [server.port] }, { lookup })
    t.same(
      await outbound.fetch(`https://files.example.com:${server.port}/`, patient()),
      { kind: 'refused', reason: 'address' },
      answers.join(),
    )
    t.equal(calls(), 1, 'resolved once: what is checked is what is connected to')
  }
  t.equal(server.connections(), 0)
})

t.test('a resolver that answers public first and private later gets nowhere', async (t) => {
  const server = await startSourceServer(t, { '/': (_, response) => response.end('secret') })
  // Global unicast, yet allotted to nobody.
  const { lookup, calls } = resolver(['2d00::1'], ['127.0.0.1'])
  const outbound = open(t, { allowPorts: [server.port] }, { lookup })
  const url = `https://rebind.example.com:${server.port}/`
  t.match((await outbound.fetch(url, { ...patient(), totalTimeoutMs: 500 })).kind, /^(unreachable|timeout)$/)
  t.same(await outbound.fetch(url, patient()), { kind: 'refused', reason: 'address' })
  t.equal(calls(), 2, 'each fetch resolves anew')
  t.equal(server.connections(), 0)
})

/** A certificate made for this run. */
const certificate = (t: Test) => {
  const directory = mkdtempSync(join(tmpdir(), 'jg-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const [key, cert] = [join(directory, 'key'), join(directory, 'cert')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:files.example.com,IP:127.0.0.1']
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
      '-keyout',
      key,
      '-out',
      cert,
      ...subject,
    ],
    { stdio: 'ignore' },
  )
  return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') }
}

t.test('a peer that is not public gets no request even when the resolver was believed', async (t) => {
  const pair = certificate(t)
  const server = await startSourceServer(t, { '/': (_, response) => response.end('secret') }, pair)
  // Shows the guard a public address and the socket a private one, as a resolver that is bypassed on the way would.
  let asked = 0
  const lookup = ((_name: string, _options: unknown, callback: (...all: unknown[]) => void) => {
    const answer = {
      family: 4,
      get address() {
        asked += 1
        return asked === 1 ? '8.8.8.8' : '127.0.0.1'
      },
    }
    callback(null, [answer])
  }) as unknown as LookupFunction
  const outbound = open(t, { allowPorts: [server.port] }, { lookup, ca: pair.cert })
  t.same(await outbound.fetch(`https://files.example.com:${server.port}/`, patient()), { kind: 'refused', reason: 'address' })
  t.equal(server.connections(), 1, 'the trick works: without the check of the peer the server would be asked')
  t.same(server.requests, [])
})

t.test('follows redirects up to the limit, checking each hop', async (t) => {
  const hidden = await startSourceServer(t, { '/': (_, response) => response.end('secret') })
  const to =
    (location: string, status = 302) =>
    (_: unknown, response: ServerResponse) =>
      response.writeHead(status, { location }).end('moved')
  const server = await startSourceServer(t, {
    '/end': (_, response) => response.end('here'),
    '/one': to('/end', 301),
    '/two': to('/one', 303),
    '/three': to('two', 307),
    '/four': to('/three', 308),
    '/loop': to('/loop'),
    '/private-https': to(`https://127.0.0.1:${hidden.port}/`),
    '/private-http': to(`http://127.0.0.1:${hidden.port}/`),
    '/private-name': to(`https://localhost:${hidden.port}/`),
    '/private-resolved': to(`https://files.example.com:${hidden.port}/`),
    '/private-relative': to(`//[::1]:${hidden.port}/`),
    '/metadata': to('http://169.254.169.254/latest/meta-data/'),
    '/file': to('file:///etc/passwd'),
    '/userinfo': to('https://user:pass@files.example.com/'),
    '/port': to('https://files.example.com:25/'),
    '/nonsense': to('https://['),
    '/nowhere': (_, response) => response.writeHead(302).end('no location'),
    '/choices': (_, response) => response.writeHead(300, { location: '/end' }).end('choose'),
  })
  const outbound = open(
    t,
    { allowPorts: [hidden.port], allowPrivateHosts: [{ host: '127.0.0.1', port: server.port }] },
    { lookup: resolver(['127.0.0.1']).lookup },
  )
  const get = (path: string) => outbound.fetch(`${server.url}${path}`, patient())
  t.equal(String(await readAll(await get('/three'))), 'here')
  t.same(await get('/four'), { kind: 'too-many-redirects' })
  t.same(await get('/loop'), { kind: 'too-many-redirects' })
  for (const path of ['/private-https', '/private-http', '/private-name', '/private-resolved', '/private-relative', '/metadata']) {
    t.same(await get(path), { kind: 'refused', reason: 'address' }, path)
  }
  t.same(await get('/file'), { kind: 'refused', reason: 'scheme' })
  t.same(await get('/userinfo'), { kind: 'refused', reason: 'userinfo' })
  t.same(await get('/port'), { kind: 'refused', reason: 'port' })
  t.same(await get('/nonsense'), { kind: 'refused', reason: 'malformed' })
  t.match(await get('/nowhere'), { kind: 'response', status: 302 })
  t.match(await get('/choices'), { kind: 'response', status: 300 })
  t.equal(hidden.connections(), 0)
})

t.test('verifies certificates, and never goes from https to http', async (t) => {
  const pair = certificate(t)
  const plain = await startSourceServer(t, { '/': (_, response) => response.end('plain') })
  const secure = await startSourceServer(
    t,
    {
      '/': (_, response) => response.end('secure'),
      '/down': (_, response) => response.writeHead(302, { location: `${plain.url}/` }).end(),
    },
    pair,
  )
  const hosts = [secure, plain].map(({ port }) => ({ host: '127.0.0.1', port }))
  const trusting = open(t, { allowPrivateHosts: hosts }, { ca: pair.cert })
  t.equal(String(await readAll(await trusting.fetch(`${secure.url}/`, patient()))), 'secure')
  t.same(await trusting.fetch(`${secure.url}/down`, patient()), { kind: 'refused', reason: 'downgrade' })
  t.equal(plain.connections(), 0)

  const wary = open(t, { allowPrivateHosts: hosts })
  const requests = secure.requests.length
  t.same(await wary.fetch(`${secure.url}/`, patient()), { kind: 'unreachable' })
  t.equal(secure.requests.length, requests, 'nothing is sent to a server that cannot prove its name')
})

t.test('an exempt host and port is reached, its neighbours are not', async (t) => {
  const server = await startSourceServer(t, { '/': (_, response) => response.end('demo') })
  const other = await startSourceServer(t, { '/': (_, response) => response.end('other') })
  const byName = open(t, { allowPrivateHosts: [{ host: 'localhost', port: server.port }] })
  t.equal(String(await readAll(await byName.fetch(`http://localhost:${server.port}/`, patient()))), 'demo')
  t.same(await byName.fetch(`http://127.0.0.1:${server.port}/`, patient()), { kind: 'refused', reason: 'address' })
  t.same(await byName.fetch(`http://localhost:${other.port}/`, patient()), { kind: 'refused', reason: 'address' })
  t.equal(other.connections(), 0)
})

t.test('ignores proxy variables', async (t) => {
  const proxy = await startSourceServer(t, {})
  const server = await startSourceServer(t, { '/': (_, response) => response.end('direct') })
  const names = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'https_proxy', 'ALL_PROXY', 'all_proxy']
  const before = names.map((name) => process.env[name])
  for (const name of names) process.env[name] = proxy.url
  t.after(() => {
    for (const [index, name] of names.entries()) {
      if (before[index] === undefined) delete process.env[name]
      else process.env[name] = before[index]
    }
  })
  const outbound = open(t, { allowPrivateHosts: [{ host: '127.0.0.1', port: server.port }] })
  t.equal(String(await readAll(await outbound.fetch(`${server.url}/`, patient()))), 'direct')
  t.equal(proxy.connections(), 0)
})

t.test('bounds what it reads and how long it waits', async (t) => {
  const endless = function* () {
    for (;;) yield Buffer.alloc(65_536, 1)
  }
  const seen: string[] = []
  const server = await startSourceServer(t, {
    '/endless': (_, response) => stream(response, endless()),
    '/announced': (_, response) => response.writeHead(200, { 'content-length': '2000000' }).write('x'),
    '/exact': (_, response) => response.end(Buffer.alloc(1_000_000)),
    '/over': (_, response) => stream(response, [Buffer.alloc(600_000), Buffer.alloc(400_001)]),
    '/no-headers': () => undefined,
    '/silent-body': (_, response) => response.writeHead(200).write('begin'),
    '/drip': (_, response) => {
      const timer = setInterval(() => response.write('.'), 20)
      response.on('close', () => clearInterval(timer))
    },
    '/short': (_, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('only this')
      response.socket?.end()
    },
    '/cut-chunked': (_, response) => {
      response.writeHead(200).write('only this')
      response.socket?.end()
    },
    '/extra': (_, response) => response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour and more than four'),
    '/two-lengths': (_, response) => response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\nfour'),
    '/smuggle': (_, response) =>
      response.socket?.end('HTTP/1.1 200 OK\r\ncontent-length: 4\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'),
    '/no-http': (_, response) => response.socket?.end('hello, this is not HTTP\r\n'),
    '/big-headers': (_, response) => response.socket?.end(`HTTP/1.1 200 OK\r\nx: ${'a'.repeat(100_000)}\r\n\r\n`),
    '/hang-up': (_, response) => response.socket?.destroy(),
    '/gzip': (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(10_000_000))),
    '/headers': (request, response) => {
      seen.push(String(request.headers['accept-encoding']), String(request.headers['authorization']))
      response.writeHead(404, { 'content-type': 'text/plain', 'content-length': '4' }).end('none')
    },
  })
  const outbound = open(t, { allowPrivateHosts: [{ host: '127.0.0.1', port: server.port }] })
  const get = (path: string, more = {}) => outbound.fetch(`${server.url}${path}`, { ...patient(), ...more })

  t.equal(await faultOf(await get('/endless')), 'too-large')
  t.same(await get('/announced'), { kind: 'too-large' })
  t.equal((await readAll(await get('/exact'))).length, 1_000_000)
  t.equal(await faultOf(await get('/over')), 'too-large')
  t.same(await get('/no-headers', { headersTimeoutMs: 100 }), { kind: 'timeout' })
  t.same(await get('/no-headers', { totalTimeoutMs: 100 }), { kind: 'timeout' })
  t.equal(await faultOf(await get('/silent-body', { idleTimeoutMs: 1000 })), 'timeout')
  t.equal(
    await faultOf(await get('/drip', { idleTimeoutMs: 60_000, totalTimeoutMs: 2000 })),
    'timeout',
    'a drip outlasts the idle limit, not the total',
  )
  t.equal(await faultOf(await get('/short')), 'interrupted')
  t.equal(await faultOf(await get('/cut-chunked')), 'interrupted')
  const extra = await get('/extra')
  if (extra.kind === 'response') t.notMatch(String(await readAll(extra).catch(() => 'four')), 'more')
  t.match((await get('/two-lengths')).kind, 'unreachable')
  t.match((await get('/smuggle')).kind, 'unreachable')
  t.same(await get('/no-http'), { kind: 'unreachable' })
  t.same(await get('/big-headers'), { kind: 'unreachable' })
  t.same(await get('/hang-up'), { kind: 'unreachable' })
  t.same(await get('/gzip'), { kind: 'encoded' })
  t.same(await outbound.fetch('http://127.0.0.1:9/', patient()), { kind: 'refused', reason: 'address' })

  const missing = await get('/headers')
  t.match(missing, { kind: 'response', status: 404, sizeBytes: 4, headers: { 'content-type': 'text/plain' } })
  t.same(seen, ['identity', 'undefined'])
  if (missing.kind === 'response') missing.discard()
})

t.test('obeys the signal of the caller, before, while waiting and while reading', async (t) => {
  const server = await startSourceServer(t, {
    '/no-headers': () => undefined,
    '/silent-body': (_, response) => response.writeHead(200).write('begin'),
  })
  const outbound = open(t, { allowPrivateHosts: [{ host: '127.0.0.1', port: server.port }] })
  t.same(await outbound.fetch(`${server.url}/no-headers`, { ...patient(), signal: AbortSignal.abort() }), { kind: 'aborted' })
  t.equal(server.requests.length, 0)

  const waiting = new AbortController()
  const fetched = outbound.fetch(`${server.url}/no-headers`, { ...patient(), signal: waiting.signal })
  waiting.abort()
  t.same(await fetched, { kind: 'aborted' })

  const reading = new AbortController()
  const outcome = await outbound.fetch(`${server.url}/silent-body`, { ...patient(), signal: reading.signal })
  const fault = faultOf(outcome)
  reading.abort()
  t.equal(await fault, 'aborted')

  const unread = new AbortController()
  t.equal((await outbound.fetch(`${server.url}/silent-body`, { ...patient(), signal: unread.signal })).kind, 'response')
  unread.abort()
})
