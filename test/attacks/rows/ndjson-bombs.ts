// Row 20: imports that would fill memory or never end: each line is refused on its own, or the whole import is.

import type { Row } from '../row.js'

const lineBytesMax = 262_144
/** A line of so many times the limit ends the import. */
const endlessFactor = 64
const junkLines = 50_000
const depth = 100_000
const slack = 64 * 1024

interface Import {
  readonly name: string
  readonly body: () => Buffer
  /** Of every line that is answered; empty when the import is refused as a whole. */
  readonly lines: readonly number[]
  /** Of the answer. */
  readonly status: number
  readonly headers?: string
}

const good = '{"type":"process-webhook","data":{"source":"other","eventId":"n","eventType":"n","payload":{}}}\n'
const text = (name: string, body: () => string, lines: readonly number[], status = 207): Import => ({
  name,
  body: () => Buffer.from(body()),
  lines,
  status,
})

const imports: readonly Import[] = [
  text('a line that is too long', () => `${good}${'x'.repeat(lineBytesMax + 10)}\n${good}`, [202, 413, 202]),
  text('a line without an end', () => 'x'.repeat(lineBytesMax * endlessFactor + slack), [], 413),
  text('depth', () => `${'['.repeat(depth)}\n${good}`, [400, 202]),
  text('depth, closed', () => `{"type":${'['.repeat(depth)}${']'.repeat(depth)}}\n${good}`, [400, 202]),
  text('__proto__', () => `{"__proto__":{"a":1}}\n{"type":"process-webhook","data":{"constructor":{"prototype":{}}}}\n`, [400, 400]),
  text('unknown members', () => `{${Array.from({ length: 20_000 }, (_, n) => `"m${n}":1`).join(',')}}\n${good}`, [413, 202]),
  text('NUL', () => `\0\0\0\n${good}`, [400, 202]),
  text('CR alone', () => '{}\r{}\r{}\n', [400]),
  text('values that are no objects', () => '1\nnull\n[]\n"x"\n', [400, 400, 400, 400]),
  text('blank lines', () => `${'\n'.repeat(200_000)}${good}`, [202]),
  text(
    'junk',
    () => '{\n'.repeat(junkLines),
    Array.from({ length: junkLines }, () => 400),
  ),
  {
    name: 'bytes of no text',
    body: () => Buffer.concat([Buffer.from([0xff, 0xfe, 0x0a, 0xc0, 0xaf, 0x0a, 0xed, 0xa0, 0x80, 0x0a]), Buffer.from(good)]),
    lines: [400, 400, 400, 202],
    status: 207,
  },
  { ...text('a content encoding', () => good, [], 415), headers: 'Content-Encoding: gzip\r\n' },
  { ...text('another charset', () => good, [], 415), headers: 'X: y\r\n' },
]

export const ndjsonBombs: Row = {
  id: 'ndjson-bombs',
  title: 'NDJSON bombs: lines without an end, depth, junk, bytes that are no text',
  matrix: 20,
  quick: true,
  async run({ open, world, tried, check }) {
    for (const { name, body, lines, status, headers = '' } of imports) {
      const wire = open()
      const bytes = body()
      const type = name === 'another charset' ? 'application/x-ndjson; charset=utf-16' : 'application/x-ndjson'
      wire.send(
        `POST /v1/jobs/batch HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${world.keys.red.submit}\r\nContent-Type: ${type}\r\n${headers}Content-Length: ${bytes.length}\r\n\r\n`,
      )
      wire.send(bytes)
      tried()
      const answer = await wire.next()
      wire.close()
      check(`${name}: ${answer?.status ?? 'no answer'} in place of ${status}`, answer?.status === status)
      if (status !== 207 || !answer) continue
      const got = answer.body
        .split('\n')
        .filter((each) => each !== '')
        .map((each) => (JSON.parse(each) as { status: number }).status)
      check(`${name}: lines got ${got.slice(0, 5).join(', ')}`, JSON.stringify(got) === JSON.stringify(lines))
    }
    return `${imports.length} imports`
  },
}
