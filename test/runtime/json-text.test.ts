import fc from 'fast-check'
import t from 'tap'
import { containersMax, depthMax, namesMax } from '../../src/runtime/json-measure.js'
import { parseJson, toUtf8 } from '../../src/runtime/json-text.js'

const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels)

t.test('depth is bounded at 64 levels', async (t) => {
  t.equal(parseJson(nested(depthMax)).kind, 'value')
  t.match(parseJson(nested(depthMax + 1)), { kind: 'malformed', detail: /64 levels/ })
  t.match(parseJson('{"a":'.repeat(100_000)), { kind: 'malformed', detail: /64 levels/ })
  t.match(parseJson(`[${'[1],'.repeat(1000)}[1]]`), { kind: 'value' }, 'many lists side by side are not deep')
})

t.test('brackets within strings do not count', async (t) => {
  const text = JSON.stringify({ a: `${'['.repeat(200)}"${'{'.repeat(200)}\\`, b: '\\\\"' })
  t.match(parseJson(text), { kind: 'value' })
  t.match(
    parseJson(`["\\\\",${nested(depthMax)}]`),
    { kind: 'malformed', detail: /64 levels/ },
    'an escaped backslash ends before the quote',
  )
  t.match(parseJson(`["${'['.repeat(200)}`), { kind: 'malformed', detail: /complete/ }, 'an open string')
})

t.test('different names are bounded, wherever they stand and however they are written', async (t) => {
  const members = (count: number, gap = '') => Array.from({ length: count }, (_, at) => `"name ${at}"${gap}:1`).join(',')
  t.match(parseJson(`{${members(namesMax)}}`), { kind: 'value' })
  t.match(parseJson(`{${members(namesMax + 1)}}`), { kind: 'excessive', detail: /5000 different member names/ })
  t.match(parseJson(`{${members(namesMax + 1, ' \n\r\t')}}`), { kind: 'excessive' }, 'with white space')
  const apart = Array.from({ length: namesMax + 1 }, (_, at) => `{"n${at}\\"":1}`).join(',')
  t.match(parseJson(`[${apart}]`), { kind: 'excessive' }, 'one in each object, with a quote in it')
  const alike = Array.from({ length: 20_000 }, (_, at) => `{"type":"a","data":{"n${at % 4000}":"value ${at}"}}`).join(',')
  t.match(parseJson(`[${alike}]`), { kind: 'value' }, 'the same names may come again and again')
  t.match(
    parseJson(`[${Array.from({ length: 100_000 }, (_, at) => `"value ${at}"`).join(',')}]`),
    { kind: 'value' },
    'values are not names',
  )
})

t.test('objects and arrays are bounded', async (t) => {
  t.match(parseJson(`[${'[],'.repeat(containersMax - 2)}{}]`), { kind: 'value' })
  t.match(parseJson(`[${'[],'.repeat(containersMax - 1)}{}]`), { kind: 'excessive', detail: /50000 objects and arrays/ })
  t.match(parseJson(`[${'1,'.repeat(400_000)}1]`), { kind: 'value' }, 'numbers are neither')
})

t.test('members that reach prototypes are refused', async (t) => {
  for (const text of [
    '{"__proto__":{}}',
    '{"a":[{"__proto__":1}]}',
    '{"\\u005f_proto__":1}',
    '{"constructor":{"prototype":{}}}',
    '{"a":{"\\u0063onstructor":{"prototype":1}}}',
  ]) {
    t.match(parseJson(text), { kind: 'malformed', detail: /__proto__/ }, text)
  }
  t.same(parseJson('{"text":"__proto__"}'), { kind: 'value', value: { text: '__proto__' } })
})

t.test('half a surrogate pair is found, wherever it stands', async (t) => {
  const cases: [text: string, paths: string[][]][] = [
    ['"\\ud800"', [[]]],
    ['"\\uDFFF"', [[]]],
    ['{"a":{"b":["x","\\uD83dx"]}}', [['a', 'b', '1']]],
    ['{"a":"\\ude00\\ud83d"}', [['a']]],
    ['{"a":{"x\\udc00":1},"b":"\\udc00"}', [['a', 'x\udc00'], ['b']]],
    [`[${'"\\ud800",'.repeat(100)}1]`, Array.from({ length: 20 }, (_, at) => [String(at)])],
  ]
  for (const [text, paths] of cases) t.same(parseJson(text), { kind: 'ill-formed', paths }, text.slice(0, 60))
  for (const text of ['"\\ud83d\\ude00"', '"\\uD83D\\uDE00"', '"\\ud7ff\\ue000\\ud55c"', '"\\\\ud800"', '{"a😀":"😀"}', '"\\u00d8"']) {
    t.match(parseJson(text), { kind: 'value', value: JSON.parse(text) }, text)
  }
})

t.test('details never repeat the text', async (t) => {
  for (const text of ['{"code": hunter2}', 'hunter2', '', '[1,]', '{"a":1} hunter2']) {
    const parsed = parseJson(text)
    t.equal(parsed.kind, 'malformed', text)
    t.notMatch(JSON.stringify(parsed), /hunter2/)
  }
})

t.test('bytes have to be UTF-8', async (t) => {
  t.equal(toUtf8(Buffer.from('"ü"')), '"ü"')
  t.equal(toUtf8(Buffer.from([0x22, 0xff, 0x22])), null)
})

t.test('agrees with JSON.parse on every value of sensible depth', async (t) => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      if (/__proto__|constructor/.test(text)) return
      t.strictSame(parseJson(text), { kind: 'value', value: JSON.parse(text) })
    }),
    { numRuns: 200 },
  )
})
