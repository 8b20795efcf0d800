// Operators' routes for API keys, over HTTP and against the real store.

import type { FastifyInstance, InjectOptions } from 'fastify'
import { pino } from 'pino'
import t from 'tap'
import { ApiKey, ApiKeySecret } from '../../../src/auth/api-key-schemas.js'
import { openApiKeys } from '../../../src/auth/api-keys.js'
import { toKeyId } from '../../../src/auth/key-format.js'
import authenticate from '../../../src/http/authenticate.js'
import rateLimit from '../../../src/http/limits/rate-limit.js'
import { Problem } from '../../../src/http/problems/problem-schema.js'
import { createKeys } from '../../../src/redis/redis-keys.js'
import adminApiKeys from '../../../src/routes/admin/api-keys.js'
import { eventually } from '../../helpers/eventually.js'
import { smallApp } from '../../helpers/small-app.js'
import { startRedis } from '../../helpers/start-redis.js'

const { redis } = await startRedis(t)
const limiter = redis.connect('limiter')
await eventually('the request connection is ready', () => redis.request.status === 'ready')
const firstKey = 'operator-made-key'
let prefixes = 0

const openApp = async (t: Parameters<typeof smallApp>[0]) => {
  const keys = createKeys(`{admin${prefixes++}}`)
  const apiKeys = openApiKeys({ redis: redis.request, events: redis.connect('events'), keys, log: pino({ level: 'silent' }), firstKey })
  t.after(() => apiKeys.close())
  const { app, lines } = await smallApp(t)
  for (const schema of [Problem, ApiKey, ApiKeySecret]) app.addSchema(schema)
  await app.register(rateLimit, { redis: limiter, keys, max: 1000, windowMs: 1000 })
  await app.register(async (scope) => {
    await scope.register(authenticate, { apiKeys })
    await scope.register(adminApiKeys, { apiKeys })
  })
  return { app, lines, apiKeys }
}

const call = (app: FastifyInstance, method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, key = firstKey) =>
  app.inject({ method, url, headers: { authorization: `Bearer ${key}` }, ...(payload ? { payload } : {}) } as InjectOptions)

const time = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

t.test('201: a key is issued and its secret shown once', async (t) => {
  const { app, lines } = await openApp(t)
  const answer = await call(app, 'POST', '/admin/api-keys', {
    name: 'Shop',
    tenant: 'shop',
    scopes: ['jobs:submit', 'jobs:read'],
    types: ['send-verification-email'],
    queues: ['email'],
    rateLimitMax: 50,
    expiresAt: '2999-01-01T00:00:00+08:00',
  })
  t.equal(answer.statusCode, 201)
  t.equal(answer.headers['cache-control'], 'no-store')
  const { key, apiKey } = answer.json()
  t.equal(toKeyId(key), apiKey.id)
  t.match(apiKey, {
    name: 'Shop',
    tenant: 'shop',
    scopes: ['jobs:submit', 'jobs:read'],
    types: ['send-verification-email'],
    queues: ['email'],
    rateLimitMax: 50,
    createdAt: time,
    expiresAt: '2998-12-31T16:00:00.000Z',
    rotatedAt: null,
    previousValidUntil: null,
    lastUsedAt: null,
  })
  t.notOk((await call(app, 'GET', '/admin/api-keys')).body.includes(key.slice(-43)), 'never again')
  t.notOk(JSON.stringify(lines).includes(key.slice(-43)), 'nor in the log')
  t.match(
    lines.find(({ msg }) => msg === 'API key issued'),
    { keyId: apiKey.id, by: 'admin' },
  )
})

t.test('201: null and absent members set no limit', async (t) => {
  const { app } = await openApp(t)
  const body = { name: 'All', scopes: ['admin'], types: null, queues: null, rateLimitMax: null, expiresAt: null }
  const answer = await call(app, 'POST', '/admin/api-keys', body)
  t.equal(answer.statusCode, 201)
  t.match(answer.json().apiKey, { tenant: 'default', types: null, queues: null, rateLimitMax: null, expiresAt: null })
  t.equal((await call(app, 'GET', '/admin/api-keys', undefined, answer.json().key)).statusCode, 200, 'an issued key may be an admin too')
})

t.test('200: keys are listed in pages, oldest first', async (t) => {
  const { app, apiKeys } = await openApp(t)
  for (const name of ['a', 'b', 'c']) await apiKeys.issue({ name, scopes: ['work'] })
  const all = (await call(app, 'GET', '/admin/api-keys')).json()
  t.equal(all.items.length, 3)
  t.equal(all.next, null)
  const first = (await call(app, 'GET', '/admin/api-keys?limit=2')).json()
  t.same(first.items, all.items.slice(0, 2))
  const second = (await call(app, 'GET', `/admin/api-keys?limit=2&cursor=${first.next}`)).json()
  t.same(second, { items: all.items.slice(2), next: null })
})

t.test('204: a revoked key is refused by the next request', async (t) => {
  const { app } = await openApp(t)
  const { key, apiKey } = (await call(app, 'POST', '/admin/api-keys', { name: 'x', scopes: ['admin'] })).json()
  t.equal((await call(app, 'GET', '/admin/api-keys', undefined, key)).statusCode, 200)
  const answer = await call(app, 'DELETE', `/admin/api-keys/${apiKey.id}`)
  t.equal(answer.statusCode, 204)
  t.equal(answer.body, '')
  t.equal((await call(app, 'GET', '/admin/api-keys', undefined, key)).statusCode, 401)
})

t.test('200: rotation gives a new secret and keeps the old one for the overlap', async (t) => {
  const { app } = await openApp(t)
  const { key, apiKey } = (await call(app, 'POST', '/admin/api-keys', { name: 'x', scopes: ['admin'] })).json()
  const answer = await call(app, 'POST', `/admin/api-keys/${apiKey.id}/rotate`, { overlapMs: 60_000 })
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['cache-control'], 'no-store')
  const rotated = answer.json()
  t.not(rotated.key, key)
  t.match(rotated.apiKey, { id: apiKey.id, rotatedAt: time, previousValidUntil: time })
  for (const each of [key, rotated.key]) t.equal((await call(app, 'GET', '/admin/api-keys', undefined, each)).statusCode, 200)
  const last = (await call(app, 'POST', `/admin/api-keys/${apiKey.id}/rotate`, { overlapMs: 0 })).json()
  for (const each of [key, rotated.key]) t.equal((await call(app, 'GET', '/admin/api-keys', undefined, each)).statusCode, 401)
  t.equal((await call(app, 'GET', '/admin/api-keys', undefined, last.key)).statusCode, 200)
})

t.test('400: every member is bounded, unknown ones are refused', async (t) => {
  const { app } = await openApp(t)
  const good = { name: 'x', scopes: ['work'] }
  for (const [pointer, body] of [
    ['#/name', { scopes: ['work'] }],
    ['#/name', { ...good, name: 'x'.repeat(101) }],
    ['#/name', { ...good, name: 'two\nlines' }],
    ['#/scopes', { name: 'x' }],
    ['#/scopes', { ...good, scopes: [] }],
    ['#/scopes/0', { ...good, scopes: ['jobs:fly'] }],
    ['#/scopes', { ...good, scopes: ['work', 'work'] }],
    ['#/tenant', { ...good, tenant: 'no:colons' }],
    ['#/rateLimitMax', { ...good, rateLimitMax: 0 }],
    ['#/expiresAt', { ...good, expiresAt: '2001-01-01T00:00:00Z' }],
    ['#/secret', { ...good, secret: 'mine' }],
  ] as const) {
    const answer = await call(app, 'POST', '/admin/api-keys', body)
    t.equal(answer.statusCode, 400, pointer)
    t.equal(answer.json().errors?.[0]?.pointer, pointer)
  }
  for (const body of [
    { ...good, types: ['Not A Type'] },
    { ...good, queues: ['Other'] },
    { ...good, expiresAt: 'tomorrow' },
  ]) {
    t.equal((await call(app, 'POST', '/admin/api-keys', body)).statusCode, 400, JSON.stringify(body))
  }
  for (const query of ['limit=0', 'limit=201', 'cursor=a:b', 'other=1']) {
    t.equal((await call(app, 'GET', `/admin/api-keys?${query}`)).statusCode, 400, query)
  }
  for (const body of [{}, { overlapMs: -1 }, { overlapMs: 31 * 86_400_000 }]) {
    t.equal((await call(app, 'POST', '/admin/api-keys/abcdefghijkl/rotate', body)).statusCode, 400)
  }
})

const routes = [
  ['GET', '/admin/api-keys'],
  ['POST', '/admin/api-keys'],
  ['DELETE', '/admin/api-keys/abcdefghijkl'],
  ['POST', '/admin/api-keys/abcdefghijkl/rotate'],
] as const

t.test('401: without a key', async (t) => {
  const { app } = await openApp(t)
  for (const [method, url] of routes) t.equal((await app.inject({ method, url })).statusCode, 401, `${method} ${url}`)
})

t.test('403: without the scope admin', async (t) => {
  const { app, apiKeys } = await openApp(t)
  const { key } = await apiKeys.issue({ name: 'x', scopes: ['jobs:submit', 'jobs:read', 'jobs:manage', 'work'] })
  for (const [method, url] of routes) t.equal((await call(app, method, url, undefined, key)).statusCode, 403, `${method} ${url}`)
})

t.test('an operator sees every type and queue: a limited key cannot be one', async (t) => {
  const { app, apiKeys } = await openApp(t)
  const payload = { name: 'Half', scopes: ['jobs:read', 'admin'], types: ['echo'], queues: ['email'] }
  const answer = await call(app, 'POST', '/admin/api-keys', payload)
  t.equal(answer.statusCode, 400)
  t.match(answer.json().errors, [{ pointer: '#/types' }, { pointer: '#/queues' }])
  // One that an earlier version issued.
  const { key } = await apiKeys.issue({ name: 'Half', scopes: ['admin'], queues: ['email'] })
  for (const [method, url] of routes) t.equal((await call(app, method, url, undefined, key)).statusCode, 403, `${method} ${url}`)
})

t.test('404: an unknown key, and the first key', async (t) => {
  const { app } = await openApp(t)
  for (const id of ['abcdefghijkl', 'admin']) {
    t.equal((await call(app, 'DELETE', `/admin/api-keys/${id}`)).statusCode, 404, `revoke ${id}`)
    t.equal((await call(app, 'POST', `/admin/api-keys/${id}/rotate`, { overlapMs: 0 })).statusCode, 404, `rotate ${id}`)
  }
  t.equal((await call(app, 'GET', '/admin/api-keys')).statusCode, 200, 'the first key works on')
})

t.test('503: Redis is gone', async (t) => {
  const { redis: own } = await startRedis(t)
  await eventually('the request connection is ready', () => own.request.status === 'ready')
  const keys = createKeys('{gone}')
  const apiKeys = openApiKeys({ redis: own.request, events: own.connect('events'), keys, log: pino({ level: 'silent' }), firstKey })
  t.after(() => apiKeys.close())
  const { app } = await smallApp(t)
  for (const schema of [Problem, ApiKey, ApiKeySecret]) app.addSchema(schema)
  await app.register(rateLimit, { redis: own.connect('limiter'), keys, max: 1000, windowMs: 1000 })
  await app.register(async (scope) => {
    await scope.register(authenticate, { apiKeys })
    await scope.register(adminApiKeys, { apiKeys })
  })
  await own.close()
  for (const [method, url, body] of [
    ['GET', '/admin/api-keys', undefined],
    ['POST', '/admin/api-keys', { name: 'x', scopes: ['work'] }],
    ['DELETE', '/admin/api-keys/abcdefghijkl', undefined],
    ['POST', '/admin/api-keys/abcdefghijkl/rotate', { overlapMs: 0 }],
  ] as const) {
    const answer = await call(app, method, url, body)
    t.equal(answer.statusCode, 503, `${method} ${url}`)
    t.match(answer.json(), { type: '/problems/redis-unavailable' })
    t.ok(answer.headers['retry-after'])
  }
})

t.end()
