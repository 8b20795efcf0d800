import t from 'tap'
import { buildTestApp, type TestApp } from '../../helpers/build-test-app.js'

const post = ({ request }: TestApp, path: string, payload?: object) =>
  request({ method: 'POST', url: `/admin/queues/${path}`, ...(payload ? { payload } : {}) })
const get = async ({ request }: TestApp, url: string) => (await request({ method: 'GET', url })).json()
const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id

t.test('pausing and resuming', async (t) => {
  const test = await buildTestApp(t)

  await t.test('200: one queue; what waits in it counts as paused', async (t) => {
    t.same((await post(test, 'external-api/pause')).json(), { paused: true })
    const id = await submitOne(test, 'echo', 'held')
    t.match(await get(test, '/admin/queues/external-api/metrics'), { waiting: 0, paused: 1, isPaused: true })
    t.match(await get(test, '/admin/queues/email/metrics'), { isPaused: false })
    t.same(await get(test, '/admin/queues/external-api/health'), { healthy: true, issues: [] })
    t.same((await post(test, 'external-api/resume')).json(), { paused: false })
    t.match(await test.finished(id), { state: 'completed' })
  })

  await t.test('200: all queues, repeated without harm', async (t) => {
    const all = (paused: boolean) => ({ meeting: { paused }, email: { paused }, 'external-api': { paused } })
    t.same((await post(test, 'pause')).json(), all(true))
    t.same((await post(test, 'pause')).json(), all(true))
    for (const each of Object.values(await get(test, '/admin/queues/metrics'))) t.match(each, { isPaused: true })
    t.same((await post(test, 'resume')).json(), all(false))
    for (const each of Object.values(await get(test, '/admin/queues/metrics'))) t.match(each, { isPaused: false })
  })

  await t.test('the audit trail names key, act and queue; the log has a line', async (t) => {
    const { items } = await get(test, '/admin/audit?limit=5')
    t.match(items, [
      { by: 'admin', act: 'queue.resumed', queue: null, details: { queues: 3 } },
      { by: 'admin', act: 'queue.paused', queue: null },
      { by: 'admin', act: 'queue.paused', queue: null },
      { by: 'admin', act: 'queue.resumed', queue: 'external-api' },
      { by: 'admin', act: 'queue.paused', queue: 'external-api' },
    ])
    t.ok(test.logs.some((line) => line.includes('"queue.paused"') && line.includes('"by":"admin"')))
  })

  await t.test('404', async (t) => {
    t.equal((await post(test, 'nope/pause')).statusCode, 404)
    t.equal((await post(test, 'nope/resume')).statusCode, 404)
  })
})

t.test('cleaning', async (t) => {
  const test = await buildTestApp(t)
  const ids: string[] = []
  for (let at = 0; at < 3; at++) ids.push(await submitOne(test, 'echo', `c${at}`))
  const failed = await submitOne(test, 'refuse', 'f')
  for (const id of [...ids, failed]) await test.finished(id)

  await t.test('200: nothing is old enough by default', async (t) => {
    const none = { completed: 0, failed: 0 }
    t.same((await post(test, 'clean')).json(), { meeting: none, email: none, 'external-api': none })
  })

  await t.test('200: ages and limit hold; counts say what went', async (t) => {
    t.same((await post(test, 'clean', { completedMaxAge: 0, limit: 2 })).json()['external-api'], { completed: 2, failed: 0 })
    t.same((await post(test, 'clean', { completedMaxAge: 0, failedMaxAge: 0 })).json()['external-api'], { completed: 1, failed: 1 })
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${failed}` })).statusCode, 404)
    const { items } = await get(test, '/admin/audit?limit=1')
    t.match(items, [
      { act: 'queue.cleaned', queue: null, details: { failedMaxAge: 0, removed: { 'external-api': { completed: 1, failed: 1 } } } },
    ])
  })

  await t.test('IDK a key outlives the cleaning of its job', async (t) => {
    const body = { type: 'echo', data: { label: 'keyed' } }
    const { id } = (await test.submit(body, { 'idempotency-key': '"k1"' })).json()
    await test.finished(id)
    await post(test, 'clean', { completedMaxAge: 0 })
    const again = await test.submit(body, { 'idempotency-key': '"k1"' })
    t.equal(again.json().id, id)
    t.equal(again.headers['idempotent-replayed'], 'true')
  })

  await t.test('400', async (t) => {
    for (const body of [{ completedMaxAge: -1 }, { limit: 0 }, { limit: 10_001 }, { limit: '5' }, { failedMaxAge: 1.5 }, { more: 1 }])
      t.equal((await post(test, 'clean', body)).statusCode, 400, JSON.stringify(body))
    const json = { 'content-type': 'application/json' }
    const nothing = await test.request({ method: 'POST', url: '/admin/queues/clean', headers: json, payload: 'null' })
    t.equal(nothing.statusCode, 400, 'null is no body left out')
  })
})

t.test('the audit trail tells who issued, rotated and revoked API keys', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const payload = { name: 'Shop', scopes: ['admin'], tenant: 'shop' }
  const { key, apiKey } = (await test.request({ method: 'POST', url: '/admin/api-keys', payload })).json()
  const url = `/admin/api-keys/${apiKey.id}`
  const rotated = (await test.request({ method: 'POST', url: `${url}/rotate`, payload: { overlapMs: 0 } })).json()
  const other = (await test.request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'Other', scopes: ['work'] } })).json()
  t.equal((await test.request({ method: 'DELETE', url: `/admin/api-keys/${other.apiKey.id}`, key: rotated.key })).statusCode, 204)
  for (const id of [other.apiKey.id, 'abcdefghijkl'])
    t.equal((await test.request({ method: 'DELETE', url: `/admin/api-keys/${id}` })).statusCode, 404, 'nothing to note')
  const answer = await test.request({ method: 'GET', url: '/admin/audit' })
  t.match(
    answer.json().items.map(({ act, by, queue, details }: Record<string, unknown>) => ({ act, by, queue, details })),
    [
      { act: 'api-key.revoked', by: apiKey.id, queue: null, details: { keyId: other.apiKey.id } },
      { act: 'api-key.issued', by: 'admin', queue: null, details: { keyId: other.apiKey.id, name: 'Other' } },
      { act: 'api-key.rotated', by: 'admin', queue: null, details: { keyId: apiKey.id, overlapMs: 0 } },
      { act: 'api-key.issued', by: 'admin', queue: null, details: { keyId: apiKey.id, ...payload } },
    ],
  )
  t.equal(answer.json().items.length, 4)
  for (const secret of [key, rotated.key, other.key]) t.notOk(answer.body.includes(secret.slice(-43)), 'no secret is noted')
})

t.test('the audit trail in pages', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  for (const act of ['pause', 'resume', 'pause', 'resume', 'pause']) await post(test, `email/${act}`)
  const seen: string[] = []
  let next: string | null = ''
  while (next !== null) {
    const page: { items: { id: string; act: string }[]; next: string | null } = await get(
      test,
      `/admin/audit?limit=2${next ? `&cursor=${next}` : ''}`,
    )
    seen.push(...page.items.map(({ act }) => act))
    next = page.next
  }
  t.same(seen, ['queue.paused', 'queue.resumed', 'queue.paused', 'queue.resumed', 'queue.paused'])
  t.equal((await test.request({ method: 'GET', url: '/admin/audit?cursor=x' })).statusCode, 400)
})
