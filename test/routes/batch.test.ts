import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import t from 'tap'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'

const echo = (label: string, more: object = {}) => ({ type: 'echo', data: { label }, ...more })
const asJson = ({ request }: TestApp, items: unknown, headers: Record<string, string> = {}) =>
  request({ method: 'POST', url: '/v1/jobs/batch', payload: { items }, headers })
const asLines = async ({ app }: TestApp, lines: string[], headers: Record<string, string> = {}, key = adminKey) => {
  const answer = await app.inject({
    method: 'POST',
    url: '/v1/jobs/batch',
    payload: lines.join('\n'),
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/x-ndjson', ...headers },
  })
  const results =
    answer.statusCode === 207
      ? answer.body
          .trim()
          .split('\n')
          .filter(Boolean)
          .map((line) => JSON.parse(line))
      : []
  return { answer, results }
}

t.test('207', async (t) => {
  const test = await buildTestApp(t)

  await t.test('BAT-2 every item has its result, in order', async (t) => {
    const answer = await asJson(test, [echo('a'), { type: 'echo' }, 5, echo('b', { options: { attempts: 1e9 } }), echo('c')])
    t.equal(answer.statusCode, 207)
    const { items } = answer.json()
    t.same(
      items.map(({ index, status }: { index: number; status: number }) => [index, status]),
      [
        [0, 202],
        [1, 400],
        [2, 400],
        [3, 400],
        [4, 202],
      ],
    )
    t.match(items[0], { id: /^ext_/, location: `/v1/jobs/${items[0].id}` })
    t.same(items[1].error.errors[0].pointer, '#/data')
    t.same(items[3].error.errors[0].pointer, '#/options/attempts')
    t.match(await test.finished(items[4].id), { state: 'completed', data: { label: 'c' } })
  })

  await t.test('BAT-2 is 207 also when all fail', async (t) => {
    t.equal((await asJson(test, [{}, {}])).statusCode, 207)
  })

  await t.test('others have their turns while it refuses many lines', async (t) => {
    let turns = 0
    let isOver = false
    const count = () => {
      turns++
      if (!isOver) setImmediate(count)
    }
    count()
    const { results } = await asLines(
      test,
      Array.from({ length: 20_000 }, () => '{'),
    )
    isOver = true
    t.equal(results.length, 20_000)
    t.ok(turns > 60, `${turns} turns`)
  })

  await t.test('BAT-4 items bring their own keys', async (t) => {
    const items = [
      echo('k', { idempotencyKey: 'k1' }),
      echo('k', { idempotencyKey: 'k1' }),
      echo('other', { idempotencyKey: 'k1' }),
      { type: 'flaky', data: { label: 'k' }, idempotencyKey: 'k1' },
    ]
    const results = (await asJson(test, items)).json().items
    t.same(
      results.map(({ status }: { status: number }) => status),
      [202, 202, 422, 422],
    )
    t.equal(results[0].id, results[1].id)
    t.equal(results[1].replayed, true)
    const alone = await test.submit(echo('k'), { 'idempotency-key': 'k1' })
    t.equal(alone.json().id, results[0].id, 'IDK-5 an item sent again alone is the same job')
  })

  await t.test('BAT-4 the header covers every item without a key, as JSON or NDJSON', async (t) => {
    const items = [echo('h0'), echo('h1', { idempotencyKey: 'own' }), echo('h2')]
    const headers = { 'idempotency-key': '"batch"' }
    const first = (await asJson(test, items, headers)).json().items
    const again = (await asJson(test, items, headers)).json().items
    const { results } = await asLines(
      test,
      items.map((item) => JSON.stringify(item)),
      headers,
    )
    t.same(
      again.map(({ id }: { id: string }) => id),
      first.map(({ id }: { id: string }) => id),
    )
    t.same(
      results.map(({ id }) => id),
      first.map(({ id }: { id: string }) => id),
    )
    t.ok(results.every(({ replayed }) => replayed))
    const plain = await test.submit(echo('h0'), { 'idempotency-key': 'batch' })
    t.not(plain.json().id, first[0].id, 'a space of its own')
  })

  await t.test('BAT-3 lines are judged one by one', async (t) => {
    const { answer, results } = await asLines(test, [
      JSON.stringify(echo('1')),
      '',
      '   ',
      '{',
      JSON.stringify({ type: 'x' }),
      `"${'x'.repeat(300_000)}"`,
      `${JSON.stringify(echo('2'))}\r`,
      '{"__proto__":1}',
    ])
    t.match(answer.headers['content-type'], 'application/x-ndjson')
    t.same(
      results.map(({ status }) => status),
      [202, 400, 400, 413, 202, 400],
    )
    t.same(
      results.map(({ index }) => index),
      [0, 1, 2, 3, 4, 5],
    )
    t.equal(results[1].error.line, 4)
  })

  await t.test('an empty NDJSON body has no results', async (t) => {
    const { answer } = await asLines(test, [''])
    t.equal(answer.statusCode, 207)
    t.equal(answer.body, '')
  })

  await t.test('grants hold for every item', async (t) => {
    const issued = await test.request({
      method: 'POST',
      url: '/admin/api-keys',
      payload: { name: 'k', scopes: ['jobs:submit'], types: ['echo'] },
    })
    const { results } = await asLines(
      test,
      [JSON.stringify(echo('g')), JSON.stringify({ type: 'flaky', data: { label: 'g' } })],
      {},
      issued.json().key,
    )
    t.same(
      results.map(({ status }) => status),
      [202, 403],
    )
  })
})

t.test('400', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', IDEMPOTENCY_REQUIRED: 'true' } })
  for (const items of [[], Array.from({ length: 1001 }, () => echo('x')), 'x', null])
    t.equal((await asJson(test, items)).statusCode, 400, 'BAT-1')
  t.equal((await asJson(test, [echo('x')], { 'idempotency-key': '"' })).statusCode, 400)

  await t.test('no body, no Content-Type', async (t) => {
    const headers = { authorization: `Bearer ${adminKey}` }
    for (const more of [{}, { 'content-length': '0' }]) {
      const answer = await test.app.inject({ method: 'POST', url: '/v1/jobs/batch', headers: { ...headers, ...more } })
      t.equal(answer.statusCode, 400)
      t.match(answer.json(), { type: '/problems/malformed-body' })
    }
  })

  await t.test('BAT-4 IDK-2 keys of items that are none', async (t) => {
    const faults = ['', 'x'.repeat(256), 'sch\u00fcssel', 'a\nb', 5, null]
    const { items } = (
      await asJson(test, [...faults.map((idempotencyKey) => echo('x', { idempotencyKey })), { idempotencyKey: 'k' }])
    ).json()
    const problems = items.map(({ status, error }: { status: number; error: { type: string } }) => [status, error.type])
    t.same(problems, [...faults.map(() => [400, '/problems/idempotency-key-invalid']), [400, '/problems/validation-failed']])
    t.match(items[0].error.errors, [{ pointer: '#/idempotencyKey' }])
  })

  await t.test('IDK-3 an item without any key where one is required', async (t) => {
    const { items } = (await asJson(test, [echo('x'), echo('y', { idempotencyKey: 'y' })])).json()
    t.same(
      items.map(({ status }: { status: number }) => status),
      [400, 202],
    )
    t.equal(items[0].error.type, '/problems/idempotency-key-missing')
  })
})

t.test('503 for the items that no longer fit', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', QUEUE_MAX_DEPTH: '3' } })
  const { results } = await asLines(
    test,
    Array.from({ length: 5 }, (_, at) => JSON.stringify(echo(`${at}`))),
  )
  t.same(
    results.map(({ status }) => status),
    [202, 202, 202, 503, 503],
  )
})

t.test('415', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  t.equal(
    (await test.request({ method: 'POST', url: '/v1/jobs/batch', payload: 'x', headers: { 'content-type': 'text/csv' } })).statusCode,
    415,
  )
  const elsewhere = await test.request({
    method: 'POST',
    url: '/v1/jobs',
    payload: JSON.stringify(echo('x')),
    headers: { 'content-type': 'application/x-ndjson' },
  })
  t.equal(elsewhere.statusCode, 415)
  t.match(elsewhere.json(), { type: '/problems/unsupported-media-type' })
})

t.test('SHD-1 an import ends with the server: what was read is answered, and the client told where to go on', async (t) => {
  const { app, services } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { port } = app.server.address() as { port: number }
  const sending = httpRequest({
    port,
    method: 'POST',
    path: '/v1/jobs/batch',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/x-ndjson' },
  })
  sending.write(`${JSON.stringify(echo('0'))}\n${JSON.stringify(echo('1'))}\n{"type":"echo","da`)
  const [answer] = (await once(sending, 'response')) as [IncomingMessage]
  const lines = createInterface({ input: answer })[Symbol.asyncIterator]()
  const next = async () => JSON.parse((await lines.next()).value as string)
  t.match([await next(), await next()], [{ status: 202 }, { status: 202 }])
  const closed = app.close()
  t.match(await next(), { index: 2, status: 503, error: { type: '/problems/shutting-down' } })
  t.equal((await lines.next()).done, true)
  t.equal(answer.complete, true, 'in good order')
  await closed
  t.equal(await services.redis.request.zcard(services.queueKeys['external-api'].prioritized), 2)
})
