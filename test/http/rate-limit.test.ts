// Rate limits as clients meet them: headers, 429, keys and addresses, known and unknown routes.

import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { firstPrincipal } from '../../src/auth/first-key.js'
import type { Principal } from '../../src/auth/grants.js'
import authenticate from '../../src/http/authenticate.js'
import rateLimit from '../../src/http/limits/rate-limit.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { smallApp } from '../helpers/small-app.js'
import { startRedis } from '../helpers/start-redis.js'

const { redis } = await startRedis(t)
const limiter = redis.connect('limiter')
let prefixes = 0

const principals: Record<string, Principal> = {
  alice: { ...firstPrincipal, keyId: 'alice' },
  bob: { ...firstPrincipal, keyId: 'bob' },
  small: { ...firstPrincipal, keyId: 'small', rateLimitMax: 2 },
}

/** An app with one protected, one raw and one public route, and a clock that stands still at a quarter of a window. */
const openApp = async (t: Parameters<typeof smallApp>[0], options: { max?: number; windowMs?: number; prefix?: string } = {}) => {
  const { max = 3, windowMs = 1000, prefix = `{limit${prefixes++}}` } = options
  const clock = { now: 100_000_000 * windowMs + windowMs / 4 }
  const { app } = await smallApp(t)
  await app.register(rateLimit, { redis: limiter, keys: createKeys(prefix), max, windowMs, now: () => clock.now })
  app.get('/public', async () => 'ok')
  app.get('/probe', { config: { uncounted: true } }, async () => 'ok')
  let compared = 0
  await app.register(async (scope) => {
    await scope.register(authenticate, {
      apiKeys: {
        hold: () => ({ end: null, isUnsure: false, release: () => {} }),
        verify: async (key: string) => {
          compared++
          const principal = principals[key]
          return principal ? { kind: 'valid', principal } : { kind: 'refused' }
        },
      },
    })
    scope.get('/jobs', async () => 'ok')
    scope.get('/raw', async (request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, { ...request.rateLimitHeaders }).end('raw')
    })
  })
  return { app, clock, compared: () => compared }
}

const get = (app: FastifyInstance, url: string, key?: string, remoteAddress = '192.0.2.1') =>
  app.inject({ url, remoteAddress, ...(key ? { headers: { authorization: `Bearer ${key}` } } : {}) })

t.test('RL-1 RL-2 every limited answer says policy and what is left', async (t) => {
  const { app, clock } = await openApp(t, { max: 600 })
  const first = await get(app, '/jobs', 'alice')
  t.equal(first.statusCode, 200)
  t.equal(first.headers['ratelimit-policy'], '"default";q=600;w=1')
  t.equal(first.headers['ratelimit'], '"default";r=599;t=1')
  const second = await get(app, '/jobs', 'alice')
  t.equal(second.headers['ratelimit-policy'], '"default";q=600;w=1')
  t.equal(second.headers['ratelimit'], '"default";r=598;t=1')
  clock.now += 1000
  t.equal((await get(app, '/jobs', 'alice')).headers['ratelimit'], '"default";r=599;t=1', 'a new window')
})

t.test('RL-1 there are no other rate limit headers', async (t) => {
  const { app } = await openApp(t, { max: 1 })
  for (const answer of [await get(app, '/jobs', 'alice'), await get(app, '/jobs', 'alice')]) {
    t.same(
      Object.keys(answer.headers).filter((name) => /rate-?limit/i.test(name)),
      ['ratelimit-policy', 'ratelimit'],
    )
  }
})

t.test('RL-1 RL-2 windows are told in whole seconds, rounded up', async (t) => {
  const { app, clock } = await openApp(t, { windowMs: 2500 })
  const answer = await get(app, '/jobs', 'alice')
  t.equal(answer.headers['ratelimit-policy'], '"default";q=3;w=3')
  t.equal(answer.headers['ratelimit'], '"default";r=2;t=2')
  clock.now += 1874
  t.equal((await get(app, '/jobs', 'alice')).headers['ratelimit'], '"default";r=1;t=1')
})

t.test('RL-3 beyond the limit: 429, a registered problem, Retry-After', async (t) => {
  const { app } = await openApp(t)
  const answers = await Promise.all(Array.from({ length: 20 }, () => get(app, '/jobs', 'alice')))
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 3, 'one instance is exact')
  const refused = answers.find(({ statusCode }) => statusCode !== 200)
  t.equal(refused?.statusCode, 429)
  t.match(refused?.headers, {
    'content-type': 'application/problem+json',
    'retry-after': '1',
    'ratelimit-policy': '"default";q=3;w=1',
    ratelimit: '"default";r=0;t=1',
  })
  t.match(refused?.json(), {
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    status: 429,
    'violated-policies': ['default'],
    requestId: refused?.headers['x-request-id'],
  })
})

t.test('RL-4 a long window is told with jitter, nothing is told of the key', async (t) => {
  const { app } = await openApp(t, { windowMs: 3_600_000, max: 1 })
  await get(app, '/jobs', 'alice')
  const answer = await get(app, '/jobs', 'alice')
  const [, seconds] = /^"default";r=0;t=(\d+)$/.exec(String(answer.headers['ratelimit'])) ?? []
  t.ok(Number(seconds) >= 2700 && Number(seconds) < 2760, `t=${seconds}`)
  t.equal(answer.headers['retry-after'], seconds)
  t.notMatch(JSON.stringify(answer.headers), /alice|192\.0\.2/)
  const told = new Set<unknown>()
  for (let count = 0; count < 20; count++) told.add((await get(app, '/jobs', 'alice')).headers['retry-after'])
  t.ok(told.size > 1, 'not all come back together')
})

t.test('RL-5 every key has its own limit', async (t) => {
  const { app } = await openApp(t)
  for (let count = 0; count < 3; count++) await get(app, '/jobs', 'alice')
  t.equal((await get(app, '/jobs', 'alice')).statusCode, 429)
  t.equal((await get(app, '/jobs', 'alice', '192.0.2.2')).statusCode, 429, 'from another address too')
  t.equal((await get(app, '/jobs', 'bob')).statusCode, 200)
})

t.test('RL-5 a key may have a limit of its own', async (t) => {
  const { app } = await openApp(t)
  t.equal((await get(app, '/jobs', 'small')).headers['ratelimit-policy'], '"default";q=2;w=1')
  t.equal((await get(app, '/jobs', 'small')).statusCode, 200)
  t.equal((await get(app, '/jobs', 'small')).statusCode, 429)
})

t.test('RL-5 unknown and public routes count for the address, once each, probes for nobody', async (t) => {
  const { app } = await openApp(t)
  for (let count = 0; count < 3; count++) {
    const answer = await get(app, `/nothing/${count}`)
    t.equal(answer.statusCode, 404)
    t.equal(answer.headers['ratelimit'], `"default";r=${2 - count};t=1`)
  }
  t.equal((await get(app, '/nothing')).statusCode, 429)
  t.equal((await app.inject({ method: 'DELETE', url: '/jobs', remoteAddress: '192.0.2.1' })).statusCode, 429, '405s count too')
  t.equal((await get(app, '/nothing', undefined, '192.0.2.2')).statusCode, 404, 'another address')
  t.equal((await get(app, '/public')).statusCode, 429)
  t.equal((await app.inject({ method: 'HEAD', url: '/public', remoteAddress: '192.0.2.1' })).statusCode, 429)
  for (let count = 0; count < 3; count++) {
    const method = count === 1 ? 'HEAD' : 'GET'
    const answer = await app.inject({ method, url: '/public', remoteAddress: '192.0.2.3' })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['ratelimit'], `"default";r=${2 - count};t=1`)
  }
  t.equal((await get(app, '/public', 'alice', '192.0.2.3')).statusCode, 429, 'a key that is not asked for changes nothing')
  t.equal((await get(app, '/jobs', 'alice', '192.0.2.3')).statusCode, 429, 'operator-made keys are not compared beyond the limit')
  for (let count = 0; count < 10; count++) {
    const answer = await get(app, '/probe')
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['ratelimit'], undefined)
  }
})

t.test('RL-5 failed authentication is limited by address: 429 in place of 401', async (t) => {
  const { app } = await openApp(t)
  t.equal((await get(app, '/jobs')).statusCode, 401, 'no key')
  t.equal((await get(app, '/jobs', 'wrong-one')).statusCode, 401)
  const last = await get(app, '/jobs', 'wrong-two')
  t.equal(last.statusCode, 401)
  t.equal(last.headers['ratelimit'], '"default";r=0;t=1')
  const refused = await get(app, '/jobs')
  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], '1')
  t.equal(refused.headers['www-authenticate'], undefined)
  t.equal((await get(app, '/jobs', 'wrong', '192.0.2.2')).statusCode, 401, 'another address')
})

t.test('RL-5 addresses of one IPv6 network are one address', async (t) => {
  const { app } = await openApp(t)
  for (let host = 0; host < 3; host++) t.equal((await get(app, '/jobs', 'wrong', `2001:db8::${host}`)).statusCode, 401)
  t.equal((await get(app, '/jobs', 'wrong', '2001:db8::ffff')).statusCode, 429)
  t.equal((await get(app, '/jobs', 'wrong', '2001:db8:0:1::1')).statusCode, 401, 'the next network')
})

t.test('RL-5 guessing at an operator-made key ends at the limit; minted keys go on working', async (t) => {
  const { app, clock, compared } = await openApp(t)
  const minted = `jg_abcdefghijkl_${'A'.repeat(43)}`
  principals[minted] = { ...firstPrincipal, keyId: 'minted' }
  for (let guess = 0; guess < 3; guess++) await get(app, '/jobs', `guess-${guess}`)
  const before = compared()
  t.equal((await get(app, '/jobs', 'alice')).statusCode, 429, 'not even the right one is compared')
  t.equal(compared(), before)
  t.equal((await get(app, '/jobs', minted)).statusCode, 200)
  clock.now += 1000
  t.equal((await get(app, '/jobs', 'alice')).statusCode, 200)
})

t.test('a raw reply finds the headers on the request', async (t) => {
  const { app } = await openApp(t)
  const answer = await get(app, '/raw', 'alice')
  t.equal(answer.body, 'raw')
  t.equal(answer.headers['ratelimit-policy'], '"default";q=3;w=1')
  t.equal(answer.headers['ratelimit'], '"default";r=2;t=1')
})

t.end()
