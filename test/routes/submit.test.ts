import t from 'tap'
import { buildTestApp, freshRateWindowMs } from '../helpers/build-test-app.js'

const echo = (label = 'x', more: object = {}) => ({ type: 'echo', data: { label }, ...more })

t.test('202', async (t) => {
  const test = await buildTestApp(t)
  const { submit, request, finished, probes } = test

  await t.test('LRO-1 accepted: Location, Retry-After and the job', async (t) => {
    const answer = await submit(
      echo('a', { userId: 'u1', correlationId: 'c1', metadata: { source: 'signup', n: 1 }, options: { priority: 'high', attempts: 5 } }),
    )
    t.equal(answer.statusCode, 202)
    const job = answer.json()
    t.equal(answer.headers.location, `/v1/jobs/${job.id}`)
    t.match(answer.headers['retry-after'], /^\d+$/)
    t.ok(answer.headers['x-request-id'])
    t.notOk('idempotent-replayed' in answer.headers)
    t.match(job, {
      type: 'echo',
      queue: 'external-api',
      state: 'waiting',
      data: { label: 'a' },
      priority: 'high',
      attempts: { made: 0, max: 5 },
      progress: null,
      result: null,
      error: null,
      userId: 'u1',
      correlationId: 'c1',
      metadata: { source: 'signup', n: 1 },
      idempotencyKey: null,
      runAt: null,
      startedAt: null,
      finishedAt: null,
    })
    t.match(await finished(job.id), { state: 'completed', result: { label: 'a' }, attempts: { made: 1, max: 5 } })
  })

  await t.test('IDK-12 a repeat gets the first answer again, marked', async (t) => {
    const headers = { 'idempotency-key': '"k 1"' }
    const body = echo('repeat', { options: { delayMs: 60_000, expiresInMs: 1000 } })
    const first = await submit(body, headers)
    const again = await submit(body, { ...headers, 'x-request-id': 'mine' })
    t.equal(again.statusCode, 202)
    t.equal(again.headers['idempotent-replayed'], 'true')
    t.equal(again.headers.location, first.headers.location)
    t.equal(again.headers['content-type'], first.headers['content-type'])
    t.equal(again.headers['x-request-id'], 'mine')
    t.same(again.json(), first.json())
    t.match(first.json(), { idempotencyKey: 'k 1', state: 'delayed' })
  })

  await t.test('IDK-3 without a key two requests make two jobs', async (t) => {
    const [one, two] = [await submit(echo()), await submit(echo())]
    t.not(one.json().id, two.json().id)
  })

  await t.test('IDK-5 the same payload written differently is a repeat', async (t) => {
    const headers = { 'idempotency-key': 'order', 'content-type': 'application/json' }
    const one = await request({ method: 'POST', url: '/v1/jobs', headers, payload: '{"type":"echo","data":{"label":"o"},"userId":"u"}' })
    const two = await request({
      method: 'POST',
      url: '/v1/jobs',
      headers,
      payload: ' {"userId":"u", "data":{ "label":"o" }, "type":"echo"}',
    })
    t.equal(two.headers['idempotent-replayed'], 'true')
    t.equal(one.json().id, two.json().id)
  })

  await t.test('IDK-15 fifty at once with one key make one job', async (t) => {
    const answers = await Promise.all(Array.from({ length: 50 }, () => submit(echo('fifty'), { 'idempotency-key': 'fifty' })))
    t.ok(answers.every(({ statusCode }) => statusCode === 202))
    t.equal(new Set(answers.map((answer) => answer.json().id)).size, 1)
    t.equal(answers.filter(({ headers }) => !headers['idempotent-replayed']).length, 1)
    await finished(answers[0]?.json().id)
    t.equal(probes.runs.filter(({ label }) => label === 'fifty').length, 1)
  })

  await t.test('a sensitive member is masked, and reaches the handler as it was sent', async (t) => {
    const answer = await submit({ type: 'echo', data: { label: 'secret', secret: 'hunter2' } })
    t.same(answer.json().data, { label: 'secret', secret: '***' })
    t.same((await finished(answer.json().id))['data'], { label: 'secret', secret: '***' })
    t.match(probes.runs.find(({ label }) => label === 'secret')?.data, { secret: 'hunter2' })
    t.notOk(test.logs.some((line) => line.includes('hunter2')))
  })

  await t.test('delayMs and runAt delay; timing shows', async (t) => {
    const at = new Date(Date.now() + 3_600_000).toISOString()
    t.match((await submit(echo('d', { options: { runAt: at } }))).json(), { state: 'delayed', runAt: at })
    t.match((await submit(echo('p', { options: { runAt: '2020-01-01T00:00:00Z' } }))).json(), { state: 'waiting', runAt: null })
  })

  await t.test('PRF-3 respond-async alone does not wait', async (t) => {
    const answer = await submit(echo(), { prefer: 'respond-async' })
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers['preference-applied'], 'respond-async')
  })

  await t.test('PRF-1 a Prefer that is too long is ignored', async (t) => {
    t.equal((await submit({ type: 'echo', data: { label: 'prefers' } }, { prefer: `x=${'y'.repeat(5000)}` })).statusCode, 202)
  })

  await t.test('PRF-2 a wait that is over answers 202', async (t) => {
    const answer = await submit({ type: 'block', data: { label: 'slow' } }, { prefer: 'wait=0' })
    t.equal(answer.statusCode, 202)
    t.equal(answer.headers['preference-applied'], 'wait=0')
    probes.release('slow')
  })
})

t.test('200', async (t) => {
  const { submit, probes } = await buildTestApp(t)
  await t.test('PRF-2 Prefer: wait answers with the finished job', async (t) => {
    const answer = await submit(echo('w'), { prefer: 'wait=20', 'idempotency-key': 'waited' })
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['preference-applied'], 'wait=20')
    t.match(answer.headers.vary, /Prefer/)
    t.notOk('retry-after' in answer.headers)
    t.match(answer.json(), { state: 'completed', result: { label: 'w' } })

    const again = await submit(echo('w'), { prefer: 'wait=20', 'idempotency-key': 'waited' })
    t.equal(again.statusCode, 202, 'PRF-5 a waited 200 is not stored')
    t.match(again.json(), { state: 'waiting', result: null })
    t.equal(probes.runs.length, 1)
  })
  await t.test('LRO-3 a failed job is a 200 too', async (t) => {
    const answer = await submit({ type: 'refuse', data: { label: 'r' } }, { prefer: 'wait=20' })
    t.match(answer.json(), { state: 'failed', error: { code: 'invalid_data', message: 'Never.', retryable: false } })
  })
})

t.test('400', async (t) => {
  const { submit, request } = await buildTestApp(t, { env: { IDEMPOTENCY_REQUIRED: 'true', WORKERS_ENABLED: 'false' } })
  const key = { 'idempotency-key': 'k' }
  const pointers = async (body: unknown) => (await submit(body, key)).json().errors?.map(({ pointer }: { pointer: string }) => pointer)

  await t.test('PRB-3 errors point at the very member', async (t) => {
    t.same(await pointers({}), ['#/type'])
    t.same(await pointers({ type: 'nope', data: {} }), ['#/type'])
    t.same(await pointers({ type: 'echo' }), ['#/data'])
    t.same(await pointers({ type: 'echo', data: {} }), ['#/data/label'])
    t.same(await pointers({ type: 'echo', data: { label: 1 } }), ['#/data/label'])
    t.same(await pointers({ type: 'echo', data: { label: 'x', more: 1 } }), ['#/data/more'])
    t.same(await pointers({ type: 'echo', data: { label: 'x' }, more: 1 }), ['#/more'])
    t.same(await pointers(echo('x', { options: { attempts: 1e9 } })), ['#/options/attempts'])
    t.same(await pointers(echo('x', { options: { priority: 1 } })), ['#/options/priority'])
    t.same(await pointers(echo('x', { options: { delayMs: -1 } })), ['#/options/delayMs'])
    t.same(await pointers(echo('x', { options: { delayMs: '5' } })), ['#/options/delayMs'])
    t.same(await pointers(echo('x', { options: { removeOnComplete: true } })), ['#/options/removeOnComplete'])
    t.same(await pointers(echo('x', { options: { delayMs: 1, runAt: '2020-01-01T00:00:00Z' } })), ['#/options/runAt'])
    t.same(await pointers(echo('x', { options: { runAt: '2130-01-01T00:00:00Z' } })), ['#/options/runAt'])
    t.same(await pointers(echo('x', { options: { runAt: '2026-13-45T00:00:00Z' } })), ['#/options/runAt'])
    t.same(await pointers(echo('x', { correlationId: 'a\nb' })), ['#/correlationId'])
    t.same(await pointers(echo('x', { userId: '' })), ['#/userId'])
    t.same(await pointers(echo('x', { metadata: { a: { b: 1 } } })), ['#/metadata/a'])
  })

  await t.test('IDK-6 a refused request does not burn its key', async (t) => {
    t.equal((await submit(echo('x', { more: 1 }), { 'idempotency-key': 'unburnt' })).statusCode, 400)
    t.equal((await submit(echo(), { 'idempotency-key': 'unburnt' })).statusCode, 202)
  })

  await t.test('IDK-2 an invalid key', async (t) => {
    for (const value of ['', '"a', 'a b', 'k'.repeat(256)]) {
      const answer = await submit(echo(), { 'idempotency-key': value })
      t.equal(answer.statusCode, 400)
      t.equal(answer.json().type, '/problems/idempotency-key-invalid', value.slice(0, 9))
    }
  })

  await t.test('IDK-2 a key that is too long for any header we read', async (t) => {
    const answer = await submit({ type: 'echo', data: { label: 'long' } }, { 'idempotency-key': 'k'.repeat(5000) })
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().type, '/problems/idempotency-key-invalid')
  })

  await t.test('IDK-3 a missing key where one is required', async (t) => {
    const answer = await submit(echo())
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().type, '/problems/idempotency-key-missing')
    t.match(answer.headers.link, /rel="describedby"/)
  })

  await t.test('hostile JSON', async (t) => {
    const send = (payload: string) =>
      request({ method: 'POST', url: '/v1/jobs', headers: { ...key, 'content-type': 'application/json' }, payload })
    const bodies = [
      '{"type":"echo","data":{"label":"x","__proto__":{"a":1}}}',
      '{"type":"echo","data":{"label":"x","\\u005f_proto__":1}}',
      '{"type":"echo","data":{"label":"x","constructor":{"prototype":{}}}}',
      `{"type":"echo","data":{"label":"x","nested":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`,
      '{"type":"echo"',
      '[]',
      'null',
      '"x"',
    ]
    for (const body of bodies) t.equal((await send(body)).statusCode, 400, body.slice(0, 60))
    t.equal((await send(JSON.stringify(echo('after')))).statusCode, 202, 'and the queue still works')
  })
})

t.test('401 and 403', async (t) => {
  const { request, submit } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const issue = async (body: object) =>
    (await request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', ...body } })).json().key as string

  t.equal((await request({ method: 'POST', url: '/v1/jobs', payload: echo(), key: null })).statusCode, 401)
  t.equal((await request({ method: 'POST', url: '/v1/jobs', payload: echo(), key: 'wrong-key-0' })).statusCode, 401)
  const reader = await issue({ scopes: ['jobs:read'] })
  t.equal((await request({ method: 'POST', url: '/v1/jobs', payload: echo(), key: reader })).statusCode, 403)
  const flakyOnly = await issue({ scopes: ['jobs:submit', 'jobs:read'], types: ['flaky'] })
  t.equal((await request({ method: 'POST', url: '/v1/jobs', payload: echo(), key: flakyOnly })).statusCode, 403)
  t.equal(
    (await request({ method: 'POST', url: '/v1/jobs', payload: { type: 'flaky', data: { label: 'f' } }, key: flakyOnly })).statusCode,
    202,
  )

  await t.test('IDK-4 tenants never share keys; two keys of one tenant do', async (t) => {
    const [a1, a2, b] = [
      await issue({ scopes: ['jobs:submit'], tenant: 'a' }),
      await issue({ scopes: ['jobs:submit'], tenant: 'a' }),
      await issue({ scopes: ['jobs:submit'], tenant: 'b' }),
    ]
    const send = async (key: string) =>
      (await request({ method: 'POST', url: '/v1/jobs', payload: echo(), key, headers: { 'idempotency-key': 'shared' } })).json().id
    const [one, two, other] = [await send(a1), await send(a2), await send(b)]
    t.equal(one, two)
    t.not(one, other)
  })
  t.equal((await submit(echo())).statusCode, 202)
})

t.test('413 and 415', async (t) => {
  const { request } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', BODY_LIMIT_BYTES: '2048' } })
  const send = (contentType: string, payload: string) =>
    request({ method: 'POST', url: '/v1/jobs', headers: { 'content-type': contentType }, payload })
  t.equal((await send('application/json', JSON.stringify(echo('x'.repeat(4000))))).statusCode, 413)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
    'application/json; charset=utf-16',
  ]) {
    t.equal((await send(type, JSON.stringify(echo()))).statusCode, 415, type)
  }
})

t.test('422', async (t) => {
  const { submit, finished } = await buildTestApp(t)
  const headers = { 'idempotency-key': 'one' }
  const { id } = (await submit(echo('one'), headers)).json()
  for (const body of [echo('two'), echo('one', { userId: 'u' }), { type: 'flaky', data: { label: 'one' } }]) {
    const answer = await submit(body, headers)
    t.equal(answer.statusCode, 422, 'IDK-8')
    t.equal(answer.json().type, '/problems/idempotency-key-reused')
  }
  await finished(id)
  t.equal((await submit(echo('two'), headers)).statusCode, 422, 'IDK-8 whatever the state')
  t.equal((await submit(echo('one'), headers)).json().id, id)
})

t.test('429', async (t) => {
  const windowMs = freshRateWindowMs()
  const { submit } = await buildTestApp(t, { env: { RATE_LIMIT_MAX: '2', RATE_LIMIT_WINDOW_MS: windowMs, WORKERS_ENABLED: 'false' } })
  await submit(echo())
  await submit(echo())
  const answer = await submit(echo())
  t.equal(answer.statusCode, 429)
  t.match(answer.headers['retry-after'], /^\d+$/)
  t.equal(answer.headers['ratelimit-policy'], `"default";q=2;w=${Math.ceil(Number(windowMs) / 1000)}`)
})

t.test('503', async (t) => {
  await t.test('IDK-13 a full queue refuses and the key stays unused', async (t) => {
    const { submit } = await buildTestApp(t, { env: { QUEUE_MAX_DEPTH: '1', WORKERS_ENABLED: 'false' } })
    await submit(echo(), { 'idempotency-key': 'first' })
    const answer = await submit(echo(), { 'idempotency-key': 'second' })
    t.equal(answer.statusCode, 503)
    t.equal(answer.json().type, '/problems/queue-full')
    t.ok(answer.headers['retry-after'])
    const replay = await submit(echo(), { 'idempotency-key': 'first' })
    t.equal(replay.headers['idempotent-replayed'], 'true', 'a replay is answered even while the queue is full')
  })
})

t.test('IDK-10 a key outlives its job, however that ends', async (t) => {
  const test = await buildTestApp(t)
  const { submit, request, finished, probes, services } = test
  const key = (name: string) => ({ 'idempotency-key': name })
  const queue = services.queueKeys['external-api']
  const runsOf = (label: string) => probes.runs.filter((run) => run.label === label).length

  const ways: Record<string, (id: string) => Promise<unknown>> = {
    completed: async () => {},
    removed: (id) => services.redis.request.del(queue.job(id)),
    flushedFromSets: async (id) => {
      await services.redis.request.zrem(queue.completed, id)
      await services.redis.request.del(queue.job(id))
    },
  }
  for (const [label, end] of Object.entries(ways)) {
    const { id } = (await submit(echo(label), key(label))).json()
    await finished(id)
    await end(id)
    const again = await submit(echo(label), key(label))
    t.equal(again.json().id, id, label)
    t.equal(again.headers['idempotent-replayed'], 'true')
    t.equal(runsOf(label), 1)
  }

  const delayed = echo('cancelled', { options: { delayMs: 60_000 } })
  const { id } = (await submit(delayed, key('cancelled'))).json()
  t.equal((await request({ method: 'DELETE', url: `/v1/jobs/${id}` })).statusCode, 200)
  t.equal((await submit(delayed, key('cancelled'))).json().id, id)
  t.equal(runsOf('cancelled'), 0)
})

t.test('IDK-14 after its time a key is new', async (t) => {
  const { submit, services } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const first = (await submit(echo(), { 'idempotency-key': 'old' })).json().id
  const [key] = await services.redis.request.keys('{jobgate}:gate:idem:*')
  const ttl = await services.redis.request.pttl(key as string)
  t.ok(ttl > 86_390_000 && ttl <= 86_400_000)
  await services.redis.request.pexpire(key as string, 1)
  while (await services.redis.request.exists(key as string));
  t.not((await submit(echo(), { 'idempotency-key': 'old' })).json().id, first)
})
