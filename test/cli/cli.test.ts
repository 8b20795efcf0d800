// The commands that talk to a gateway, against the whole product on a free port.

import { writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { clientCommands, runClientCommand, toOverview } from '../../src/cli/cli.js'
import { loadClientSettings } from '../../src/config/config.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'

/** Runs commands against one address; `isInteractive` as on a terminal. */
const createRunner =
  (url: string, { apiKey = adminKey, isInteractive = false, stdin = '' } = {}) =>
  async (name: string, ...args: string[]) => {
    let out = ''
    let err = ''
    const terminal = {
      out: (text: string) => {
        out += `${text}\n`
      },
      err: (text: string) => {
        err += text
      },
      isInteractive,
      stdin: async () => stdin,
    }
    const code = await runClientCommand(name, args, { settings: () => ({ url, apiKey }), terminal })
    return { code, out, err }
  }

const listen = async (t: { after(handler: () => unknown): void }, server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

t.test('jobs', async (t) => {
  const { app, probes, config } = await buildTestApp(t)
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const run = createRunner(url)
  const submitted = async (...args: string[]) => JSON.parse((await run('submit', ...args, '--json')).out)

  await t.test('submit: data from the line, a file and standard input; the same key is the same job', async (t) => {
    const { code, out, err } = await run('submit', 'echo', '--data', '{"label":"a"}', '--key', 'say "hi"')
    t.same({ code, err }, { code: 0, err: '' })
    t.match(out, /^id +ext_\S+\ntype +echo\n/)
    const again = await submitted('echo', '--data', '{"label":"a"}', '--key', 'say "hi"')
    t.match(out, again.id)
    t.equal(again.idempotencyKey, 'say "hi"')

    const path = join(config.dataDir, 'data.json')
    await writeFile(path, '{"label":"from a file"}')
    t.match(await submitted('echo', '--data', `@${path}`, '--priority', 'high'), { data: { label: 'from a file' }, priority: 'high' })
    const piped = await createRunner(url, { stdin: '{"label":"piped"}' })('submit', 'echo', '--data', '-', '--wait', '--json')
    t.match(JSON.parse(piped.out), { state: 'completed', result: { label: 'piped' } })
    t.match(await submitted('echo', '--data', '{"label":"later"}', '--delay-ms', '60000'), { state: 'delayed' })
  })

  await t.test('wait and status: the end of the job decides the exit code of wait alone', async (t) => {
    const good = await run('submit', 'progress', '--data', '{"label":"p"}', '--wait')
    t.equal(good.code, 0)
    t.match(good.out, /state +completed/)
    const bad = await run('submit', 'refuse', '--data', '{"label":"r"}', '--wait')
    t.equal(bad.code, 1)
    t.match(bad.out, /error +invalid_data: Never\./)
    const id = /ext_\S+/.exec(bad.out)?.[0] ?? ''
    t.equal((await run('wait', id)).code, 1)
    t.equal((await run('status', id)).code, 0)

    const { id: blocked } = await submitted('block', '--data', '{"label":"b"}')
    await probes.started('b')
    const waiting = createRunner(url, { isInteractive: true })('wait', blocked)
    probes.release('b')
    const waited = await waiting
    t.equal(waited.code, 0)
    t.ok(waited.err.includes('\r\u001b[K'), 'a terminal sees how far it is')
  })

  await t.test('tail: a line an event, and only what is new after an event', async (t) => {
    const { id } = await submitted('progress', '--data', '{"label":"t"}')
    await run('wait', id)
    const { id: blocked } = await submitted('block', '--data', '{"label":"t2"}')
    await probes.started('t2')
    const tailing = run('tail', blocked)
    probes.release('t2')
    const { code, out } = await tailing
    t.equal(code, 0)
    t.match(out, /(?:^|\n)\d+-\d+ {2}completed {2}\{"label":"t2"\}\n$/)
    const lines = (await run('tail', blocked, '--json')).out.trim().split('\n')
    const last = JSON.parse(lines.at(-1) ?? '')
    t.match(last, { event: 'completed', data: { id: blocked, state: 'completed' } })
    t.same(await run('tail', id, '--last-event-id', last.id), { code: 0, out: '', err: '' }, 'nothing is new')
  })

  await t.test('problems: what, where, and exit code 3; the key is never shown', async (t) => {
    const invalid = await run('submit', 'echo', '--data', '{"label":7}')
    t.match(invalid, { code: 3, out: '', err: /^jobgate: The request does not match its schema \(400\)[\s\S]*#\/data\/label/ })
    const asJson = await run('status', 'ext_AAAAAAAAAAAAAAAAAAAAAA', '--json')
    t.equal(asJson.code, 3)
    t.match(JSON.parse(asJson.err), { type: '/problems/not-found', status: 404 })
    const secret = 'a-key-that-nobody-knows'
    const refused = await createRunner(url, { apiKey: secret })('wait', 'ext_AAAAAAAAAAAAAAAAAAAAAA')
    t.match(refused, { code: 3, err: /401[\s\S]*JOBGATE_API_KEY/ })
    t.notMatch(refused.err, secret)
  })
})

t.test('operators', async (t) => {
  const { app } = await buildTestApp(t)
  const run = createRunner(await app.listen({ host: '127.0.0.1', port: 0 }))

  await t.test('queues, pause and resume', async (t) => {
    t.match(await run('pause', 'email'), { code: 0, out: 'email is paused\n' })
    const { out } = await run('queues')
    t.match(out, /^queue +waiting +paused/)
    t.match(out, /\nemail .*\(paused\)/)
    t.match(JSON.parse((await run('queues', '--json')).out), { health: { queues: {} }, metrics: { email: { isPaused: true } } })
    t.match(await run('resume'), { code: 0, out: /email is running/ })
    t.match(await run('pause', 'nowhere'), { code: 3 })
  })

  await t.test('clean and redrive', async (t) => {
    await run('submit', 'echo', '--data', '{"label":"c"}', '--wait')
    const cleaned = JSON.parse((await run('clean', '--completed-max-age', '0', '--limit', '10', '--json')).out)
    t.match(cleaned, { 'external-api': { completed: 1, failed: 0 } })
    t.match((await run('clean')).out, /^queue +completed +failed\n/)
    await run('submit', 'refuse', '--data', '{"label":"d"}', '--wait')
    const estimate = await run('redrive', 'external-api', '--type', 'refuse', '--dry-run', '--json')
    t.match(JSON.parse(estimate.out), { dryRun: true, affected: 1 })
    t.match(await run('redrive', 'external-api', '--rate', '5'), { code: 0, out: /^id +op_/ })
  })

  await t.test('schedules', async (t) => {
    const data = '{"type":"echo","data":{"label":"s"},"everyMs":3600000}'
    t.match(await run('schedules', 'put', 'hourly', '--data', data), { code: 0, out: /when +every 3600000 ms/ })
    t.match(await run('schedules'), { code: 0, out: /^id .*\nhourly +echo +every 3600000 ms/ })
    t.match(JSON.parse((await run('schedules', '--json')).out), { items: [{ id: 'hourly' }] })
    t.match(JSON.parse((await run('schedules', 'trigger', 'hourly', '--json')).out), { scheduleId: 'hourly' })
    t.same(await run('schedules', 'delete', 'hourly'), { code: 0, out: '', err: '' })
    t.equal((await run('schedules', 'delete', 'hourly')).code, 3)
  })
})

t.test('wrong usage: exit code 2, the usage, and no gateway is asked', async (t) => {
  const run = createRunner('http://127.0.0.1:1')
  const wrong = [
    ['submit'],
    ['submit', 'echo', 'echo'],
    ['submit', 'echo', '--data', '{'],
    ['submit', 'echo', '--data', '@/nowhere/at-all'],
    ['submit', 'echo', '--key', 'é'],
    ['submit', 'echo', '--delay-ms', 'soon'],
    ['status', 'x', '--unknown'],
    ['clean', '--limit', '-1'],
    ['redrive', 'email', '--rate', 'x'],
    ['schedules', 'put'],
    ['schedules', 'put', 'x'],
    ['schedules', 'burn', 'x'],
    ['schedules', 'list', 'x'],
  ] as const
  for (const [name, ...args] of wrong) {
    t.match(await run(name, ...args), { code: 2, out: '', err: /Usage:\n {2}jobgate / }, [name, ...args].join(' '))
  }
  for (const name of Object.keys(clientCommands)) {
    t.match(await run(name, '--help'), { code: 0, out: new RegExp(`jobgate ${name}[\\s\\S]*Exit codes`), err: '' }, `${name} --help`)
    t.match(toOverview({}), `  ${name} `)
  }
})

t.test('a gateway that is away or broken: exit code 4', async (t) => {
  const away = createRunner('http://127.0.0.1:1')
  t.match(await away('pause'), { code: 4, err: /http:\/\/127\.0\.0\.1:1: Cannot connect/ })
  let requests = 0
  const keys = new Set<unknown>()
  const url = await listen(
    t,
    createServer((request, response) => {
      requests++
      keys.add(request.headers['idempotency-key'])
      response.writeHead(503, { 'retry-after': '0' }).end('<html>')
    }),
  )
  const lost = await createRunner(url)('submit', 'echo')
  t.match(lost, { code: 4, err: /\(503\)[\s\S]*submit it again with --key '/ })
  t.same([requests, keys.size], [3, 1], 'sent again under the same key')
  t.match(await createRunner(url)('clean'), { code: 4 })
  t.equal(requests, 4, 'what has no key is sent once')
})

t.test('tail takes a broken stream up where it ended', async (t) => {
  const asked: unknown[] = []
  const url = await listen(
    t,
    createServer((request, response) => {
      asked.push(request.headers['last-event-id'])
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      if (asked.length === 1)
        response.write('retry: 3000\n\nid: 1-0\nevent: active\ndata: {"state":"active"}\n\n', () => response.destroy())
      else response.end(':\n\nid: 2-0\nevent: completed\ndata: {"state":"completed","result":"a\\u001b[2Jb"}\n\n')
    }),
  )
  t.same(await createRunner(url)('tail', 'x'), { code: 0, out: '1-0  active\n2-0  completed  a [2Jb\n', err: '' })
  t.same(asked, [undefined, '1-0'])
})

t.test('settings: the address and the key, and nothing of the gateway', async (t) => {
  const load = (env: Record<string, string>) => loadClientSettings(env, '/nonexistent')
  t.same(load({ PORT: 'not a port' }), { url: 'http://127.0.0.1:3000', apiKey: undefined })
  t.throws(() => load({ JOBGATE_URL: 'ftp://x' }), /JOBGATE_URL must start with/)
  t.throws(() => load({ JOBGATE_URL: 'http://u:p@x' }), /without user, password/)
  t.throws(() => load({ JOBGATE_API_KEY: 'two words here' }), {
    message: 'Configuration: JOBGATE_API_KEY must be 8 to 512 visible ASCII characters',
  })
})
