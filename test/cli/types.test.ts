// The command `jobgate types check`: what it says of files, and its exit codes.

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { runClientCommand } from '../../src/cli/cli.js'

const data = (properties: object, required: string[] = []) => ({ type: 'object', properties, required, additionalProperties: false })
const width = { type: 'integer', minimum: 1, maximum: 8000 }
const source = { type: 'string', format: 'uri' }
const resize = {
  description: 'Makes a smaller copy of an image.',
  data: data({ source, width }, ['source', 'width']),
  result: data({ url: source }, ['url']),
  example: { source: 'https://example.com/a.png', width: 640 },
  defaults: { attempts: 5, timeoutMs: 60_000, priority: 'normal' },
  runs: { by: 'pull' },
}

t.test('a file, alone and against an earlier version', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const run = async (...args: string[]) => {
    const lines: string[] = []
    const print = (line: string) => lines.push(line.replaceAll(dir, ''))
    const terminal = { out: print, err: print, isInteractive: false, stdin: async () => '' }
    const settings = () => {
      throw new Error('no gateway is asked')
    }
    const code = await runClientCommand('types', args, { settings, terminal })
    return { code, out: lines.join('\n') }
  }
  const write = async (name: string, body: unknown) => {
    const path = join(dir, name)
    await writeFile(path, typeof body === 'string' ? body : JSON.stringify(body))
    return path
  }
  const first = await write('first.json', resize)
  t.same(await run('check', first), { code: 0, out: '/first.json is fine.' })

  const open = await write('open.json', { ...resize, data: { type: 'object', properties: { source: { type: 'string' } } } })
  const refused = await run('check', open)
  t.equal(refused.code, 1)
  t.match(refused.out, /#\/data must be closed: add "additionalProperties": false.*\(closed\)/)
  t.match(refused.out, /#\/data\/properties\/source must be bounded: add maxLength/)

  const wrongs: [object, RegExp][] = [
    [{ ...resize, example: { source: 'x', width: 0 } }, /#\/example\/width must be >= 1/],
    [{ ...resize, data: data({ width: { ...width, default: 0 } }), example: {} }, /#\/data\/properties\/width\/default does not fit/],
    [{ ...resize, runs: { by: 'magic' } }, /#\/runs/],
    [{ ...resize, more: 1 }, /#\/more is not a known member/],
  ]
  for (const [body, expected] of wrongs) t.match(await run('check', await write('wrong.json', body)), { code: 1, out: expected })

  const wider = await write('wider.json', {
    ...resize,
    data: data({ source, width, format: { enum: ['png', 'webp'] } }, ['source', 'width']),
  })
  t.match(await run('check', wider, '--against', first), { code: 0, out: /is fine, and compatible/ })
  const narrower = await write('narrower.json', {
    ...resize,
    data: data({ source, width: { ...width, maximum: 1000 } }, ['source', 'width']),
  })
  const incompatible = await run('check', narrower, '--against', first)
  t.equal(incompatible.code, 1)
  t.match(
    incompatible.out,
    /#\/data\/width allowed larger numbers than 1000 \(maximum\)\nFor example, .*\n {2}\{"source":.*"width":\d{4}\}/,
  )
  const told = await write('told.json', { ...resize, result: data({ url: source, bytes: { type: 'integer' } }, ['url']) })
  t.match(await run('check', told, '--against', first), { code: 1, out: /#\/result\/bytes was removed/ })

  t.match(await run('check', await write('text.json', 'no')), { code: 2, out: /cannot be read/ })
  t.match(await run('check', join(dir, 'nowhere')), { code: 2, out: /cannot be read/ })
  t.match(await run('check'), { code: 2, out: /check takes one argument/ })
  t.match(await run('look', first), { code: 2, out: /Unknown subcommand/ })
  t.match(await run('check', first, '--name', 'x'), { code: 2, out: /goes with --remote/ })
  t.match(await run('check', '--frobnicate'), { code: 2 })
  t.match(await run('--help'), { code: 0, out: /Usage:/ })
})
