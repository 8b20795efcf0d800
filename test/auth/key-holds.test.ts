// Keys of requests that last: one look for each key, however many requests hold it, and an end that all of them learn of.

import t from 'tap'
import { firstPrincipal } from '../../src/auth/first-key.js'
import type { Principal, Verification } from '../../src/auth/grants.js'
import { mintKey, toKeyId } from '../../src/auth/key-format.js'
import { createKeyHolds } from '../../src/auth/key-holds.js'

const reader: Principal = { ...firstPrincipal, keyId: 'reader', scopes: new Set(['jobs:read', 'jobs:submit']) }
const valid = (principal: Principal): Verification => ({ kind: 'valid', principal })

/** Holds whose keys turn out to be what `answers` says; `asked` counts. */
const openHolds = () => {
  const answers = new Map<string, Verification | Promise<Verification>>()
  const asked: string[] = []
  const holds = createKeyHolds({
    verify: (sent) => {
      asked.push(sent)
      return answers.get(sent) ?? { kind: 'refused' }
    },
  })
  return { holds, answers, asked }
}

t.test('ten thousand requests of one key cost one look, and all of them end', async (t) => {
  const { holds, answers, asked } = openHolds()
  answers.set('key', valid(reader))
  const ends: string[] = []
  const all = Array.from({ length: 10_000 }, () => holds.hold('key', reader, (end) => ends.push(end)))
  await holds.look()
  t.same(asked, ['key'])
  t.equal(ends.length, 0)
  answers.set('key', { kind: 'refused' })
  await holds.look()
  t.equal(asked.length, 2)
  t.equal(ends.length, 10_000)
  t.same(new Set(all.map(({ end }) => end)), new Set(['refused']))
  await holds.look()
  t.equal(asked.length, 2, 'what has ended is not looked at')
  t.equal(ends.length, 10_000, 'each is told once')
})

t.test('what ends a hold: revocation, expiry, other rights; and what does not', async (t) => {
  const others: [name: string, verification: Verification, end: string | null][] = [
    ['revoked', { kind: 'refused' }, 'refused'],
    ['expired', { kind: 'expired' }, 'expired'],
    ['a scope less', valid({ ...reader, scopes: new Set(['jobs:read']) }), 'changed'],
    ['restricted to types', valid({ ...reader, types: new Set(['echo']) }), 'changed'],
    ['restricted to queues', valid({ ...reader, queues: new Set(['email']) }), 'changed'],
    ['another tenant', valid({ ...reader, tenant: 'other' }), 'changed'],
    ['read again, the same', valid({ ...reader, scopes: new Set(['jobs:submit', 'jobs:read']) }), null],
    ['another name and rate', valid({ ...reader, name: 'x', rateLimitMax: 1 }), null],
  ]
  for (const [name, verification, end] of others) {
    const { holds, answers } = openHolds()
    answers.set('key', valid(reader))
    const held = holds.hold('key', reader, () => {})
    answers.set('key', Promise.resolve(verification))
    await holds.look()
    t.equal(held.end, end, name)
  }
})

t.test('a key that cannot be verified is unsure until it can', async (t) => {
  const { holds, answers } = openHolds()
  const held = holds.hold('key', reader, () => t.fail('nothing ends'))
  answers.set('key', { kind: 'unavailable' })
  await holds.look()
  t.same([held.end, held.isUnsure], [null, true])
  answers.set('key', valid(reader))
  await holds.look()
  t.same([held.end, held.isUnsure], [null, false])
})

t.test('a request that began after the change goes on, one from before ends', async (t) => {
  const { holds, answers } = openHolds()
  const narrowed = { ...reader, scopes: new Set(['jobs:read'] as const) }
  const before = holds.hold('key', reader, () => {})
  const after = holds.hold('key', narrowed, () => {})
  answers.set('key', valid(narrowed))
  await holds.look()
  t.same([before.end, after.end], ['changed', null])
})

t.test('a change is looked at by its id alone', async (t) => {
  const { holds, asked } = openHolds()
  const [one, other] = [mintKey('abcdefghijkl'), mintKey('mnopqrstuvwx')]
  holds.hold(one, reader, () => {})
  holds.hold(other, reader, () => {})
  await holds.lookAt(toKeyId(one) as string)
  t.same(asked, [one])
})

t.test('released holds leave nothing behind', async (t) => {
  const { holds, asked } = openHolds()
  const [one, other] = [holds.hold('key', reader, () => {}), holds.hold('key', reader, () => t.fail('it was released'))]
  other.release()
  other.release()
  t.equal(holds.size(), 1)
  one.release()
  t.equal(holds.size(), 0)
  await holds.look()
  t.same(asked, [])
})
