// Job types that are registered over HTTP: versions, conditions, compatibility, every instance, and gone again with their queues.

import t, { type Test } from 'tap'
import { metaFields } from '../../src/bullmq/facts.js'
import { createQueueGate } from '../../src/bullmq/registered/queue-gate.js'
import { adminKey, buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const closedObject = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const source = { type: 'string', maxLength: 200 }
const width = { type: 'integer', minimum: 1, maximum: 4000 }
const definition = (data: object = closedObject({ source, width }, ['source', 'width']), more: object = {}) => ({
  description: 'Makes a smaller copy of an image.',
  data,
  example: { source: 'cat.png', width: 640 },
  runs: { by: 'pull' },
  ...more,
})

const name = 'resize-image'
const url = `/v1/job-types/${name}`
const put = ({ request }: TestApp, payload: object, { query = '', headers = {}, path = url, key = adminKey } = {}) =>
  request({ method: 'PUT', url: `${path}${query}`, payload, headers, key })
const get = async ({ request }: TestApp, path: string) => (await request({ method: 'GET', url: path })).json()
const remove = ({ request }: TestApp, headers: Record<string, string> = {}) => request({ method: 'DELETE', url, headers })
const submit = (test: TestApp, data: object = { source: 'a.png', width: 10 }, headers = {}) => test.submit({ type: name, data }, headers)
const cancel = ({ request }: TestApp, id: string) => request({ method: 'DELETE', url: `/v1/jobs/${id}` })
const issueKey = async ({ request }: TestApp, payload: object): Promise<string> =>
  (await request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', ...payload } })).json().key

const withoutWorkers = { env: { WORKERS_ENABLED: 'false' } }
const openApp = (t: Test) => buildTestApp(t, withoutWorkers)

t.test('register, read, change, and conditions', async (t) => {
  const test = await openApp(t)
  const first = await put(test, definition())
  t.equal(first.statusCode, 201, first.body)
  t.equal(first.headers['location'], url)
  t.match(first.json(), { type: name, version: 1, queue: name, runs: { by: 'pull' }, compatibility: 'backward', warnings: [] })
  t.match(await get(test, url), { type: name, version: 1, dataSchema: definition().data, resultSchema: null, example: { type: name } })
  const etag = first.headers['etag'] as string
  t.equal((await test.request({ method: 'GET', url })).headers['etag'], etag)

  const again = await put(test, JSON.parse(JSON.stringify(definition())))
  t.same([again.statusCode, again.json().version, again.headers['etag']], [200, 1, etag], 'the same body is no new version')

  const wider = definition(closedObject({ source, width, fit: { enum: ['crop', 'pad'] } }, ['source', 'width']))
  const dry = await put(test, wider, { query: '?dryRun=true' })
  t.same([dry.statusCode, dry.json().version], [200, 2])
  t.equal((await get(test, url)).version, 1, 'a dry run stores nothing')
  t.equal((await put(test, wider, { headers: { 'if-match': '"1-other"' } })).statusCode, 412)
  t.equal((await put(test, wider, { headers: { 'if-none-match': '*' } })).statusCode, 412)
  t.equal((await put(test, wider, { headers: { 'if-match': 'nonsense' } })).statusCode, 400)
  const second = await put(test, wider, { headers: { 'if-match': etag } })
  t.same([second.statusCode, second.json().version], [200, 2])
  t.not(second.headers['etag'], etag)
  t.same((await get(test, `${url}/versions`)).items, [{ version: 2 }, { version: 1 }])
  t.match(await get(test, `${url}/versions/1`), { type: name, version: 1, createdBy: 'admin', definition: definition() })
  t.equal((await test.request({ method: 'GET', url: `${url}/versions/3` })).statusCode, 404)
  t.equal((await test.request({ method: 'GET', url: '/v1/job-types/echo/versions' })).statusCode, 404)
  const added = await put(test, definition(closedObject({ source, width, fit: { enum: ['crop', 'pad', 'fill'] } }, ['source', 'width'])))
  t.match(added.json().warnings, [{ pointer: '#/data/fit', rule: 'enum' }], 'a new value is allowed and told of')
  const { items } = await get(test, '/admin/audit?limit=10')
  t.match(items[0], { act: 'job-type.registered', details: { type: name, version: 3 } })
})

t.test('what is refused', async (t) => {
  const test = await openApp(t)
  const open = await put(test, definition({ type: 'object', properties: { source: { type: 'string' } } }))
  t.equal(open.statusCode, 400)
  t.match(open.json().errors, [
    { pointer: '#/data', rule: 'closed', detail: /additionalProperties/ },
    { pointer: '#/data/properties/source', rule: /./ },
  ])
  t.equal((await put(test, definition(undefined, { example: { source: 1 } }))).statusCode, 400, 'an example that does not fit')
  for (const [by, pattern] of [
    ['module', /JOB_TYPES_DIR/],
    ['nobody', /./],
  ] as const)
    t.match((await put(test, definition(undefined, { runs: { by } }))).json(), { status: 400, errors: [{ detail: pattern }] }, by)
  for (const path of ['echo', 'email', 'meet', 'health', 'other', 'A', 'x', 'a_b', 'a'.repeat(64)])
    t.equal((await put(test, definition(), { path: `/v1/job-types/${path}` })).statusCode, 400, path)
  t.equal((await test.request({ method: 'DELETE', url: '/v1/job-types/echo' })).statusCode, 403)
  t.equal((await remove(test)).statusCode, 404)
})

t.test('scopes and grants', async (t) => {
  const test = await openApp(t)
  const manager = await issueKey(test, { scopes: ['types:manage'] })
  const limited = await issueKey(test, { scopes: ['types:manage', 'jobs:read'], types: ['other-type'] })
  const reader = await issueKey(test, { scopes: ['jobs:read', 'jobs:submit', 'jobs:manage'] })
  t.equal((await put(test, definition(), { key: reader })).statusCode, 403)
  t.equal((await put(test, definition(), { key: limited })).statusCode, 403)
  t.equal((await put(test, definition(), { key: manager })).statusCode, 201)
  t.equal((await put(test, definition(), { key: manager, query: '?force=true' })).statusCode, 403)
  t.equal((await test.request({ method: 'GET', url, key: limited })).statusCode, 404)
  t.equal((await test.request({ method: 'DELETE', url, key: limited })).statusCode, 404)
  t.equal((await test.request({ method: 'DELETE', url, key: manager })).statusCode, 204)
})

t.test('jobs carry their version, and a replay tells the one that it was accepted under', async (t) => {
  const test = await openApp(t)
  await put(test, definition())
  const headers = { 'idempotency-key': '"k1"' }
  const first = (await submit(test, undefined, headers)).json()
  t.match(first, { type: name, typeVersion: 1, queue: name })
  t.equal((await submit(test, { source: 'a.png' })).statusCode, 400)
  await put(test, definition(closedObject({ source, width, quality: width }, ['source', 'width'])))
  t.equal((await submit(test, { source: 'a.png', width: 1, quality: 3 })).json().typeVersion, 2)
  t.match(await get(test, `/v1/jobs/${first.id}`), { typeVersion: 1 })
  const replay = await submit(test, undefined, headers)
  t.same([replay.json().typeVersion, replay.headers['idempotent-replayed']], [1, 'true'])
  const other = (await submit(test, { source: 'b.png', width: 2 }, { 'idempotency-key': '"k2"' })).json()
  t.match([other.typeVersion, (await submit(test, { source: 'b.png', width: 2 }, { 'idempotency-key': '"k2"' })).json()], [2, other])
  t.equal((await test.submit({ type: 'echo', data: { label: 'x' } })).json().typeVersion, 1, 'built-in types have one')
})

t.test('what would no longer fit is refused, with an example', async (t) => {
  const test = await openApp(t)
  await put(test, definition(undefined, { result: closedObject({ bytes: width }, ['bytes']) }))
  const narrower = definition(closedObject({ source, width: { ...width, maximum: 100 } }, ['source', 'width']), {
    example: { source: 'a', width: 1 },
  })
  const refused = await put(test, narrower)
  t.equal(refused.statusCode, 409)
  const problem = refused.json()
  t.match(problem, { type: '/problems/contract-incompatible', version: 1 })
  t.match(problem.errors, [
    { pointer: '#/data/width', rule: 'maximum' },
    { pointer: '#/result', rule: 'result' },
  ])
  t.ok(problem.counterexample.width > 100)
  const job = (await submit(test)).json()
  const none = { ...narrower, compatibility: 'none' }
  const inUse = await put(test, none)
  t.match(inUse.json(), { status: 409, type: '/problems/job-type-in-use', jobs: 1, schedules: 0 })
  t.equal((await put(test, none, { query: '?force=true' })).json().version, 2, 'an operator may all the same')
  t.equal((await submit(test, { source: 'a', width: 101 })).statusCode, 400)
  await cancel(test, job.id)
  t.equal(
    (await put(test, { ...definition(closedObject({ source }, ['source']), { example: { source: 'a' } }), compatibility: 'none' }))
      .statusCode,
    200,
  )
})

t.test('versions before the last count as long as something needs them', async (t) => {
  const test = await openApp(t)
  const step = (properties: object) => definition(closedObject(properties), { example: {}, compatibility: 'none' })
  const only = (member: string) => step({ [member]: width })
  await put(test, only('one'))
  const job = (await submit(test, { one: 1 })).json()
  await put(test, step({ one: width, two: width }))
  // Fits the last version and not the first, whose job is still there.
  const backward = { ...step({ one: { ...width, maximum: 4000, minimum: 1 }, two: width, three: width }), compatibility: 'backward' }
  t.equal((await put(test, backward)).statusCode, 200)
  await put(test, only('two'), { query: '?force=true' })
  const third = { ...step({ two: width, four: width }), compatibility: 'backward' }
  t.match((await put(test, third)).json(), { status: 409, version: 1 }, 'a job of version 1 waits')
  await cancel(test, job.id)
  t.match((await put(test, third)).json(), { status: 409 }, 'a cancelled job is still kept')
  await test.services.queues.bullmqQueue(test.services.queues.partitionsOf(name)[0] as never).clean(0, 100, 'failed')
  t.equal((await put(test, third)).statusCode, 200)
})

t.test('deleted, once nothing needs it', async (t) => {
  const test = await openApp(t)
  await put(test, definition())
  const job = (await submit(test)).json()
  t.match((await remove(test)).json(), { status: 409, type: '/problems/job-type-in-use', jobs: 1, schedules: 0 })
  await cancel(test, job.id)
  const schedule = { type: name, data: { source: 'a', width: 1 }, everyMs: 3_600_000 }
  await test.request({ method: 'PUT', url: '/v1/schedules/s', payload: schedule })
  await test.request({
    method: 'PUT',
    url: '/v1/schedules/f',
    payload: { type: 'echo', data: { label: 'x' }, everyMs: 3_600_000, followUps: [{ type: name, data: schedule.data }] },
  })
  t.match((await remove(test)).json(), { status: 409, schedules: 2 })
  for (const id of ['s', 'f']) await test.request({ method: 'DELETE', url: `/v1/schedules/${id}` })
  for (const each of (await get(test, `/v1/jobs?type=${name}`)).items) await cancel(test, each.id)
  t.equal((await remove(test, { 'if-match': '"1-other"' })).statusCode, 412)
  t.equal((await remove(test)).statusCode, 204)
  t.equal((await remove(test)).statusCode, 404)
  t.equal((await test.request({ method: 'GET', url })).statusCode, 404)
  t.match((await submit(test)).json(), { status: 400, errors: [{ pointer: '#/type' }] })
  t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${job.id}` })).statusCode, 404, 'with its jobs')
  const left = await test.services.redis.request.keys(`*${name}*`)
  t.same(left, [], 'and all keys')
  t.equal((await put(test, definition())).json().version, 1, 'begins anew')
  t.equal((await submit(test)).statusCode, 202)
})

t.test('an instance that has not heard of the end of a type stores nothing', async (t) => {
  const test = await openApp(t)
  await put(test, definition())
  const { jobTypes, catalog } = test.services
  const known = jobTypes.get(name)
  t.equal((await remove(test)).statusCode, 204)
  // As if this instance had read nothing since.
  jobTypes.put(known?.type as never)
  t.match((await submit(test)).json(), { status: 400, errors: [{ pointer: '#/type', detail: 'is not a known type' }] })
  t.same(await test.services.redis.request.keys(`*:${name}:*_*`), [])
  jobTypes.remove(name)
  // Nor where it has come back as another one in the meantime.
  t.equal((await put(test, definition(closedObject({ source }, ['source']), { example: { source: 'a' } }))).statusCode, 201)
  jobTypes.put(known?.type as never)
  t.equal((await submit(test)).statusCode, 400)
  t.same(await test.services.redis.request.keys(`*:${name}:*_*`), [])
  await catalog.loadWithin(1000)
})

t.test('every instance knows it, one that starts later too', async (t) => {
  const test = await openApp(t)
  const other = await buildTestApp(t, { ...withoutWorkers, beside: test })
  t.equal((await put(test, definition())).statusCode, 201)
  await eventually('the other instance knows', () => other.services.jobTypes.find(name) !== undefined)
  const job = (await submit(other)).json()
  t.match(await get(test, `/v1/jobs/${job.id}`), { id: job.id, type: name })
  const later = await buildTestApp(t, { ...withoutWorkers, beside: test })
  t.equal((await submit(later)).statusCode, 202, 'at once')
  for (const each of (await get(test, `/v1/jobs?type=${name}`)).items) await cancel(test, each.id)
  t.equal((await remove(other)).statusCode, 204)
  for (const app of [test, later]) await eventually('all others know', () => app.services.jobTypes.find(name) === undefined)
})

t.test('an instance that has not heard of a type yet looks for it once, and no more often than it may', async (t) => {
  const test = await openApp(t)
  const other = await buildTestApp(t, { ...withoutWorkers, beside: test })
  const { catalog, jobTypes, redis } = other.services
  const define = async (at: number) => t.equal((await put(test, definition(), { path: `/v1/job-types/type-${at}` })).statusCode, 201)
  const data = { source: 'a', width: 1 }
  const post = (path: string, payload: object | string, headers = {}) =>
    other.request({ method: 'POST', url: path, payload, headers: { ...headers } })
  const ways: (() => Promise<number>)[] = [
    async () => (await other.submit({ type: 'type-0', data })).statusCode,
    async () => (await post('/v1/jobs/batch', { items: [{ type: 'type-1', data }] })).json().items[0].status,
    async () => {
      const line = `${JSON.stringify({ type: 'type-2', data })}\n`
      return JSON.parse((await post('/v1/jobs/batch', line, { 'content-type': 'application/x-ndjson' })).body).status
    },
    async () => (await other.submit({ type: 'echo', data: { label: 'x' }, followUps: [{ type: 'type-3', data }] })).statusCode,
    async () =>
      (await other.request({ method: 'PUT', url: '/v1/schedules/s', payload: { type: 'type-4', data, everyMs: 3_600_000 } })).statusCode,
    async () => (await other.request({ method: 'GET', url: '/v1/job-types/type-5' })).statusCode,
    async () => {
      const { id } = (await test.submit({ type: 'type-6', data })).json()
      return (await other.request({ method: 'GET', url: `/v1/jobs/${id}` })).statusCode
    },
  ]
  for (const [at, way] of ways.entries()) {
    await define(at)
    t.ok([200, 201, 202].includes(await way()), `way ${at}`)
  }

  const limited = await issueKey(test, { scopes: ['jobs:read', 'jobs:submit'], types: ['echo'] })
  await define(7)
  jobTypes.remove('type-7')
  const shape = async (type: string) => {
    const {
      instance: _instance,
      requestId: _requestId,
      ...rest
    } = (await other.request({ method: 'POST', url: '/v1/jobs', payload: { type, data }, key: limited })).json()
    return rest
  }
  t.same(await shape('type-7'), await shape('type-8'), 'for a key that may not use it nothing is looked for')

  const looks = async () => Number(/cmdstat_get:calls=(\d+)/.exec(await redis.request.info('commandstats'))?.[1] ?? 0)
  const [before, began] = [await looks(), performance.now()]
  const answers = await Promise.all(Array.from({ length: 200 }, (_, at) => other.submit({ type: `nobody-${at}`, data })))
  t.ok(answers.every(({ statusCode }) => statusCode === 400))
  // Both instances look twice a second besides.
  const most = 3 + ((performance.now() - began) / 1000) * 15
  const made = (await looks()) - before
  t.ok(made <= most, `200 unknown names: ${made} looks`)
  await catalog.loadWithin(1000)
})

t.test('an instance that has not heard of a type yet counts what needs it', async (t) => {
  const test = await openApp(t)
  const other = await buildTestApp(t, { ...withoutWorkers, beside: test })
  for (const type of ['type-one', 'type-two', 'type-three']) {
    const path = `/v1/job-types/${type}`
    await put(test, definition(), { path })
    await test.submit({ type, data: { source: 'a.png', width: 10 } })
    const breaking = { ...definition(closedObject({ width }, ['width']), { compatibility: 'none' }), example: { width: 1 } }
    t.match((await put(other, breaking, { path })).json(), { status: 409, jobs: 1 }, type)
  }
})

t.test('a job that runs again in the moment in which its type goes leaves nothing behind', async (t) => {
  const test = await openApp(t)
  await put(test, definition())
  await submit(test)
  const { queues, redis } = test.services
  const gate = createQueueGate({ redis: redis.request, queues })
  await redis.request.hdel(gate.firstPlace(name).meta, metaFields.openFor)
  t.ok(await gate.remove(name))
  t.same(await redis.request.keys(`{jobgate}:${name}:*`), [])
})

t.test('an instance that has not heard of the latest version shows it with its own ETag', async (t) => {
  const test = await openApp(t)
  await put(test, definition())
  const { jobTypes } = test.services
  const first = jobTypes.find(name)
  const second = await put(test, definition(closedObject({ source, width, fit: { enum: ['crop'] } }, ['source', 'width'])))
  jobTypes.replace([{ type: first as never, version: 1 }])
  const shown = await test.request({ method: 'GET', url })
  t.equal(shown.headers['etag'], second.headers['etag'])
  t.match(shown.json(), { version: 2, dataSchema: { properties: { fit: {} } } }, 'or a change on top of it would undo it')
})

t.test('many at once: every version is stored once, and each answer names its own', async (t) => {
  const test = await openApp(t)
  const other = await buildTestApp(t, { ...withoutWorkers, beside: test })
  const versions = Array.from({ length: 8 }, (_, at) =>
    definition(closedObject({ source, width, [`option${at}`]: width }, ['source', 'width']), { compatibility: 'none' }),
  )
  const answers = await Promise.all(versions.map((each, at) => put(at % 2 ? test : other, each)))
  const numbers = answers.map((answer) => answer.json().version as number)
  t.same(
    [...numbers].sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  )
  for (const [at, version] of numbers.entries()) t.match(await get(test, `${url}/versions/${version}`), { definition: versions[at] })
})

t.test('no more than JOB_TYPES_MAX', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', JOB_TYPES_MAX: '2' } })
  for (const type of ['type-one', 'type-two']) t.equal((await put(test, definition(), { path: `/v1/job-types/${type}` })).statusCode, 201)
  for (const query of ['', '?dryRun=true'])
    t.match((await put(test, definition(), { query })).json(), { status: 409, type: '/problems/job-types-full' })
  await test.request({ method: 'DELETE', url: '/v1/job-types/type-one' })
  t.equal((await put(test, definition())).statusCode, 201)
})

t.test('sensitive members stay masked when a later version no longer says so', async (t) => {
  const test = await openApp(t)
  const secret = { ...source, 'x-sensitive': true }
  const data = { source: 'hidden', map: { a: 'hidden' } }
  const map = (values: object) => ({ type: 'object', additionalProperties: values, maxProperties: 5 })
  const of = (member: object) => definition(closedObject({ source: member, map: map(member) }, ['source']), { example: { source: 'a' } })
  await put(test, of(secret))
  const { id } = (await submit(test, data)).json()
  t.match((await get(test, `/v1/jobs/${id}`)).data, { source: '***', map: { a: '***' } })
  t.equal((await put(test, of(source))).statusCode, 200)
  t.match((await get(test, `/v1/jobs/${id}`)).data, { source: '***', map: { a: '***' } })
})
