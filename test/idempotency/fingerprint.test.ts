import fc from 'fast-check'
import t from 'tap'
import { fingerprint, toCanonicalJson } from '../../src/idempotency/fingerprint.js'

/** The same value, members in another order. */
const reversed = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(reversed)
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, reversed(member)]),
  )
}

t.test('IDK-5 member order does not matter', async () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => fingerprint('submit', value) === fingerprint('submit', reversed(value))))
})

t.test('IDK-5 canonical JSON is JSON of the same value', async (t) => {
  fc.assert(
    fc.property(
      fc.jsonValue(),
      (value) =>
        JSON.stringify(reversed(JSON.parse(toCanonicalJson(value)))) ===
        JSON.stringify(reversed(JSON.parse(toCanonicalJson(reversed(value))))),
    ),
  )
  t.equal(toCanonicalJson({ b: [1, null, 'x"'], a: { d: true, c: 1e21 } }), '{"a":{"c":1e+21,"d":true},"b":[1,null,"x\\""]}')
})

t.test('IDK-5 another value or another operation is another fingerprint', async (t) => {
  const prints = new Set([
    fingerprint('submit', { a: 1 }),
    fingerprint('submit', { a: '1' }),
    fingerprint('submit', { a: [1] }),
    fingerprint('submit', { a: 1, b: null }),
    fingerprint('retry x', { a: 1 }),
    fingerprint('trigger x', { a: 1 }),
  ])
  t.equal(prints.size, 6)
  for (const print of prints) t.match(print, /^[A-Za-z0-9_-]{43}$/)
})
