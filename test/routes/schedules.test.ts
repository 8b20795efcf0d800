import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { createJobTypes } from '../../src/types/registry.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

/** No run is due within a test. */
const yearly = { cron: '0 0 1 1 *' }
const echo = (label: string, more: object = yearly) => ({ type: 'echo', data: { label }, ...more })

type Request = { key?: string; headers?: Record<string, string> }
const requests = (app: TestApp) => {
  const send = (method: 'GET' | 'PUT' | 'POST' | 'DELETE', path: string, payload?: object, { key, headers }: Request = {}) =>
    app.request({
      method,
      url: `/v1/schedules${path}`,
      ...(payload ? { payload } : {}),
      ...(key === undefined ? {} : { key }),
      ...(headers ? { headers } : {}),
    })
  return {
    put: (id: string, body: object, more?: Request) => send('PUT', `/${id}`, body, more),
    get: (path: string, more?: Request) => send('GET', path, undefined, more),
    remove: (id: string, more?: Request) => send('DELETE', `/${id}`, undefined, more),
    trigger: (id: string, more?: Request) => send('POST', `/${id}/trigger`, undefined, more),
  }
}
const issue = async (app: TestApp, limits: object): Promise<string> => {
  const scopes = ['jobs:submit', 'jobs:read', 'jobs:manage']
  const answer = await app.request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes, ...limits } })
  return answer.json().key
}
const pointersOf = (answer: LightMyRequestResponse): string[] => answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)
const ids = (answer: LightMyRequestResponse): string[] => answer.json().items.map(({ id }: { id: string }) => id)

t.test('a schedule that is not due', async (t) => {
  const app = await buildTestApp(t, { env: { DATA_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') } })
  const { put, get, remove, trigger } = requests(app)

  await t.test('201 and 200: put, put again, read, delete', async (t) => {
    const body = {
      type: 'echo',
      data: { label: 'x', secret: 'hunter2' },
      options: { priority: 'low', attempts: 2 },
      userId: 'u1',
      correlationId: 'c1',
      metadata: { a: 1 },
      followUps: [{ type: 'echo', data: { label: 'y', secret: 'hunter3' } }],
      cron: '30 8 * * MON-FRI',
      timezone: 'Asia/Shanghai',
      limit: 3,
    }
    const created = await put('team:daily.1', body)
    t.equal(created.statusCode, 201)
    t.equal(created.headers.location, '/v1/schedules/team:daily.1')
    const view = created.json()
    t.match(view, {
      id: 'team:daily.1',
      type: 'echo',
      queue: 'external-api',
      data: { label: 'x', secret: '***' },
      options: { priority: 'low', attempts: 2 },
      userId: 'u1',
      correlationId: 'c1',
      metadata: { a: 1 },
      followUps: [{ data: { label: 'y', secret: '***' } }],
      cron: '30 8 * * MON-FRI',
      timezone: 'Asia/Shanghai',
      everyMs: null,
      startAt: null,
      endAt: null,
      limit: 3,
      runs: 0,
      skippedRuns: 0,
      lastRun: null,
    })
    t.match(view.nextRunAt, /T00:30:00\.000Z$/, 'half past eight in Shanghai')
    t.ok(Date.parse(view.nextRunAt) > Date.now())
    t.notOk('nextRuns' in view)

    t.same((await get('/team:daily.1')).json(), view)
    const again = await put('team:daily.1', body)
    t.equal(again.statusCode, 200)
    t.notOk(again.headers.location)
    t.match(again.json(), { createdAt: view.createdAt, nextRunAt: view.nextRunAt })
    const changed = await put('team:daily.1', { type: 'echo', data: { label: 'z' }, everyMs: 3_600_000, startAt: '2020-01-01T00:20:00Z' })
    t.equal(changed.statusCode, 200)
    t.match(changed.json(), { data: { label: 'z' }, cron: null, timezone: null, everyMs: 3_600_000, userId: null, limit: null, runs: 0 })
    t.match(changed.json().nextRunAt, /T\d\d:20:00\.000Z$/, 'in step with startAt')

    const removed = await remove('team:daily.1')
    t.equal(removed.statusCode, 204)
    t.equal(removed.body, '')
    for (const answer of [await get('/team:daily.1'), await remove('team:daily.1'), await trigger('team:daily.1')]) {
      t.equal(answer.statusCode, 404)
    }
    const { request } = app.services.redis
    const left = (await request.keys('*schedule*')).filter((name) => !/:schedules:(?:meta|events|id|stalled-check|marker)$/.test(name))
    t.same(
      left.filter((name) => !/lock/.test(name)),
      [],
      'nothing is left of it',
    )
  })

  await t.test('secrets are sealed at rest', async (t) => {
    await put('sealed', { ...echo('x'), data: { label: 'x', secret: 'hunter2' } })
    const { request } = app.services.redis
    const names = await request.keys('*gate:schedule:*')
    t.ok(names.length > 0)
    for (const name of names) t.notMatch(JSON.stringify(await request.hgetall(name)), /hunter2/)
    const { id } = (await trigger('sealed')).json()
    await app.finished(id)
    t.match(app.probes.runs.find(({ jobId }) => jobId === id)?.data, { secret: 'hunter2' }, 'the handler gets it')
    await remove('sealed')
    t.notMatch(app.logs.join('\n'), /hunter/)
  })

  await t.test('400: what the schema sees and what it does not', async (t) => {
    const cases: [pointers: string[], body: object][] = [
      [['#/type'], { ...echo('x'), type: 'no-such' }],
      [['#/data/label'], { ...echo('x'), data: {} }],
      [['#/cron'], echo('x', {})],
      [['#/everyMs'], echo('x', { ...yearly, everyMs: 1000 })],
      [['#/everyMs'], echo('x', { everyMs: 999 })],
      [['#/everyMs'], echo('x', { everyMs: 366 * 86_400_000 + 1 })],
      [['#/timezone'], echo('x', { everyMs: 1000, timezone: 'UTC' })],
      [['#/timezone'], echo('x', { ...yearly, timezone: 'Mars/Olympus' })],
      [['#/cron'], echo('x', { cron: '* * * * * *' })],
      [['#/cron'], echo('x', { cron: '61 * * * *' })],
      [['#/cron'], echo('x', { cron: '0 0 31 4,6,9,11 *' })],
      [['#/cron'], echo('x', { cron: 'H H * * *' })],
      [['#/cron'], echo('x', { cron: '@midnight' })],
      [['#/cron'], echo('x', { cron: `0 0 * * ${'1,'.repeat(50)}1` })],
      [['#/options/delayMs'], echo('x', { ...yearly, options: { delayMs: 5 } })],
      [['#/options/runAt'], echo('x', { ...yearly, options: { runAt: '2030-01-01T00:00:00Z' } })],
      [['#/endAt'], echo('x', { ...yearly, endAt: '2020-01-01T00:00:00Z' })],
      [['#/endAt'], echo('x', { ...yearly, endAt: new Date(Date.now() + 1000).toISOString() })],
      [['#/startAt'], echo('x', { ...yearly, startAt: '2099-01-01T00:00:00Z' })],
      [['#/limit'], echo('x', { ...yearly, limit: 0 })],
      [['#/followUps/0/data/label'], echo('x', { ...yearly, followUps: [{ type: 'echo', data: { label: '' } }] })],
      [['#/idempotencyKey'], echo('x', { ...yearly, idempotencyKey: 'k' })],
    ]
    for (const [pointers, body] of cases) {
      const answer = await put('bad', body)
      t.equal(answer.statusCode, 400, JSON.stringify(body))
      t.same(pointersOf(answer), pointers, JSON.stringify(body))
    }
    for (const id of ['-x', '.', 'a%20b', 'a%2Fb', `a${'x'.repeat(128)}`, '%00', 'é']) {
      t.equal((await put(id, echo('x'))).statusCode, 400, id)
    }
    for (const path of ['/bad?preview=0', '/bad?preview=51', '/bad?preview=x', '?limit=0', '?limit=201', '?cursor=%20', '?x=1']) {
      t.equal((await get(path)).statusCode, 400, path)
    }
    t.equal((await get('')).json().items.length, 0, 'none of them was stored')
  })

  await t.test('403: scopes and grants', async (t) => {
    const reader = await issue(app, { scopes: ['jobs:read'] })
    const submitter = await issue(app, { scopes: ['jobs:submit'] })
    const flaky = await issue(app, { types: ['flaky'] })
    t.equal((await put('s', echo('x'), { key: reader })).statusCode, 403)
    t.equal((await put('s', echo('x'), { key: flaky })).statusCode, 403)
    t.equal((await put('s', { ...echo('x'), type: 'flaky', followUps: [echo('y', {})] }, { key: flaky })).statusCode, 403)
    t.equal((await put('s', echo('x'), { key: submitter })).statusCode, 201)
    t.equal((await trigger('s', { key: reader })).statusCode, 403)
    t.equal((await remove('s', { key: submitter })).statusCode, 403)
    t.equal((await get('/s', { key: submitter })).statusCode, 403)
    t.equal((await put('s', { ...echo('x'), type: 'flaky' }, { key: flaky })).statusCode, 404, 'does not replace what it may not see')
    t.match((await get('/s')).json(), { type: 'echo' })
    await remove('s')
  })

  await t.test('404: other tenants, types and queues that the key may not see', async (t) => {
    await put('hidden', echo('x'))
    const strangers = {
      tenant: await issue(app, { tenant: 'other' }),
      type: await issue(app, { types: ['flaky'] }),
      queue: await issue(app, { queues: ['email'] }),
    }
    const shapeOf = (answer: LightMyRequestResponse) => {
      const { instance: _instance, requestId: _requestId, ...rest } = answer.json()
      return rest
    }
    const absent = shapeOf(await get('/absent'))
    for (const [name, key] of Object.entries(strangers)) {
      for (const answer of [await get('/hidden', { key }), await remove('hidden', { key }), await trigger('hidden', { key })]) {
        t.equal(answer.statusCode, 404, name)
        t.same(shapeOf(answer), absent, 'the same answer as for an absent one')
      }
      t.same(ids(await get('', { key })), [], name)
    }
    const mine = { type: 'flaky', data: { label: 'mine' }, ...yearly }
    t.equal((await put('hidden', mine, { key: strangers.tenant })).statusCode, 201, 'an id is free for every tenant')
    t.match((await get('/hidden')).json(), { data: { label: 'x' } })
    await remove('hidden', { key: strangers.tenant })
    await remove('hidden')
  })

  await t.test('PAG-1 lists in the order of ids, page by page', async (t) => {
    const names = ['a', 'b-1', 'b.2', 'c', 'd:x']
    for (const name of [...names].reverse()) await put(name, echo(name))
    await put('b-0', { ...echo('x'), type: 'flaky' })
    const key = await issue(app, { types: ['echo'] })
    const found: string[] = []
    let cursor: string | null = null
    do {
      const answer: LightMyRequestResponse = await get(`?limit=2${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`, { key })
      t.equal(answer.statusCode, 200)
      found.push(...ids(answer))
      cursor = answer.json().next
      t.match(answer.headers.link, /<\/v1\/schedules\?limit=2>; rel="first"/)
      t.equal(/rel="next"/.test(answer.headers.link as string), cursor !== null)
    } while (cursor !== null)
    t.same(found, names)
    t.ok((await get('')).json().items.every(({ nextRunAt }: { nextRunAt: string }) => nextRunAt.endsWith('-01-01T00:00:00.000Z')))
    for (const name of [...names, 'b-0']) await remove(name)
  })
})

t.test('409: a tenant has as many as SCHEDULES_MAX allows', async (t) => {
  const app = await buildTestApp(t, { env: { SCHEDULES_MAX: '2' } })
  const { put, remove } = requests(app)
  const outcomes = await Promise.all(['a', 'b', 'c', 'd'].map((id) => put(id, echo(id))))
  t.same(outcomes.map(({ statusCode }) => statusCode).sort(), [201, 201, 409, 409])
  t.match(outcomes.find(({ statusCode }) => statusCode === 409)?.json(), { type: '/problems/schedules-full' })
  const there = outcomes.findIndex(({ statusCode }) => statusCode === 201)
  const id = ['a', 'b', 'c', 'd'][there] as string
  t.equal((await put(id, echo('again'))).statusCode, 200, 'one that is there can be replaced')
  t.equal((await put('e', echo('e'), { key: await issue(app, { tenant: 'other' }) })).statusCode, 201, 'each tenant has its own')
  await remove(id)
  t.equal((await put('f', echo('f'))).statusCode, 201)
})

t.test('preview', async (t) => {
  const app = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { put, get } = requests(app)
  // A year in which both changes lie ahead, whenever this runs. Berlin changes on the last Sundays of March and October at 01:00 UTC,
  // New York on the second Sunday of March and the first of November at 02:00 local time.
  const year = new Date().getUTCFullYear() + 1
  const sunday = (month: number, nth: number) => {
    const first = new Date(Date.UTC(year, month - 1, 1)).getUTCDay()
    return 1 + ((7 - first) % 7) + 7 * (nth - 1)
  }
  const lastSunday = (month: number) => (sunday(month, 5) > 31 ? sunday(month, 4) : sunday(month, 5))
  const at = (month: number, day: number, time: string) =>
    new Date(Date.parse(`${year}-01-01T${time}Z`) + dayOfYear(month, day)).toISOString()
  const dayOfYear = (month: number, day: number) => Date.UTC(year, month - 1, day) - Date.UTC(year, 0, 1)
  const preview = async (timezone: string, cron: string, startAt: string, count: number): Promise<string[]> => {
    const answer = await put(`p?preview=${count}`, echo('x', { cron, timezone, startAt }))
    const { nextRuns, nextRunAt } = answer.json()
    t.equal(nextRuns[0], nextRunAt)
    t.same((await get(`/p?preview=${count}`)).json().nextRuns, nextRuns)
    return nextRuns
  }

  await t.test('Europe/Berlin, spring: 02:00 to 03:00 is skipped', async (t) => {
    const day = lastSunday(3)
    const start = at(3, day - 1, '12:00:00')
    const zone = 'Europe/Berlin'
    t.same(await preview(zone, '30 2 * * *', start, 3), [at(3, day, '01:30:00'), at(3, day + 1, '00:30:00'), at(3, day + 2, '00:30:00')])
    t.same(await preview(zone, '0 9 * * *', at(3, day - 1, '07:00:00'), 3), [
      at(3, day - 1, '08:00:00'),
      at(3, day, '07:00:00'),
      at(3, day + 1, '07:00:00'),
    ])
    const hourly = await preview(zone, '0 * * * *', at(3, day, '00:00:00'), 4)
    t.same(
      hourly,
      ['00', '01', '02', '03'].map((hour) => at(3, day, `${hour}:00:00`)),
    )
    t.same(await preview(zone, '0 2,3 * * *', start, 2), [at(3, day, '01:00:00'), at(3, day + 1, '00:00:00')], 'not twice at 03:00')
    t.same(await preview(zone, '*/20 2 * * *', start, 4), [
      at(3, day, '01:00:00'),
      at(3, day, '01:20:00'),
      at(3, day, '01:40:00'),
      at(3, day + 1, '00:00:00'),
    ])
  })

  await t.test('Europe/Berlin, autumn: 02:00 to 03:00 comes twice', async (t) => {
    const day = lastSunday(10)
    const start = at(10, day - 1, '12:00:00')
    const zone = 'Europe/Berlin'
    t.same(await preview(zone, '30 2 * * *', start, 2), [at(10, day, '00:30:00'), at(10, day + 1, '01:30:00')], 'once')
    t.same(await preview(zone, '30 2 * * *', at(10, day, '00:45:00'), 1), [at(10, day + 1, '01:30:00')], 'not in the second hour')
    t.same(await preview(zone, '0 9 * * *', start, 1), [at(10, day, '08:00:00')])
    t.same(
      await preview(zone, '30 * * * *', at(10, day, '00:00:00'), 4),
      ['00', '01', '02', '03'].map((hour) => at(10, day, `${hour}:30:00`)),
      'every hour is every hour',
    )
  })

  await t.test('America/New_York', async (t) => {
    const zone = 'America/New_York'
    const spring = sunday(3, 2)
    t.same(await preview(zone, '30 2 * * *', at(3, spring, '00:00:00'), 2), [at(3, spring, '07:30:00'), at(3, spring + 1, '06:30:00')])
    t.same(await preview(zone, '*/30 * * * *', at(3, spring, '06:30:00'), 2), [at(3, spring, '06:30:00'), at(3, spring, '07:00:00')])
    const autumn = sunday(11, 1)
    t.same(await preview(zone, '30 1 * * *', at(11, autumn, '00:00:00'), 2), [at(11, autumn, '05:30:00'), at(11, autumn + 1, '06:30:00')])
    t.same(
      await preview(zone, '30 * * * *', at(11, autumn, '05:00:00'), 3),
      ['05', '06', '07'].map((hour) => at(11, autumn, `${hour}:30:00`)),
    )
  })

  await t.test('a day whose midnight is skipped is not left out', async (t) => {
    // Cairo changes at midnight of the last Friday of April.
    const friday = [24, 25, 26, 27, 28, 29, 30].find((day) => new Date(Date.UTC(year, 3, day)).getUTCDay() === 5) as number
    const runs = await preview('Africa/Cairo', '0 0 * * *', at(4, friday - 2, '12:00:00'), 3)
    t.same(runs, [at(4, friday - 2, '22:00:00'), at(4, friday - 1, '22:00:00'), at(4, friday, '21:00:00')])
  })

  await t.test('keeps to startAt, endAt and limit', async (t) => {
    const startAt = at(6, 1, '00:00:00')
    const runsOf = async (body: object, count = 50) => (await put(`q?preview=${count}`, echo('x', body))).json().nextRuns
    t.same(await runsOf({ everyMs: 60_000, startAt, limit: 2 }), [startAt, at(6, 1, '00:01:00')])
    t.same(await runsOf({ everyMs: 60_000, startAt, endAt: at(6, 1, '00:01:00') }), [startAt, at(6, 1, '00:01:00')])
    t.same(await runsOf({ cron: '0 0 * * *', startAt, endAt: at(6, 2, '23:00:00') }), [startAt, at(6, 2, '00:00:00')], 'startAt counts')
    t.equal((await runsOf({ everyMs: 1000, startAt })).length, 50)
    const leapDays = await runsOf({ cron: '0 0 29 2 *' })
    t.ok(leapDays.length >= 2 && leapDays.length <= 4, 'what lies within ten years')
    for (const at of leapDays) t.match(at, /-02-29T/)
  })

  await t.test('what is overdue is one run, however much was missed', async (t) => {
    const { nextRunAt } = (await put('overdue', echo('x', { everyMs: 1000 }))).json()
    await eventually('three are missed', () => Date.now() > Date.parse(nextRunAt) + 3000)
    const { nextRuns } = (await get('/overdue?preview=3')).json()
    t.equal(nextRuns[0], nextRunAt)
    t.ok(Date.parse(nextRuns[1]) - Date.parse(nextRunAt) > 2000)
    t.equal(Date.parse(nextRuns[2]) - Date.parse(nextRuns[1]), 1000)
  })
})

t.test('trigger', async (t) => {
  const app = await buildTestApp(t)
  const { put, get, remove, trigger } = requests(app)
  await put('s', { ...echo('x'), correlationId: 'c1', userId: 'u1', options: { attempts: 7 } })

  await t.test('202: the job, its address, and everything that is true of jobs', async (t) => {
    const answer = await trigger('s')
    t.equal(answer.statusCode, 202)
    const job = answer.json()
    t.equal(answer.headers.location, `/v1/jobs/${job.id}`)
    t.ok(answer.headers['retry-after'])
    t.match(job, { type: 'echo', scheduleId: 's', correlationId: 'c1', userId: 'u1', attempts: { max: 7 }, idempotencyKey: null })
    t.match(await app.finished(job.id), { state: 'completed', scheduleId: 's', result: { label: 'x' } })
    const listed = (await app.request({ method: 'GET', url: '/v1/jobs?correlationId=c1' })).json().items
    t.same(
      listed.map(({ id }: { id: string }) => id),
      [job.id],
    )
    t.match((await get('/s')).json(), { runs: 0, lastRun: null }, 'does not count')
  })

  await t.test('IDK-5 Idempotency-Key: the same act once; 422 for another', async (t) => {
    const headers = { 'idempotency-key': '"k"' }
    const first = await trigger('s', { headers })
    const again = await trigger('s', { headers })
    t.notOk(first.headers['idempotent-replayed'])
    t.equal(again.headers['idempotent-replayed'], 'true')
    t.equal(again.json().id, first.json().id)
    t.equal(again.statusCode, 202)
    await put('s', { ...echo('changed'), correlationId: 'c2' })
    t.equal((await trigger('s', { headers })).json().id, first.json().id, 'also after the schedule has changed')
    await put('s2', echo('x'))
    t.equal((await trigger('s2', { headers })).statusCode, 422)
    t.equal((await app.submit(echo('x', {}), headers)).statusCode, 422)
    t.equal((await trigger('s', { headers: { 'idempotency-key': '""' } })).statusCode, 400)
    await app.finished(first.json().id)
  })

  await t.test('a job for many becomes one each', async (t) => {
    await put('many', { type: 'many', data: { labels: ['a', 'b'] }, ...yearly })
    const { id, state } = (await trigger('many')).json()
    t.equal(state, 'waiting-children')
    t.match(await app.finished(id), { state: 'completed', scheduleId: 'many', result: { total: 2, failed: 0 } })
  })

  await t.test('409: the payload no longer fits', async (t) => {
    const types = app.probes.types.filter(({ name }) => name !== 'many')
    const newer = await buildTestApp(t, { beside: app, env: { WORKERS_ENABLED: 'false' }, types })
    const answer = await requests(newer).trigger('many')
    t.equal(answer.statusCode, 409)
    t.match(answer.json(), { type: '/problems/schedule-refused' })
  })

  await t.test('a grant has to hold for the follow-ups too', async (t) => {
    await put('followed', { ...echo('x'), followUps: [{ type: 'flaky', data: { label: 'y' } }] })
    t.equal((await trigger('followed', { key: await issue(app, { types: ['echo'] }) })).statusCode, 404)
    const { id, followUps } = (await trigger('followed')).json()
    await app.finished(id)
    t.match(await app.finished(followUps[0]), { state: 'completed' })
  })
  for (const { id } of (await get('')).json().items) await remove(id)
})

t.test('503: Redis is away', async (t) => {
  const app = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { put, get } = requests(app)
  await put('s', echo('x'))
  app.services.redis.request.disconnect()
  const answers = await Promise.all([put('s', echo('x')), get('/s'), get('')])
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [503, 503, 503],
  )
  for (const { headers } of answers) t.ok(headers['retry-after'])
})

t.test('every job type can recur, and its schema knows so', async (t) => {
  const app = await buildTestApp(t, { types: createJobTypes(builtinTypes).all, env: { WORKERS_ENABLED: 'false' } })
  const { put } = requests(app)
  for (const { name, example } of createJobTypes(builtinTypes).all) {
    const answer = await put(name, { type: name, data: example, cron: '0 9 * * MON-FRI', timezone: 'Asia/Shanghai' })
    t.equal(answer.statusCode, 201, answer.statusCode === 201 ? name : `${name}: ${answer.body}`)
  }
})
