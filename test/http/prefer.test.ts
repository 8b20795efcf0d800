import fc from 'fast-check'
import t from 'tap'
import prefer, { addVary, applyPreference, parsePrefer, toPreferences } from '../../src/http/headers/prefer.js'
import { smallApp } from '../helpers/small-app.js'

t.test('PRF-1 names are case-insensitive, the first counts, values may be quoted', async (t) => {
  t.same(toPreferences('wait=30'), { waitMs: 30_000, respondAsync: false })
  t.same(toPreferences('Wait="5"; x=1, WAIT=9'), { waitMs: 5000, respondAsync: false })
  t.same(toPreferences('RESPOND-ASYNC, wait = 10'), { waitMs: 10_000, respondAsync: true })
  t.same(toPreferences('return="a, wait=3", wait=7'), { waitMs: 7000, respondAsync: false }, 'a comma in quotes separates nothing')
  t.same(toPreferences('return="a\\", wait=3", wait=7'), { waitMs: 7000, respondAsync: false })
  t.same(toPreferences('wait=0'), { waitMs: 0, respondAsync: false })
  for (const digits of [11, 1000])
    t.ok((toPreferences(`wait=${'9'.repeat(digits)}`).waitMs as number) > 1e12, 'it is granted what is the most')
})

t.test('PRF-1 unknown and malformed preferences are ignored', async (t) => {
  for (const header of [
    '',
    'wait',
    'wait=',
    'wait=-1',
    'wait=1.5',
    'wait=1e3',
    'wait="',
    'wait=1 2',
    'foo;bar="',
    '===',
    ',,,',
    'respond-async=no',
  ]) {
    t.same(toPreferences(header), { waitMs: null, respondAsync: false }, header)
  }
  t.same(toPreferences('"broken, wait=3'), { waitMs: 3000, respondAsync: false })
  t.same(toPreferences('a b c, , wait=3 ,'), { waitMs: 3000, respondAsync: false })
  t.same(toPreferences(`${' '.repeat(5000)}wait=3`).waitMs, null, 'overlong')
  t.same(toPreferences('wait=abc, wait=3').waitMs, null, 'the first one counts, even if it is of no use')
})

t.test('PRF-1 any header is read without an error, the longest of them too', async (t) => {
  fc.assert(
    fc.property(
      fc.string({ maxLength: 200, unit: fc.constantFrom('a', '"', '\\', ',', ';', '=', ' ', '\t', '1') }),
      (header) => void parsePrefer(header),
    ),
  )
  for (const text of ['"', ';"', ';a', ' ', 'a', '\\"', 'a;"\\', ',"']) t.same(toPreferences(text.repeat(4096 / text.length)).waitMs, null)
})

t.test('PRF-2 PRF-3 what was applied is told, with Vary', async (t) => {
  const { app } = await smallApp(t)
  await app.register(prefer)
  app.get('/', async (request, reply) => {
    reply.header('vary', 'Authorization')
    const { waitMs, respondAsync } = request.preferences
    applyPreference(reply, waitMs === null ? (respondAsync ? 'respond-async' : null) : { waitMs: Math.min(waitMs, 30_000) })
    addVary(reply, 'authorization')
    return {}
  })
  const headersOf = async (header?: string) =>
    (await app.inject({ url: '/', headers: header === undefined ? {} : { prefer: header } })).headers
  t.match(await headersOf('wait=60'), { 'preference-applied': 'wait=30', vary: 'Authorization, Prefer' })
  t.match(await headersOf('respond-async'), { 'preference-applied': 'respond-async', vary: 'Authorization, Prefer' })
  const plain = await headersOf()
  t.equal(plain['preference-applied'], undefined)
  t.equal(plain['vary'], 'Authorization, Prefer')
})
