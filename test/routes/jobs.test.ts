import fc from 'fast-check'
import t from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const submitOne = async ({ submit }: TestApp, type: string, label: string, more: object = {}): Promise<string> =>
  (await submit({ type, data: { label }, ...more })).json().id
const read = (test: TestApp, path: string, headers: Record<string, string> = {}) =>
  test.request({ method: 'GET', url: `/v1/jobs/${path}`, headers })

t.test('reading', async (t) => {
  const test = await buildTestApp(t)

  await t.test('LRO-3 200 in every state, Retry-After until it is finished', async (t) => {
    const id = await submitOne(test, 'block', 'reading')
    await test.probes.started('reading')
    const running = await read(test, id)
    t.equal(running.statusCode, 200)
    t.match(running.json(), { state: 'active', attempts: { made: 0, max: 3 } })
    t.ok(running.headers['retry-after'])
    test.probes.release('reading')
    await test.finished(id)
    const done = await read(test, id)
    t.match(done.json(), { state: 'completed', result: { label: 'reading' } })
    t.notOk('retry-after' in done.headers)
  })

  await t.test('ETG-1..3 conditional reading', async (t) => {
    const id = await submitOne(test, 'echo', 'etag', { options: { delayMs: 60_000 } })
    const first = await read(test, id)
    const etag = first.headers.etag as string
    t.match(etag, /^W\/"/)
    t.equal(first.headers['cache-control'], 'private, no-cache')
    t.match(first.headers.vary, /Authorization/)
    t.match(first.headers.vary, /Prefer/)
    for (const value of [etag, etag.replace('W/', ''), `"x", ${etag}`, '*']) {
      const answer = await read(test, id, { 'if-none-match': value })
      t.equal(answer.statusCode, 304, value)
      t.equal(answer.body, '')
      t.equal(answer.headers.etag, etag)
      t.ok(answer.headers['cache-control'] && answer.headers.vary && answer.headers['retry-after'])
    }
    t.equal((await read(test, id, { 'if-none-match': '"x"' })).statusCode, 200)
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
    await test.finished(id)
    t.equal((await read(test, id, { 'if-none-match': etag })).statusCode, 200, 'changed')
    t.equal((await read(test, 'ext_3q2AMb1cT7mR0wZk9vYxFg', { 'if-none-match': '*' })).statusCode, 404, 'after 404')
  })

  await t.test('PRF-2 a long poll ends with the job; waitMs goes before Prefer', async (t) => {
    const id = await submitOne(test, 'block', 'poll')
    await test.probes.started('poll')
    const waiting = read(test, `${id}?waitMs=20000`, { prefer: 'wait=0' })
    const preferring = read(test, id, { prefer: 'wait=20' })
    await eventually('both wait', () => test.services.events.followed() > 0)
    test.probes.release('poll')
    const [one, two] = await Promise.all([waiting, preferring])
    t.equal(one.json().state, 'completed')
    t.equal(two.json().state, 'completed')
    t.equal(two.headers['preference-applied'], 'wait=20')
    t.notOk('preference-applied' in one.headers)
  })

  await t.test('PRF-2 a wait that is over answers the present state', async (t) => {
    const id = await submitOne(test, 'block', 'over')
    const answer = await read(test, `${id}?waitMs=1`)
    t.equal(answer.statusCode, 200)
    t.not(answer.json().state, 'completed')
    test.probes.release('over')
    t.equal((await read(test, `${id}?waitMs=${'9'.repeat(20)}`)).statusCode, 200, 'capped, not refused')
    for (const bad of ['-1', '1.5', 'x', '1e3', '']) t.equal((await read(test, `${id}?waitMs=${bad}`)).statusCode, 400, bad)
    t.equal((await read(test, `${id}?waitms=1`)).statusCode, 400, 'unknown parameter')
  })

  await t.test('an attempt that failed shows its error while the job waits', async (t) => {
    const id = await submitOne(test, 'flaky', 'error', { options: { backoff: { type: 'fixed', delayMs: 60_000 } } })
    await test.probes.started('error')
    await eventually('the attempt has ended', async () => (await read(test, id)).json().attempts.made === 1)
    t.match((await read(test, id)).json(), {
      state: 'delayed',
      error: { code: 'handler_error', message: 'Not yet.', retryable: true },
      finishedAt: null,
    })
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
    t.match(await test.finished(id), { state: 'completed', error: null, attempts: { made: 2, max: 3 } })
  })

  await t.test('what a handler throws is logged and never shown', async (t) => {
    const id = await submitOne(test, 'throw', 'throw', { options: { attempts: 1 } })
    const job = await test.finished(id)
    t.match(job, { state: 'failed', error: { code: 'handler_error', retryable: true } })
    t.notMatch(JSON.stringify(job), 'hunter2')
  })

  await t.test('logs and progress', async (t) => {
    const id = await submitOne(test, 'progress', 'progress')
    t.match(await test.finished(id), { progress: { step: 'last' } })
    t.same((await read(test, `${id}/logs`)).json(), { items: ['half way'], next: null })
  })

  await t.test('children of a fan-out', async (t) => {
    const { id } = (await test.submit({ type: 'many', data: { labels: ['c0', 'bad', 'c2'] } })).json()
    t.match(await test.finished(id), { state: 'completed', result: { total: 3, failed: 1 } })
    const first = (await read(test, `${id}/children?limit=2`)).json()
    t.same(
      first.items.map(({ data }: { data: { labels: string } }) => data.labels),
      ['c0', 'bad'],
    )
    t.ok(first.items.every(({ parentId }: { parentId: string }) => parentId === id))
    const second = (await read(test, `${id}/children?limit=2&cursor=${first.next}`)).json()
    t.match(second, { items: [{ data: { labels: 'c2' } }], next: null })
  })
})

t.test('404', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const issue = async (body: object) =>
    (
      await test.request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes: ['jobs:read', 'jobs:manage'], ...body } })
    ).json().key
  const id = await submitOne(test, 'echo', 'mine')
  const keys = {
    tenant: await issue({ tenant: 'other' }),
    type: await issue({ types: ['flaky'] }),
    queue: await issue({ queues: ['email'] }),
  }
  const shape = ({ type, title, status, detail }: Record<string, unknown>) => ({ type, title, status, detail })
  const absent = shape((await read(test, 'ext_3q2AMb1cT7mR0wZk9vYxFg')).json())

  for (const [name, key] of Object.entries(keys)) {
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/events'],
      ['GET', '/logs'],
      ['GET', '/children'],
      ['DELETE', ''],
      ['POST', '/retry'],
      ['POST', '/promote'],
    ] as const) {
      const answer = await test.request({ method, url: `/v1/jobs/${id}${path}`, key })
      t.equal(answer.statusCode, 404, `LRO-5 ${name} ${method} ${path}`)
      t.same(shape(answer.json()), absent)
    }
    t.same((await test.request({ method: 'GET', url: '/v1/jobs', key })).json().items, [])
  }
  for (const name of ['wait', 'meta', 'events', '__proto__', 'mail_', 'a:b', '%00', 'x'.repeat(65), 'mail_3q2AMb1cT7mR0wZk9vYxFg%0d%0a']) {
    t.ok([400, 404].includes((await read(test, name)).statusCode), name)
  }
})

t.test('listing', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const list = async (query: string) => test.request({ method: 'GET', url: `/v1/jobs?${query}` })
  const ids: string[] = []
  for (let at = 0; at < 7; at++)
    ids.unshift(await submitOne(test, at % 2 ? 'flaky' : 'echo', `l${at}`, { userId: `u${at % 3}`, correlationId: `c${at}` }))

  await t.test('PAG-1 pages of newest first, with links', async (t) => {
    const seen: string[] = []
    let url: string | undefined = '/v1/jobs?limit=3'
    while (url) {
      const answer = await test.request({ method: 'GET', url })
      const { items, next } = answer.json()
      seen.push(...items.map(({ id }: { id: string }) => id))
      const link: string | undefined = /<([^>]+)>; rel="next"/.exec(String(answer.headers.link))?.[1]
      t.match(answer.headers.link, /rel="first"/)
      t.equal(link === undefined, next === null)
      url = link
    }
    t.same(seen, ids)
  })

  await t.test('filters', async (t) => {
    const found = async (query: string) => (await list(query)).json().items.length
    t.equal(await found('type=flaky'), 3)
    t.equal(await found('userId=u0&type=echo'), 2)
    t.equal(await found('correlationId=c3'), 1)
    t.equal(await found('state=waiting'), 7)
    t.equal(await found('state=completed'), 0)
    t.equal(await found('queue=external-api'), 7)
    t.equal(await found('queue=email'), 0)
  })

  await t.test('PAG-1 bounds; unknown members', async (t) => {
    for (const query of ['limit=0', 'limit=201', 'limit=x', 'state=gone', 'queue=No', 'more=1', 'cursor='])
      t.equal((await list(query)).statusCode, 400, query)
    t.equal((await list('limit=200')).statusCode, 200)
  })

  await t.test('PAG-2 a cursor is bound to its list and cannot be forged', async (t) => {
    const { next } = (await list('limit=2&type=echo')).json()
    t.equal((await list(`limit=3&type=echo&cursor=${next}`)).statusCode, 200, 'another limit is fine')
    const flipped = next.slice(0, 5) + (next[5] === 'A' ? 'B' : 'A') + next.slice(6)
    for (const cursor of [flipped, 'AAAA', 'x'.repeat(100), `${next}A`])
      t.equal((await list(`limit=2&type=echo&cursor=${cursor}`)).statusCode, 400)
    const answer = await list(`limit=2&cursor=${next}`)
    t.equal(answer.statusCode, 400)
    t.equal(answer.json().type, '/problems/cursor-invalid')
  })

  await t.test('an entry whose job is gone is forgotten', async (t) => {
    const { redis, queueKeys } = test.services
    await redis.request.del(queueKeys['external-api'].job(ids[0] as string))
    t.same(
      (await list('')).json().items.map(({ id }: { id: string }) => id),
      ids.slice(1),
    )
    t.equal(await redis.request.zcard(queueKeys['external-api'].partition.keys.jobIndex('default')), 6)
  })
})

t.test('PAG-3 paging neither skips nor repeats what is still there', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { redis, queueKeys } = test.services
  const step = fc.constantFrom('submit', 'remove', 'page')
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), fc.integer({ min: 1, max: 4 }), async (steps, limit) => {
      await redis.request.del(queueKeys['external-api'].partition.keys.jobIndex('default'))
      const present: string[] = []
      for (let at = 0; at < 6; at++) present.unshift(await submitOne(test, 'echo', 'p'))
      const before = [...present]
      const removed = new Set<string>()
      const seen: string[] = []
      let cursor: string | null = ''
      for (const each of [...steps, ...Array.from({ length: 20 }, () => 'page')]) {
        if (each === 'submit') present.unshift(await submitOne(test, 'echo', 'p'))
        if (each === 'remove' && present.length > 0) {
          const id = present.splice(Math.floor(present.length / 2), 1)[0] as string
          removed.add(id)
          await redis.request.del(queueKeys['external-api'].job(id))
        }
        if (each === 'page' && cursor !== null) {
          const page: { items: { id: string }[]; next: string | null } = (
            await test.request({ method: 'GET', url: `/v1/jobs?limit=${limit}${cursor ? `&cursor=${cursor}` : ''}` })
          ).json()
          seen.push(...page.items.map(({ id }: { id: string }) => id))
          cursor = page.next
        }
      }
      if (new Set(seen).size !== seen.length) throw new Error('repeated')
      for (const id of before) if (!removed.has(id) && !seen.includes(id)) throw new Error('skipped')
    }),
    { numRuns: 15 },
  )
})
