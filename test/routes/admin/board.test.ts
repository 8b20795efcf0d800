// The dashboard over HTTP: who gets in and for how long, what it shows, and what its buttons do.

import { createRequire } from 'node:module'
import t, { type Test } from 'tap'
import type { Scope } from '../../../src/auth/grants.js'
import { mintJobId } from '../../../src/bullmq/job-id.js'
import { buildTestApp, freshRateWindowMs, type TestApp } from '../../helpers/build-test-app.js'
import { eventually } from '../../helpers/eventually.js'

const form = { 'content-type': 'application/x-www-form-urlencoded' }
const own = { ...form, host: 'gate.example', origin: 'http://gate.example' }
const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }
const adminKey = 'admin-key-of-the-tests'

const issue = async ({ request }: TestApp, grant: object): Promise<{ key: string; id: string }> => {
  const answer = await request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes: ['admin'], ...grant } })
  return { key: answer.json().key, id: answer.json().apiKey.id }
}

const login = ({ app }: TestApp, key: string, headers: Record<string, string> = own, to = '/admin/board') =>
  app.inject({ method: 'POST', url: '/admin/board/login', headers, payload: new URLSearchParams({ key, to }).toString() })

/** The Cookie header of a new session. */
const signIn = async (test: TestApp, key = adminKey): Promise<string> => {
  const answer = await login(test, key)
  if (answer.statusCode !== 303) throw new Error(`login answers ${answer.statusCode}`)
  return String(answer.headers['set-cookie']).split(';')[0] as string
}

const read = ({ app }: TestApp, cookie: string, url = '/admin/board/api/queues') => app.inject({ url, headers: { cookie } })
const open = (t: Test, env: Record<string, string> = {}) => buildTestApp(t, { env: { WORKERS_ENABLED: 'false', ...env } })

t.test('200 the page, and all it loads, from here and under its own policy', async (t) => {
  const { app } = await open(t)
  const headers = { authorization: `Bearer ${adminKey}` }
  for (const url of ['/admin/board', '/admin/board/', '/admin/board/queue/email']) {
    const page = await app.inject({ url, headers })
    t.equal(page.statusCode, 200, url)
    t.match(page.headers, {
      'content-type': /^text\/html/,
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
    })
    const policy = String(page.headers['content-security-policy'])
    t.match(policy, /^default-src 'none'; script-src 'self'; .*frame-ancestors 'none'$/)
    t.notMatch(policy, /unsafe|https?:|\*/)
    t.notMatch(page.body, /googleapis|<style|style="/)
  }
  const { body } = await app.inject({ url: '/admin/board', headers })
  const assets = [...body.matchAll(/(?:src|href)="(static\/[^"]+)"/g)].map(([, path]) => `/admin/board/${path}`)
  t.ok(assets.length >= 5)
  for (const url of assets) {
    const asset = await app.inject({ url, headers })
    t.equal(asset.statusCode, 200, url)
    t.match(asset.headers, { 'x-content-type-options': 'nosniff', 'cache-control': 'private, max-age=86400' })
    t.equal((await app.inject({ url })).statusCode, 401, 'not without a key')
  }
})

t.test('401 without a session: a page for browsers, a problem for programs', async (t) => {
  const { app, request } = await open(t)
  for (const headers of [browser, {}]) {
    t.equal((await request({ url: '/admin/board', headers, key: null })).statusCode, 401, 'either is documented')
  }
  for (const cookie of ['', `jobgate_board=${'A'.repeat(43)}`, 'jobgate_board=x', `jobgate_board=${'A'.repeat(9000)}`]) {
    const page = await app.inject({ url: '/admin/board/queue/email', headers: { ...browser, cookie } })
    t.equal(page.statusCode, 401)
    t.match(page.headers, { 'content-type': /^text\/html/, 'www-authenticate': /^Bearer/, 'cache-control': 'no-store', vary: /Accept/ })
    t.match(String(page.headers['content-security-policy']), /default-src 'none'.*form-action 'self'.*frame-ancestors 'none'/)
    t.match(page.body, /name="to" value="\/admin\/board\/queue\/email"/)
    const document = await app.inject({ url: '/admin/board/api/queues', headers: { cookie } })
    t.match(document.json(), { type: '/problems/unauthorized' })
  }
})

t.test('403 keys without admin, and keys that are limited to types or queues', async (t) => {
  const test = await open(t)
  const others: Scope[] = ['jobs:submit', 'jobs:read', 'jobs:manage', 'work']
  // Keys of an earlier version may have the scope and limits too.
  for (const grant of [{ scopes: others }, { queues: ['email' as const] }, { types: ['echo'] }]) {
    const { key } = await test.services.apiKeys.issue({ name: 'k', scopes: ['admin'], ...grant })
    const page = await login(test, key)
    t.equal(page.statusCode, 403)
    t.match(page.body, /role="alert">The dashboard requires a key with the admin scope/)
    t.notOk(page.headers['set-cookie'])
    for (const url of ['/admin/board', '/admin/board/api/queues']) {
      const answer = await test.app.inject({ url, headers: { authorization: `Bearer ${key}` } })
      t.equal(answer.statusCode, 403)
      t.match(answer.json(), { type: '/problems/forbidden', message: String })
    }
  }
})

t.test('303 signing in', async (t) => {
  const test = await open(t, { TRUST_PROXY: '127.0.0.1' })

  await t.test('the cookie holds no key, and neither does Redis', async (t) => {
    const { key } = await issue(test, {})
    const answer = await login(test, ` ${key}\n`)
    t.equal(answer.statusCode, 303)
    t.equal(answer.headers.location, '/admin/board')
    t.match(
      answer.headers['set-cookie'],
      /^jobgate_board=[A-Za-z0-9_-]{43}; Path=\/admin\/board; Max-Age=28800; HttpOnly; SameSite=Strict$/,
    )
    const cookie = String(answer.headers['set-cookie']).split(';')[0] as string
    t.equal((await read(test, cookie)).statusCode, 200)
    const { redis, keys } = test.services
    const [session] = await redis.request.keys(`${keys.boardSession('').replace(/[{}]/g, '\\$&')}*`)
    const stored = `${session} ${await redis.request.get(session as string)}`
    for (const secret of [key.slice(-43), cookie.slice(-43)]) t.notOk(stored.includes(secret))
    const ttl = await redis.request.pttl(session as string)
    t.ok(ttl > 28_700_000 && ttl <= 28_800_000, 'it ends by itself')
    t.notOk(test.logs.join('').includes(key.slice(-43)))
    t.notOk(test.logs.join('').includes(cookie.slice(-43)))
  })

  await t.test('Secure over https, also behind a proxy', async (t) => {
    const answer = await login(test, adminKey, { ...own, origin: 'https://gate.example', 'x-forwarded-proto': 'https' })
    t.match(answer.headers['set-cookie'], /; Secure$/)
  })

  await t.test('leads back to a page of the dashboard, and nowhere else', async (t) => {
    const { headers } = await login(test, adminKey, own, '/admin/board/queue/email/mail_x')
    t.equal(headers.location, '/admin/board/queue/email/mail_x')
    for (const to of ['//evil.example', 'https://evil.example/admin/board', '/admin/board/../../x', '/admin/boards', '/v1/jobs', ''])
      t.equal((await login(test, adminKey, own, to)).headers.location, '/admin/board', to)
  })

  await t.test('only from a page of this gateway', async (t) => {
    const { origin: _, ...bare } = own
    for (const headers of [
      bare,
      { ...own, origin: 'null' },
      { ...own, origin: 'http://evil.example' },
      { ...own, origin: 'http://gate.example:81' },
      { ...own, origin: 'http://evil.example@gate.example' },
      { ...own, origin: 'http://gate.example/evil' },
      { ...own, 'sec-fetch-site': 'cross-site' },
      { ...own, 'sec-fetch-site': 'same-site' },
      { ...own, 'sec-fetch-site': 'none' },
    ] as Record<string, string>[]) {
      const answer = await login(test, adminKey, headers)
      t.equal(answer.statusCode, 403, JSON.stringify(headers))
      t.notOk(answer.headers['set-cookie'])
    }
    for (const headers of [
      { ...bare, 'sec-fetch-site': 'same-origin' },
      { ...own, host: 'gate.example:80' },
    ])
      t.equal((await login(test, adminKey, headers)).statusCode, 303)
  })

  await t.test('415, 413: nothing but a small form', async (t) => {
    const post = (headers: object, payload: string) =>
      test.app.inject({ method: 'POST', url: '/admin/board/login', headers, payload } as object)
    t.equal((await post({ ...own, 'content-type': 'text/plain' }, 'key=x')).statusCode, 415)
    t.equal((await post(own, `key=${'x'.repeat(5000)}`)).statusCode, 413)
    for (const key of ['', 'x'.repeat(600), 'two words', '\u0000'])
      t.equal((await login(test, key)).statusCode, 401, 'what cannot be a key is no key')
  })
})

t.test('429 guessing keys at the login counts as it does elsewhere', async (t) => {
  const test = await open(t, { RATE_LIMIT_MAX: '5', RATE_LIMIT_WINDOW_MS: freshRateWindowMs() })
  const guess = async () => (await login(test, 'guess')).statusCode
  const statuses = []
  for (let at = 0; at < 7; at++) statuses.push(await guess())
  t.same(statuses.slice(0, 4), [401, 401, 401, 401])
  t.equal(statuses.at(-1), 429)
  t.equal((await login(test, adminKey)).statusCode, 429, 'not even the right one is compared then')
})

t.test('a session ends with its key, on every instance', async (t) => {
  const test = await open(t)
  const other = await buildTestApp(t, { beside: test, env: { WORKERS_ENABLED: 'false' } })
  const stranger = await buildTestApp(t, { beside: test, env: { WORKERS_ENABLED: 'false', ADMIN_API_KEY: 'another-first-key' } })
  const both = async (cookie: string) => [(await read(test, cookie)).statusCode, (await read(other, cookie)).statusCode]
  const ends = (cookie: string, how: string) => eventually(how, async () => (await both(cookie)).every((status) => status === 401))

  const revoked = await issue(test, {})
  const rotated = await issue(test, {})
  // Far enough ahead for a slow machine to see it valid first.
  const expiring = await issue(test, { expiresAt: new Date(Date.now() + 10_000).toISOString() })
  const cookies = {
    revoked: await signIn(test, revoked.key),
    rotated: await signIn(other, rotated.key),
    expiring: await signIn(test, expiring.key),
  }
  for (const cookie of Object.values(cookies)) t.same(await both(cookie), [200, 200])

  await test.request({ method: 'DELETE', url: `/admin/api-keys/${revoked.id}` })
  await ends(cookies.revoked, 'revoked')
  await test.request({ method: 'POST', url: `/admin/api-keys/${rotated.id}/rotate`, payload: { overlapMs: 0 } })
  await ends(cookies.rotated, 'rotated')
  await ends(cookies.expiring, 'expired')

  const first = await signIn(test)
  t.same(await both(first), [200, 200])
  t.equal((await read(stranger, first)).statusCode, 401, 'where the first key is another one')

  const logout = (headers: object) => test.app.inject({ method: 'POST', url: '/admin/board/logout', headers } as object)
  t.equal((await test.app.inject('/admin/board/logout')).statusCode, 200)
  t.equal((await logout({ cookie: first })).statusCode, 403, 'another site cannot sign out')
  const out = await logout({ cookie: first, host: 'gate.example', origin: 'http://gate.example' })
  t.equal(out.statusCode, 303)
  t.match(out.headers['set-cookie'], /^jobgate_board=; Path=\/admin\/board; Max-Age=0; HttpOnly; SameSite=Strict$/)
  t.same(await both(first), [401, 401])
})

t.test('what it shows', async (t) => {
  const key = Buffer.alloc(32, 7).toString('base64')
  for (const env of [{}, { DATA_ENCRYPTION_KEY: key }] as Record<string, string>[]) {
    const test = await buildTestApp(t, { env })
    const cookie = await signIn(test)
    const secret = 'canary-in-data'
    const submit = async (type: string, extra: object = {}) =>
      (await test.submit({ type, data: { label: type, secret }, ...extra }, { 'idempotency-key': `"canary-${type}"` })).json().id
    const followUps = [{ type: 'echo', data: { label: 'after', secret } }]
    const ids = [await submit('progress', { followUps }), await submit('refuse'), await submit('throw')]
    for (const id of ids) await test.finished(id)
    const answers = [
      await read(test, cookie, '/admin/board/api/queues?activeQueue=external-api&status=latest&jobsPerPage=1000000'),
      await read(test, cookie, '/admin/board/api/job-schedulers'),
      await read(test, cookie, '/admin/board/api/redis/stats'),
      await read(test, cookie, '/admin/board/api/queues/external-api/workers'),
    ]
    for (const id of ids)
      for (const part of ['', '/logs', '/flow']) answers.push(await read(test, cookie, `/admin/board/api/queues/external-api/${id}${part}`))
    for (const answer of answers) {
      t.equal(answer.statusCode, 200)
      t.notMatch(answer.body, /canary|hunter2|\$encrypted|traceparent/)
    }
    const [list, , , workers, done, logs] = answers.map((answer) => answer.json())
    t.ok(
      list.queues.every(({ hasWorkers }: { hasWorkers: boolean }) => hasWorkers),
      'workers are known by their heartbeats',
    )
    t.equal(list.queues.find(({ name }: { name: string }) => name === 'external-api').pagination.range.end, 49, 'a page is bounded')
    t.match(workers.workers, [{ id: test.config.instanceId }])
    t.match(done.job, { data: { data: { label: 'progress', secret: '***' }, tenant: 'default' }, progress: { step: 'last' } })
    t.same(done.job.opts, { attempts: 3, backoff: { type: 'fixed', delay: 10 }, delay: 0, priority: done.job.opts.priority })
    t.same(logs, ['half way'])
    const [refused, thrown] = [answers[7]?.json(), answers[10]?.json()]
    t.match(refused.job, { failedReason: 'invalid_data: Never.', stacktrace: [] })
    t.match(thrown.job, { failedReason: /^handler_error: /, stacktrace: [] })
  }
})

t.test('why children failed: never what Redis or an exception said', async (t) => {
  const test = await open(t)
  const cookie = await signIn(test)
  const { queueKeys, redis } = test.services
  const keys = queueKeys['external-api']
  const parent = mintJobId('external-api')
  const child = keys.job(`${parent}-0`)
  for (const key of [keys.job(parent), child]) await redis.request.hset(key, { name: 'echo', data: '{}', opts: '{}', timestamp: '1' })
  await redis.request.hset(`${keys.job(parent)}:failed`, child, 'ERR canary')
  const { flowRoot } = (await read(test, cookie, `/admin/board/api/queues/external-api/${parent}/flow`)).json()
  t.match(flowRoot, { id: parent, children: [{ id: `${parent}-0` }] })
  t.match(flowRoot.ignoredChildFailureReasons[child], /^handler_error: The handler/)
})

t.test('404 what is no job and no queue; 400 what cannot be read', async (t) => {
  const test = await open(t)
  const cookie = await signIn(test)
  const { id } = (await test.submit({ type: 'echo', data: { label: 'x' } })).json()
  for (const path of [
    'email/meta',
    'email/meta/logs',
    'email/wait',
    `email/${id}`,
    'external-api/ext_3q2AMb1cT7mR0wZk9vYxFg',
    'nope/x',
    'schedules/x',
  ]) {
    const answer = await read(test, cookie, `/admin/board/api/queues/${path}`)
    t.equal(answer.statusCode, 404, path)
    t.match(answer.json(), { type: '/problems/not-found', requestId: String })
  }
  for (const query of ['queues?page=x', 'queues?activeQueue=%25', 'job-schedulers?queueName=%25'])
    t.equal((await read(test, cookie, `/admin/board/api/${query}`)).statusCode, 400, query)
  t.equal((await read(test, cookie, '/admin/board/api/nothing')).statusCode, 404)
})

t.test('503 Redis is gone: nothing of its error is told', async (t) => {
  const test = await open(t)
  const cookie = await signIn(test)
  test.services.redis.request.disconnect()
  for (const headers of [{ cookie }, { authorization: `Bearer ${adminKey}` }] as Record<string, string>[]) {
    const answer = await test.app.inject({ url: '/admin/board/api/queues', headers })
    t.equal(answer.statusCode, 503)
    t.match(answer.json(), { type: '/problems/redis-unavailable' })
    t.notMatch(answer.body, /Stream|offline|ECONN|Connection is closed/)
  }
})

t.test('acts', async (t) => {
  const test = await open(t, { BOARD_READ_ONLY: 'false' })
  const { key, id: keyId } = await issue(test, {})
  const cookie = await signIn(test, key)
  const act = (path: string, headers: object = own, payload = '{}', method = 'PUT') =>
    test.app.inject({
      method,
      url: `/admin/board/api/queues/${path}`,
      headers: { cookie, ...headers, 'content-type': 'application/json' },
      payload,
    } as object)
  const job = async (id: string) => (await test.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
  const submit = async (options = {}) => (await test.submit({ type: 'echo', data: { label: 'x' }, options })).json().id as string
  const acts = async () =>
    (await test.request({ method: 'GET', url: '/admin/audit' })).json().items.filter(
      // Operations end when they have to.
      ({ by, act }: { by: string; act: string }) => by === keyId && act !== 'operation.finished',
    )

  await t.test('403 a cookie alone is not enough; a key in Authorization is', async (t) => {
    for (const headers of [{}, { host: 'gate.example', origin: 'http://evil.example' }, { 'sec-fetch-site': 'cross-site' }])
      t.equal((await act('email/pause', headers)).statusCode, 403)
    t.equal(await test.services.queues.isPaused('email'), false)
    t.equal((await act('email/resume', { cookie: '', authorization: `Bearer ${key}` })).statusCode, 200)
  })

  await t.test('200 pause, resume, retry, promote, drain, obliterate: by the gateway, and noted', async (t) => {
    t.equal((await act('email/pause')).statusCode, 200)
    t.equal(await test.services.queues.isPaused('email'), true)
    t.equal((await act('resume')).statusCode, 200)
    t.equal(await test.services.queues.isPaused('email'), false)

    const late = await submit({ delayMs: 60_000 })
    t.equal((await act(`external-api/${late}/promote`)).statusCode, 200)
    t.equal((await job(late)).state, 'waiting')
    t.equal((await act(`external-api/${late}/promote`)).statusCode, 409)
    await test.request({ method: 'DELETE', url: `/v1/jobs/${late}` })
    t.equal((await act(`external-api/${late}/retry`)).statusCode, 200)
    t.equal((await job(late)).state, 'waiting')
    t.equal((await act(`external-api/${late}/retry`)).statusCode, 409)
    for (const path of ['external-api/meta/retry', 'email/meta/promote', 'nope/pause']) t.equal((await act(path)).statusCode, 404, path)

    const later = await submit({ delayMs: 60_000 })
    t.equal((await act('external-api/promote')).statusCode, 200)
    await eventually('promoted', async () => (await job(later)).state === 'waiting')
    t.equal((await act('external-api/empty')).statusCode, 200)
    await eventually('drained', async () => (await job(later)).status === 404)
    const last = await submit()
    t.equal((await act('external-api/obliterate', own, '{"force":true}')).statusCode, 200)
    await eventually('obliterated', async () => (await job(last)).status === 404)
    t.equal((await act('external-api/retry/failed')).statusCode, 200)

    const seen = (await acts()).map(({ act, queue, details }: { act: string; queue: string; details: { kind?: string } }) =>
      [act, queue, details.kind].filter(Boolean).join(' '),
    )
    for (const wanted of [
      'queue.paused email',
      'queue.resumed',
      'job.promoted external-api',
      'job.retried external-api',
      'operation.requested external-api promote-delayed',
      'operation.requested external-api drain',
      'operation.requested external-api obliterate',
      'operation.requested external-api retry-failed',
    ])
      t.ok(seen.includes(wanted), wanted)
  })

  await t.test('403 what would break promises of the gateway', async (t) => {
    const id = await submit()
    const before = await test.services.redis.request.hgetall(test.services.queueKeys['external-api'].job(id))
    const count = (await acts()).length
    for (const [method, path, body] of [
      ['POST', 'external-api/add', '{"name":"echo","data":{},"options":{}}'],
      ['PATCH', `external-api/${id}/update-data`, '{"jobData":{}}'],
      ['PATCH', `external-api/${id}/priority`, '{"priority":9}'],
      ['PATCH', `external-api/${id}/delay`, '{"runAt":1}'],
      ['PUT', `external-api/${id}/clean`, '{}'],
      ['PUT', 'external-api/clean/waiting', '{}'],
      ['PUT', 'external-api/retry/completed', '{}'],
      ['PUT', 'external-api/concurrency', '{"concurrency":1}'],
      ['PUT', 'external-api/rate-limit', '{"max":1,"duration":1000}'],
    ] as const) {
      const answer = await act(path, own, body, method)
      t.equal(answer.statusCode, 403, `${method} ${path}`)
      t.match(answer.json(), { type: '/problems/forbidden', error: { key: 'ERRORS.FORBIDDEN' }, message: /does not support this/ })
    }
    t.same(await test.services.redis.request.hgetall(test.services.queueKeys['external-api'].job(id)), before)
    t.equal((await acts()).length, count)
  })
})

t.test('404 what is not an id of a job in its queue, in every route that names one', async (t) => {
  const test = await open(t, { BOARD_READ_ONLY: 'false' })
  const { appRoutes } = createRequire(import.meta.url)('@bull-board/api/dist/routes.js') as {
    appRoutes: { api: { method: string | string[]; route: string | string[] }[] }
  }
  const routes = appRoutes.api.flatMap(({ method, route }) =>
    [route].flat().flatMap((path) => [method].flat().map((each) => ({ method: each.toUpperCase() as 'GET', path }))),
  )
  const ofJobs = routes.filter(({ path }) => path.includes(':jobId'))
  t.ok(ofJobs.length >= 10)
  // Keys of the queue that are no jobs, and one that is a hash as jobs are.
  await test.submit({ type: 'echo', data: { label: 'x' } })
  const id = (await test.submit({ type: 'echo', data: { label: 'x' } })).json().id as string
  const reserved = ['__proto__', 'constructor', 'meta', 'id', 'wait', 'events', 'marker', 'prioritized', 'stalled-check', 'repeat']
  const forms = ['a:b', 'repeat:x:1', 'repeat%3Ax%3A1', '%00', '%0d%0a', '%E2%80%AE', `${id}%20`, `${id}:logs`, 'x'.repeat(300), '1', '-']
  const headers = { authorization: `Bearer ${adminKey}` }
  for (const { method, path } of ofJobs) {
    for (const name of [...reserved, ...forms, mintJobId('email')]) {
      const url = `/admin/board${path.replace(':queueName', 'external-api').replace(':jobId', name)}`
      const answer = await test.app.inject({ method, url, headers })
      t.equal(answer.statusCode, 404, `${method} ${url}`)
      t.equal(answer.headers['content-type'], 'application/problem+json')
    }
    for (const queue of ['__proto__', 'constructor', 'email', 'external-api:meta']) {
      const url = `/admin/board${path.replace(':queueName', queue).replace(':jobId', id)}`
      t.equal((await test.app.inject({ method, url, headers })).statusCode, 404, `${method} ${url}`)
    }
  }
  const flow = await test.app.inject({ url: `/admin/board/api/queues/external-api/${id}/flow`, headers })
  t.equal(flow.statusCode, 200, 'a job of the queue is shown')
})
