// Who calls: from the Authorization header to a principal, 401, 403 or 503.

import t from 'tap'
import { firstPrincipal } from '../../src/auth/first-key.js'
import type { Principal, Scope } from '../../src/auth/grants.js'
import authenticate, { requireScope } from '../../src/http/authenticate.js'
import rateLimit from '../../src/http/limits/rate-limit.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { smallApp } from '../helpers/small-app.js'
import { startRedis } from '../helpers/start-redis.js'

const { redis } = await startRedis(t)
const limiter = redis.connect('limiter')

const holder = (...scopes: Scope[]): Principal => ({ ...firstPrincipal, keyId: scopes.join(), scopes: new Set(scopes) })
const principals: Record<string, Principal> = { reader: holder('jobs:read'), admin: holder('admin'), 'a_~+/=': holder('jobs:read') }

const unheld = () => ({ end: null, isUnsure: false, release: () => {} })

const openApp = async (t: Parameters<typeof smallApp>[0]) => {
  const { app, lines } = await smallApp(t)
  const clock = { now: 0 }
  await app.register(rateLimit, { redis: limiter, keys: createKeys('{auth}'), max: 1000, windowMs: 1000 })
  app.get('/public', async (request) => ({ known: request.principal !== undefined }))
  await app.register(async (scope) => {
    await scope.register(authenticate, {
      elapsed: () => clock.now,
      apiKeys: {
        hold: unheld,
        verify: async (key: string) => {
          if (key === 'old') return { kind: 'expired' }
          if (key === 'cut-off') return { kind: 'unavailable' }
          const principal = principals[key]
          return principal ? { kind: 'valid', principal } : { kind: 'refused' }
        },
      },
    })
    scope.get('/me', async ({ principal }) => ({ keyId: principal.keyId }))
    scope.get('/jobs', { onRequest: requireScope('jobs:read') }, async () => 'jobs')
    scope.post('/admin', { onRequest: requireScope('admin') }, async () => 'admin')
    const takes = (ms: number) => ({
      preParsing: async () => {
        clock.now += ms
      },
    })
    scope.post('/slow', takes(1000), async () => 'stored')
    scope.post('/quick', takes(999), async () => 'stored')
  })
  return { app, lines }
}

t.test('200: the key becomes the principal', async (t) => {
  const { app } = await openApp(t)
  for (const authorization of ['Bearer reader', 'bearer reader', 'BEARER   reader ']) {
    const answer = await app.inject({ url: '/me', headers: { authorization } })
    t.equal(answer.statusCode, 200, authorization)
    t.same(answer.json(), { keyId: 'jobs:read' })
  }
  t.equal((await app.inject({ url: '/me', headers: { authorization: 'Bearer a_~+/=' } })).statusCode, 200)
})

t.test('200: a public scope asks for nothing and knows nobody', async (t) => {
  const { app } = await openApp(t)
  t.same((await app.inject({ url: '/public', headers: { authorization: 'Bearer reader' } })).json(), { known: false })
})

t.test('401: without a key, a plain challenge', async (t) => {
  const { app } = await openApp(t)
  for (const authorization of [
    undefined,
    '',
    'Basic cmVhZGVyOg==',
    'reader',
    'Bearer',
    'Bearer ',
    'Bearer two words',
    `Bearer ${'x'.repeat(513)}`,
  ]) {
    const answer = await app.inject({ url: '/me', headers: authorization === undefined ? {} : { authorization } })
    t.equal(answer.statusCode, 401, (authorization ?? 'none').slice(0, 20))
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="jobgate"')
    t.equal(answer.headers['content-type'], 'application/problem+json')
    t.match(answer.json(), { type: '/problems/unauthorized', status: 401 })
  }
})

t.test('401: with a key that is refused, invalid_token', async (t) => {
  const { app, lines } = await openApp(t)
  for (const [key, detail] of [
    ['guess-canary', 'The API key is unknown or was revoked.'],
    ['old', 'The API key has expired.'],
  ]) {
    const answer = await app.inject({ url: '/me', headers: { authorization: `Bearer ${key}` } })
    t.equal(answer.statusCode, 401)
    t.equal(answer.headers['www-authenticate'], 'Bearer realm="jobgate", error="invalid_token"')
    t.equal(answer.json().detail, detail)
    t.notOk(answer.body.includes('canary'))
  }
  t.notOk(JSON.stringify(lines).includes('canary'), 'keys do not reach the log')
})

t.test('401: before the body is read, on every method', async (t) => {
  const { app } = await openApp(t)
  const answer = await app.inject({ method: 'POST', url: '/admin', headers: { 'content-type': 'application/json' }, payload: '{"broken' })
  t.equal(answer.statusCode, 401)
})

t.test('403: names the scope', async (t) => {
  const { app } = await openApp(t)
  const answer = await app.inject({ method: 'POST', url: '/admin', headers: { authorization: 'Bearer reader' } })
  t.equal(answer.statusCode, 403)
  t.match(answer.json(), { type: '/problems/forbidden', detail: /`admin`/ })
  t.equal(answer.headers['www-authenticate'], 'Bearer realm="jobgate", error="insufficient_scope", scope="admin"')
  t.ok(answer.headers['ratelimit'], 'and counts')
})

t.test('admin passes every guard', async (t) => {
  const { app } = await openApp(t)
  const headers = { authorization: 'Bearer admin' }
  t.equal((await app.inject({ url: '/jobs', headers })).statusCode, 200)
  t.equal((await app.inject({ method: 'POST', url: '/admin', headers })).statusCode, 200)
})

t.test('503: the key cannot be checked', async (t) => {
  const { app } = await openApp(t)
  const answer = await app.inject({ url: '/me', headers: { authorization: 'Bearer cut-off' } })
  t.equal(answer.statusCode, 503)
  t.equal(answer.headers['retry-after'], '1')
  t.match(answer.json(), { type: '/problems/redis-unavailable' })
})

t.test('401: a key that ended, or lost a right, while the body was on its way', async (t) => {
  const { app } = await openApp(t)
  const post = (url: string) => app.inject({ method: 'POST', url, headers: { authorization: 'Bearer passing' }, payload: { a: 1 } })
  const later = { refused: undefined, changed: holder('jobs:read'), same: holder('jobs:read', 'jobs:submit') }
  for (const [name, next] of Object.entries(later)) {
    const verifications = [holder('jobs:read', 'jobs:submit'), next]
    Object.defineProperty(principals, 'passing', { get: () => verifications.shift(), configurable: true })
    const answer = await post('/slow')
    t.equal(answer.statusCode, name === 'same' ? 200 : 401, name)
    if (name !== 'same') t.match(answer.json(), { type: '/problems/unauthorized' })
  }
  Object.defineProperty(principals, 'passing', { get: () => holder('jobs:read'), configurable: true })
  t.equal((await post('/quick')).statusCode, 200)
})

t.test('a protected scope without rate limit does not start', async (t) => {
  const { app } = await smallApp(t)
  await t.rejects(async () => {
    await app.register(authenticate, { apiKeys: { hold: unheld, verify: async () => ({ kind: 'refused' }) } })
  }, /rate-limit/)
})

t.end()
