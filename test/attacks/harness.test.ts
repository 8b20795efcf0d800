// The suite must see what it looks for: planted secrets, forged lines, answers too many, times that differ.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { toCounts, toFailures } from '../../scripts/test-counts.mjs'
import { createAnswerReader } from './answer-reader.js'
import { canariesIn } from './canary-forms.js'
import { createLogWatch } from './log-watch.js'
import { readOperations } from './operations.js'
import { rankScore } from './rows/timing.js'
import type { RowResult } from './run-row.js'
import { toShape } from './same-answer.js'
import { writeTap } from './tap.js'

t.test('answers are told apart, in whatever pieces they come', async (t) => {
  const wire = [
    'HTTP/1.1 100 Continue\r\n\r\n',
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nhi',
    'HTTP/1.1 207 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n',
    'HTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nend',
  ].join('')
  for (const size of [1, 7, wire.length]) {
    const reader = createAnswerReader()
    const answers = []
    for (let at = 0; at < wire.length; at += size) {
      reader.add(Buffer.from(wire.slice(at, at + size)))
      for (let answer = reader.take(); answer; answer = reader.take()) answers.push(answer)
    }
    t.equal(reader.take(), null, 'an answer without a length ends with its connection')
    reader.end()
    answers.push(reader.take())
    t.same(
      answers.map((answer) => [answer?.status, answer?.body]),
      [
        [200, 'hi'],
        [207, 'abc'],
        [204, ''],
        [400, 'end'],
      ],
    )
    t.equal(answers[0]?.headers['x-a'], '1, 2')
  }
})

t.test('a canary is found in every form, wherever it begins', async (t) => {
  const canaries = { one: 'canary-4711+/="x', other: 'absent-canary' }
  for (const before of ['', 'a', 'ab', 'abc']) {
    const text = `${before}${canaries.one}behind`
    for (const form of ['utf8', 'base64', 'base64url', 'hex'] as const) {
      t.same(canariesIn(Buffer.from(text).toString(form), canaries), ['one'], `${form} behind "${before}"`)
    }
  }
  t.same(canariesIn(encodeURIComponent(canaries.one), canaries), ['one'])
  t.same(canariesIn(JSON.stringify({ text: canaries.one }), canaries), ['one'])
  t.same(canariesIn('nothing', canaries), [])
})

t.test('log lines that are no JSON object, hold control characters or a canary', async (t) => {
  const watch = createLogWatch()
  watch.plant('the secret', 'canary')
  for (const line of ['First API key (every scope):', '  jg_a_b', '', '{"level":"info","msg":"fine"}']) watch.add(line)
  watch.add('(node:1) Warning', false)
  t.same(watch.takeFaults(), [])
  for (const line of ['plain', '[]', '{"a":"\u009b"}', '{"a":"canary"}', '{"a":1}{"b":2}']) {
    watch.add(line)
    t.equal(watch.takeFaults().length, 1, line)
  }
  watch.add('{"level":"fatal","msg":"forged"}')
  t.same([watch.forged(), watch.errors()], [1, 1])
})

t.test('answers differ by what they say, not by what tells requests apart', async (t) => {
  const answer = {
    status: 404,
    headers: { date: 'a', 'x-request-id': '1' },
    text: '',
    json: { title: 't', requestId: '1', instance: '/a#1' },
  }
  const other = { ...answer, headers: { date: 'b', 'x-request-id': '2' }, json: { title: 't', requestId: '2', instance: '/b#2' } }
  t.equal(toShape(answer), toShape(other))
  t.not(toShape(answer), toShape({ ...other, status: 403 }))
  t.not(toShape(answer), toShape({ ...other, headers: { etag: 'x' } }))
  t.not(toShape(answer), toShape({ ...other, json: { title: 'u', requestId: '2', instance: '/b#2' } }))
})

t.test('a rank test sees a small shift and no shift', async (t) => {
  const times = Array.from({ length: 1000 }, (_, n) => 1 + ((n * 7919) % 1000) / 1000)
  t.ok(Math.abs(rankScore(times, times)) < 0.1)
  t.ok(
    rankScore(
      times.map((each) => each + 0.1),
      times,
    ) > 5,
  )
})

t.test('every operation of the document is decided about', async (t) => {
  t.ok(readOperations().length > 40)
})

t.test('results are counted as tests', async (t) => {
  const path = join(t.testdir(), 'attacks.tap')
  const result = { id: 'one', failures: [] as string[] } as unknown as RowResult
  writeTap(path, [result, { ...result, id: 'two', failures: ['a secret was found'] }])
  const text = readFileSync(path, 'utf8')
  t.same(toCounts(text), { total: 2, passed: 1, failed: 1, skipped: 0 })
  t.match(toFailures(text).join('\n'), /=== attacks\/two[\s\S]*a secret was found/)
})
