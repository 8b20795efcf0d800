import fc from 'fast-check'
import t from 'tap'
import { digestIdempotencyKey, parseIdempotencyKey } from '../../src/idempotency/key.js'

const parse = (value: string, { strict = false, times = 1 } = {}) =>
  parseIdempotencyKey(value, Array.from({ length: times }, () => ['Idempotency-Key', value]).flat(), strict)

t.test('IDK-1 quoted and bare forms of a key are the same key', async (t) => {
  t.same(parse('abc'), { kind: 'given', key: 'abc' })
  t.same(parse('"abc"'), { kind: 'given', key: 'abc' })
  t.same(parse(' "abc" '), { kind: 'given', key: 'abc' })
  t.same(parse('"a b, c;d"'), { kind: 'given', key: 'a b, c;d' })
})

t.test('IDK-1 escapes are undone and parameters ignored', async (t) => {
  t.same(parse('"a\\"b\\\\c"'), { kind: 'given', key: 'a"b\\c' })
  for (const parameters of [';a', ';a=1', '; a=token;b="x, \\" y"', ';a=?1;b=:YQ==:', ';a=-1.5']) {
    t.same(parse(`"abc"${parameters}`), { kind: 'given', key: 'abc' }, parameters)
  }
})

t.test('IDK-1 strict accepts the quoted form only', async (t) => {
  t.equal(parse('abc', { strict: true }).kind, 'invalid')
  t.same(parse('"abc"', { strict: true }), { kind: 'given', key: 'abc' })
})

t.test('IDK-2 what is not one key of 1 to 255 characters is invalid', async (t) => {
  const longest = 'k'.repeat(255)
  t.same(parse(longest), { kind: 'given', key: longest })
  t.same(parse(`"${longest}"`), { kind: 'given', key: longest })
  for (const value of [
    '',
    '""',
    `${longest}k`,
    `"${longest}k"`,
    '"abc',
    'abc"',
    '"a"b"',
    '"a\\b"',
    '"ä"',
    'ä',
    '"a\u0007"',
    'a b',
    '"a", "b"',
    'a, b',
    '"a";',
    '"a";A=1',
  ]) {
    t.equal(parse(value).kind, 'invalid', JSON.stringify(value.slice(0, 20)))
  }
  t.equal(parse('abc', { times: 2 }).kind, 'invalid', 'sent in two header lines')
})

t.test('IDK-3 no header is no key', async (t) => {
  t.same(parseIdempotencyKey(undefined, [], false), { kind: 'absent' })
})

t.test('IDK-1 every printable string survives quoting', async () => {
  const printable = fc.string({
    unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)),
    minLength: 1,
    maxLength: 255,
  })
  fc.assert(
    fc.property(printable, (key) => {
      const parsed = parse(`"${key.replace(/(["\\])/g, '\\$1')}"`)
      return parsed.kind === 'given' && parsed.key === key
    }),
  )
})

t.test('IDK-4 tenants and spaces never share a digest', async (t) => {
  const digests = new Set(
    [
      ['a', 'key', 'k'],
      ['b', 'key', 'k'],
      ['a', 'batch', 'k'],
      ['a"', 'key', ',k'],
    ].map(([tenant, space, key]) => digestIdempotencyKey(tenant as string, space as 'key', key as string)),
  )
  t.equal(digests.size, 4)
  for (const digest of digests) t.match(digest, /^[A-Za-z0-9_-]{43}$/)
})
