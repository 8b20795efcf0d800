// A key that is restricted to some job types: what brings along a follow-up of another type is not there for it.

import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'

const hour = 3_600_000
const scopes = ['jobs:submit', 'jobs:read', 'jobs:manage']
const secretFollowUp = { type: 'refuse', data: { label: 'canary of the follow-up' } }
const visible = (label: string, more: object = {}) => ({ type: 'echo', data: { label }, ...more })
const hidden = (label: string, more: object = {}) =>
  visible(label, { followUps: [{ type: 'echo', data: { label } }, secretFollowUp], ...more })

const issue = async ({ request }: TestApp, limits: object): Promise<string> =>
  (await request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes, ...limits } })).json().key

/** An answer without what is different every time. */
const shapeOf = (answer: LightMyRequestResponse) => {
  const { instance: _instance, requestId: _requestId, ...rest } = answer.json()
  return { status: answer.statusCode, contentType: answer.headers['content-type'], ...rest }
}

const idsOf = (answer: LightMyRequestResponse): string[] => answer.json().items.map(({ id }: { id: string }) => id)

t.test('jobs with a follow-up of a hidden type', async (t) => {
  const test = await buildTestApp(t)
  const { request } = test
  const submit = async (body: object): Promise<string> => (await test.submit(body)).json().id
  const keys = { types: await issue(test, { types: ['echo', 'flaky', 'many'] }), stranger: await issue(test, { tenant: 'other' }) }
  const granted = await issue(test, { types: ['echo', 'refuse'] })
  const absentId = 'ext_3q2AMb1cT7mR0wZk9vYxFg'
  const acts = [
    ['GET', ''],
    ['GET', '?waitMs=10000'],
    ['GET', '/events'],
    ['GET', '/logs'],
    ['GET', '/children'],
    ['DELETE', ''],
    ['POST', '/retry'],
    ['POST', '/promote'],
  ] as const
  const id = await submit(hidden('held', { options: { delayMs: hour } }))

  await t.test('404 in every route, as for one that is absent', async (t) => {
    for (const [method, path] of acts) {
      for (const [name, key] of Object.entries(keys)) {
        const answer = await request({ method, url: `/v1/jobs/${id}${path}`, key })
        const absent = await request({ method, url: `/v1/jobs/${absentId}${path}`, key })
        t.equal(answer.statusCode, 404, `LRO-5 ${name} ${method} ${path}`)
        t.same(shapeOf(answer), shapeOf(absent))
      }
    }
    t.match(
      (await request({ method: 'GET', url: `/v1/jobs/${id}`, key: granted })).json(),
      { id, state: 'delayed' },
      'nothing was done to it',
    )
  })

  await t.test('lists leave it out, and no cursor names it', async (t) => {
    const shown = [await submit(visible('one')), await submit(visible('two'))]
    const hiddenIds = [id, await submit(hidden('three', { options: { delayMs: hour } }))]
    const seen: string[] = []
    let next: string | null = ''
    while (next !== null) {
      const answer: LightMyRequestResponse = await request({
        method: 'GET',
        url: `/v1/jobs?limit=1${next && `&cursor=${next}`}`,
        key: keys.types,
      })
      seen.push(...idsOf(answer))
      next = answer.json().next
      const told = `${answer.body} ${answer.headers.link} ${Buffer.from(next ?? '', 'base64url').toString('latin1')}`
      for (const each of hiddenIds) t.notOk(told.includes(each.slice(4)))
    }
    t.same(seen, shown.reverse())
    t.equal(idsOf(await request({ method: 'GET', url: '/v1/jobs', key: granted })).length, 4)
  })

  await t.test('who waits for the kind of an old layout sees it by its follow-ups too', async (t) => {
    const old = await submit(hidden('old', { options: { delayMs: hour } }))
    const { redis, queueKeys } = test.services
    const key = queueKeys['external-api'].job(old)
    const { tenant, followUpKinds: _, ...rest } = JSON.parse((await redis.request.hget(key, 'data')) as string)
    await redis.request.hset(key, 'data', JSON.stringify({ ...rest, tenant }))
    t.equal((await request({ method: 'GET', url: `/v1/jobs/${old}`, key: keys.types })).statusCode, 404)
    t.equal((await request({ method: 'GET', url: `/v1/jobs/${old}`, key: keys.stranger })).statusCode, 404)
    t.equal((await request({ method: 'GET', url: `/v1/jobs/${old}`, key: granted })).statusCode, 200)
  })

  await t.test('the children of one that is hidden are hidden too', async (t) => {
    const parent = await submit({ type: 'many', data: { labels: ['x', 'y'] }, followUps: [secretFollowUp] })
    await test.finished(parent)
    const [child] = idsOf(await request({ method: 'GET', url: `/v1/jobs/${parent}/children` }))
    t.equal((await request({ method: 'GET', url: `/v1/jobs/${child}` })).json().parentId, parent)
    for (const each of [parent, child]) {
      t.equal((await request({ method: 'GET', url: `/v1/jobs/${each}`, key: keys.types })).statusCode, 404)
    }
  })

  await t.test('a retry is not replayed to it, not even once the job is gone', async (t) => {
    const failed = await submit({ ...hidden('retried'), type: 'flaky', data: { label: 'r', failures: 9 }, options: { attempts: 1 } })
    await test.finished(failed)
    const headers = { 'idempotency-key': '"retry-1"' }
    const retry = (key?: string) => request({ method: 'POST', url: `/v1/jobs/${failed}/retry`, headers, ...(key ? { key } : {}) })
    t.equal((await retry()).statusCode, 202)
    t.equal((await retry(keys.types)).statusCode, 404)
    await test.services.redis.request.del(test.services.queueKeys['external-api'].job(failed))
    t.equal((await retry()).headers['idempotent-replayed'], 'true')
    t.equal((await retry(keys.types)).statusCode, 404)
  })

  await t.test('403: it submits none itself', async (t) => {
    const answer = await request({ method: 'POST', url: '/v1/jobs', payload: hidden('mine'), key: keys.types })
    t.equal(answer.statusCode, 403)
    t.match(answer.json(), { detail: /`refuse`/ })
    const batch = await request({ method: 'POST', url: '/v1/jobs/batch', payload: { items: [hidden('mine')] }, key: keys.types })
    t.match(batch.json().items, [{ status: 403 }])
  })
})

t.test('schedules with a follow-up of a hidden type', async (t) => {
  const test = await buildTestApp(t)
  const yearly = { cron: '0 0 1 1 *' }
  const send = (
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    path: string,
    { key, payload, headers }: { key?: string; payload?: object; headers?: Record<string, string> } = {},
  ) =>
    test.request({
      method,
      url: `/v1/schedules${path}`,
      ...(key ? { key } : {}),
      ...(payload ? { payload } : {}),
      ...(headers ? { headers } : {}),
    })
  const limited = await issue(test, { types: ['echo', 'flaky'] })
  const granted = await issue(test, { types: ['echo', 'refuse'] })
  await send('PUT', '/night', { payload: hidden('night', yearly) })

  await t.test('404: read, trigger, delete and replace, as for one that is absent', async (t) => {
    const absent = shapeOf(await send('GET', '/absent', { key: limited }))
    const answers = [
      await send('GET', '/night', { key: limited }),
      await send('POST', '/night/trigger', { key: limited }),
      await send('DELETE', '/night', { key: limited }),
      await send('PUT', '/night', { key: limited, payload: visible('mine', yearly) }),
    ]
    for (const answer of answers) t.same(shapeOf(answer), absent)
    t.match(
      (await send('GET', '/night', { key: granted })).json(),
      { data: { label: 'night' }, followUps: [{}, secretFollowUp] },
      'it is as it was',
    )
  })

  await t.test('lists leave it out, and no cursor names it', async (t) => {
    for (const id of ['a', 'z']) await send('PUT', `/${id}`, { payload: visible(id, yearly) })
    const first = await send('GET', '?limit=1', { key: limited })
    t.same(idsOf(first), ['a'])
    const { next } = first.json()
    for (const told of [first.body, first.headers.link, Buffer.from(next, 'base64url').toString('latin1')]) t.notMatch(told, /night/)
    const second = await send('GET', `?limit=1&cursor=${next}`, { key: limited })
    t.same(idsOf(second), ['z'])
    t.equal(second.json().next, null)
    t.same(idsOf(await send('GET', '', { key: granted })), ['a', 'night', 'z'])
    for (const cursor of ['a', 'night', `${next}x`, Buffer.from('night').toString('base64url'), 'x'.repeat(120)]) {
      const answer = await send('GET', `?cursor=${cursor}`)
      t.equal(answer.statusCode, 400, cursor)
      t.match(answer.json(), { type: '/problems/cursor-invalid' })
    }
    const stranger = await issue(test, { tenant: 'other' })
    t.equal((await send('GET', `?cursor=${next}`, { key: stranger })).statusCode, 400, 'a cursor is of use to its tenant only')
  })

  await t.test('many hidden ones in a row do not shorten a page', async (t) => {
    for (let at = 0; at < 30; at++) await send('PUT', `/n${at}`, { payload: hidden('n', yearly) })
    const answer = await send('GET', '?limit=2', { key: limited })
    t.same(idsOf(answer), ['a', 'z'])
    t.equal(answer.json().next, null)
  })

  await t.test('its runs are hidden too', async (t) => {
    const run = (await send('POST', '/night/trigger')).json().id
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${run}`, key: limited })).statusCode, 404)
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${run}`, key: granted })).statusCode, 200)
  })

  await t.test('422: a trigger under the key of a run that is hidden', async (t) => {
    const headers = { 'idempotency-key': '"trigger-1"' }
    const { id } = (await send('POST', '/night/trigger', { headers })).json()
    await send('PUT', '/night', { payload: visible('day', yearly) })
    const answer = await send('POST', '/night/trigger', { headers, key: limited })
    t.equal(answer.statusCode, 422)
    t.notOk(answer.body.includes(id) || answer.headers.location)
    t.equal((await send('POST', '/night/trigger', { headers, key: granted })).json().id, id)
  })
})

t.test('403: jobs:submit alone replaces what its own key put, and nothing of others', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const put = (key: string, body: object) => test.request({ method: 'PUT', url: '/v1/schedules/report', payload: body, key })
  const yearly = { cron: '0 0 1 1 *' }
  const [one, other] = [await issue(test, { scopes: ['jobs:submit'] }), await issue(test, { scopes: ['jobs:submit'] })]
  const manager = await issue(test, { scopes: ['jobs:submit', 'jobs:manage'] })
  t.equal((await put(one, visible('first', yearly))).statusCode, 201)
  t.equal((await put(one, visible('second', yearly))).statusCode, 200)
  const refused = await put(other, visible('taken over', yearly))
  t.equal(refused.statusCode, 403)
  t.match(refused.json(), { type: '/problems/forbidden', detail: /`jobs:manage`/ })
  const read = async () => (await test.request({ method: 'GET', url: '/v1/schedules/report' })).json()
  t.match(await read(), { data: { label: 'second' } })
  t.notMatch(JSON.stringify(await read()), /putBy/)
  t.equal((await put(manager, visible('third', yearly))).statusCode, 200)
  t.equal((await put(one, visible('fourth', yearly))).statusCode, 403, 'it is the manager’s now')
  t.match(await read(), { data: { label: 'third' } })
})
