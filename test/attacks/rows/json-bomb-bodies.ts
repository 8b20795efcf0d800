// Bodies that would take a careless reader of JSON down. Every one of them has to be refused by every route.

import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'

export interface JsonBomb {
  readonly name: string
  readonly body: Buffer
  /** Lines that stand in place of the plain `Content-Type`. */
  readonly headers?: string
}

const depth = 100_000
const members = 110_000
const megabyte = 1024 * 1024

const around = (data: string) =>
  `{"type":"process-webhook","data":{"source":"other","eventId":"b","eventType":"b","payload":{"a":${data}}}}`
const arrays = (levels: number) => `${'['.repeat(levels)}${']'.repeat(levels)}`
const objects = (levels: number) => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
const wide = (count: number) => `{${Array.from({ length: count }, (_, n) => `"m${n}":1`).join(',')}}`
const json = 'Content-Type: application/json\r\n'

const texts: readonly (readonly [string, string])[] = [
  ['arrays within arrays', around(arrays(depth))],
  ['objects within objects', around(objects(depth))],
  ['arrays that are never closed', around('['.repeat(depth))],
  ['nothing but depth', arrays(depth)],
  ['depth beside the data', `{"type":"process-webhook","metadata":${objects(depth)}}`],
  [`${members} unknown members`, wide(members).slice(0, megabyte - 1)],
  [`${members / 2} unknown members, well-formed`, wide(members / 2)],
  ['the same member again and again', `{${'"type":"a",'.repeat(80_000)}"type":"b"}`],
  ['__proto__', '{"__proto__":{"admin":true},"type":"process-webhook"}'],
  ['__proto__ deep inside', around('{"b":[{"__proto__":{"admin":true}}]}')],
  ['__proto__ in escapes', around('{"\\u005f\\u005fproto\\u005f\\u005f":{"admin":true}}')],
  ['constructor.prototype', around('{"constructor":{"prototype":{"admin":true}}}')],
  ['a number beyond all bounds', '{"type":"process-webhook","options":{"delayMs":1e400}}'],
  ['a number of a million digits', `{"type":"process-webhook","options":{"delayMs":${'9'.repeat(megabyte - 100)}}}`],
  ['NaN', '{"type":NaN}'],
  ['a string of a megabyte', `{"type":"${'a'.repeat(megabyte - 100)}"}`],
  ['escapes without end', `{"type":"${'\\u0061'.repeat(170_000)}"}`],
  ['white space alone', ' '.repeat(megabyte - 1)],
  ['nothing', ''],
  ['null', 'null'],
  ['a number', '1'],
  ['a string', '"x"'],
  ['an array', '[]'],
  ['two values', '{}{}'],
  ['a comment', '{/**/}'],
  ['single quotes', "{'type':1}"],
  ['more than the limit', `{"type":"${'a'.repeat(10 * megabyte)}"}`],
]

/** What is no UTF-8. */
const bytes: readonly (readonly [string, Buffer])[] = [
  ['bytes of no text', Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xff, 0xfe, 0x80]), Buffer.from('"}')])],
  ['an overlong slash', Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xc0, 0xaf]), Buffer.from('"}')])],
  ['a surrogate as bytes', Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')])],
  ['a text that is cut off', Buffer.concat([Buffer.from('{"type":"'), Buffer.from([0xe2, 0x82]), Buffer.from('"}')])],
  ['UTF-16', Buffer.from('{"type":"process-webhook"}', 'utf16le')],
]

const zeros = Buffer.alloc(10 * megabyte, 0x20)
const compressed: readonly (readonly [string, string, () => Buffer])[] = [
  ['gzip', 'gzip', () => gzipSync(zeros)],
  ['gzip within gzip', 'gzip, gzip', () => gzipSync(gzipSync(zeros))],
  ['x-gzip', 'x-gzip', () => gzipSync(zeros)],
  ['deflate', 'deflate', () => deflateSync(zeros)],
  ['br', 'br', () => brotliCompressSync(zeros)],
  ['identity and gzip', 'identity, gzip', () => gzipSync(zeros)],
]

const types = [
  'text/plain',
  'text/json',
  'application/json; charset=utf-16',
  'application/json; charset=utf-7',
  'application/json garbage',
  'application/jsonx',
  'multipart/form-data; boundary=x',
  'application/x-www-form-urlencoded',
  'application/xml',
]

export const jsonBombs = (): JsonBomb[] => [
  ...texts.map(([name, text]) => ({ name, body: Buffer.from(text) })),
  ...bytes.map(([name, body]) => ({ name, body })),
  ...compressed.map(([name, coding, make]) => ({ name: `${name} bomb`, body: make(), headers: `${json}Content-Encoding: ${coding}\r\n` })),
  ...types.map((type) => ({
    name: `the type ${type}`,
    body: Buffer.from('{"type":"process-webhook"}'),
    headers: `Content-Type: ${type}\r\n`,
  })),
]
