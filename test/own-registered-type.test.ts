// A job type that is registered over HTTP and run in process: every way in, sensitive members wherever they stand, later versions.

import t, { type Test } from 'tap'
import { parseDefinition } from '../src/types/contracts/definition.js'
import { createRun } from '../src/types/modules/run.js'
import { buildTestApp, type TestApp } from './helpers/build-test-app.js'
import { eventually } from './helpers/eventually.js'

const name = 'own-registered'
const secret = 'cnryOfARegisteredType'
const closed = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const text = { type: 'string', maxLength: 100 }
const token = { ...text, 'x-sensitive': true }
const properties = {
  label: text,
  plain: token,
  map: { type: 'object', additionalProperties: token, maxProperties: 5 },
  pair: { type: 'array', prefixItems: [text, token], items: false },
  list: { type: 'array', items: closed({ inner: { $ref: '#/$defs/token' } }), maxItems: 3 },
  either: { anyOf: [{ $ref: '#/$defs/token' }, { type: 'null' }] },
}
const define = (more: object = {}, required = ['label'], rest: object = {}) => ({
  description: 'Does what the test says.',
  data: { ...closed({ ...properties, ...more }, required), $defs: { token } },
  example: { label: 'x' },
  runs: { by: 'pull' },
  ...rest,
})
const data = (label: string) => ({
  label,
  plain: secret,
  map: { a: secret },
  pair: ['first', secret],
  list: [{ inner: secret }],
  either: secret,
})
/** A pair is masked as a whole: paths know no places. */
const masked = (label: string) => ({ label, plain: '***', map: { a: '***' }, list: [{ inner: '***' }], either: '***' })

const put = async (test: TestApp, body: object) => {
  const answer = await test.request({ method: 'PUT', url: `/v1/job-types/${name}`, payload: body })
  if (answer.statusCode >= 300) throw new Error(answer.body)
  return answer.json().version as number
}
const get = async ({ request }: TestApp, url: string) => (await request({ method: 'GET', url })).json()

/** Has this process run the type, as one that has a module for it would. */
const createRunner = ({ services: { jobTypes } }: TestApp) => {
  const handed = new Map<string, unknown>()
  const run = (data: unknown) => {
    handed.set((data as { label: string }).label, data)
    return {}
  }
  return {
    handed,
    start: (body: object) => {
      const registered = jobTypes.get(name)
      const read = parseDefinition(body)
      if (!registered || read.kind === 'refused') throw new Error('it is not registered')
      jobTypes.put({ ...registered.type, run: createRun({ name, run } as never, read.definition) }, registered.version)
    },
  }
}

const open = (t: Test) => buildTestApp(t, { env: { DATA_ENCRYPTION_KEY: Buffer.alloc(32, 5).toString('base64') } })

const dumpOf = async ({ services }: TestApp): Promise<string> => {
  const { request } = services.redis
  const texts: string[] = []
  for (const key of await request.keys('*')) {
    const kind = await request.type(key)
    if (kind === 'hash') texts.push(JSON.stringify(await request.hgetall(key)))
    if (kind === 'string') texts.push((await request.get(key)) as string)
    if (kind === 'stream') texts.push(JSON.stringify(await request.xrange(key, '-', '+')))
  }
  return texts.join('\n')
}

t.test('every way in', async (t) => {
  const test = await open(t)
  const { handed, start } = createRunner(test)
  await put(test, define())
  start(define())
  const labels: string[] = []
  const next = (label: string) => {
    labels.push(label)
    return { type: name, data: data(label) }
  }
  const finished = async (id: string, label: string) => {
    const job = await test.finished(id)
    if (job['state'] !== 'completed') t.comment(JSON.stringify(job['error']))
    t.match(job, { type: name, queue: name, typeVersion: 1, state: 'completed', data: masked(label) }, label)
    t.same(handed.get(label), data(label), `${label}: in clear for its handler`)
  }

  const headers = { 'idempotency-key': '"single"' }
  const single = await test.submit(next('single'), headers)
  t.match(single.json(), { type: name, typeVersion: 1, data: masked('single') })
  await finished(single.json().id, 'single')
  const again = await test.submit({ type: name, data: data('single') }, headers)
  t.same([again.json().id, again.headers['idempotent-replayed']], [single.json().id, 'true'])
  t.equal((await test.submit({ type: name, data: data('other') }, headers)).statusCode, 422)

  const batch = await test.request({ method: 'POST', url: '/v1/jobs/batch', payload: { items: [next('batch'), { type: name, data: {} }] } })
  t.match(batch.json().items, [{ status: 202 }, { status: 400, error: { errors: [{ pointer: '#/data/label' }] } }])
  await finished(batch.json().items[0].id, 'batch')

  const lines = await test.request({
    method: 'POST',
    url: '/v1/jobs/batch',
    payload: `${JSON.stringify({ ...next('lines'), idempotencyKey: 'lines' })}\n`,
    headers: { 'content-type': 'application/x-ndjson' },
  })
  await finished(JSON.parse(lines.body).id, 'lines')

  const before = (await test.submit({ type: 'echo', data: { label: 'x' }, followUps: [next('follows')] })).json()
  await finished(((await test.finished(before.id))['followUps'] as string[])[0] as string, 'follows')
  const first = (await test.submit({ ...next('is followed'), followUps: [{ type: 'echo', data: { label: 'next' } }] })).json()
  await finished(first.id, 'is followed')
  const [followUp] = (await test.finished(first.id))['followUps'] as [string]
  t.match(await test.finished(followUp), { type: 'echo', state: 'completed' })
  t.equal((await test.submit({ type: 'echo', data: { label: 'x' }, followUps: [{ type: name, data: {} }] })).statusCode, 400)

  const schedule = { ...next('recurs'), everyMs: 3_600_000, limit: 1 }
  const recurring = await test.request({ method: 'PUT', url: '/v1/schedules/own', payload: schedule })
  t.match(recurring.json(), { type: name, data: masked('recurs') })
  await eventually('it ran', async () => (await get(test, '/v1/schedules/own')).runs === 1)
  await finished((await get(test, '/v1/schedules/own')).lastRun.jobId, 'recurs')

  const issue = async (types: string[]): Promise<string> =>
    (
      await test.request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes: ['jobs:submit', 'jobs:read'], types } })
    ).json().key
  const [within, without] = [await issue([name]), await issue(['echo'])]
  const submit = (key: string, payload: object) => test.request({ method: 'POST', url: '/v1/jobs', payload, key })
  t.equal((await submit(within, next('granted'))).statusCode, 202)
  t.equal((await submit(without, { type: name, data: data('x') })).statusCode, 403)
  t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${first.id}`, key: without })).statusCode, 404)

  const stored = await dumpOf(test)
  t.ok(labels.every((label) => stored.includes(label)))
  t.notOk(stored.includes(secret), 'no secret is stored as it is')
  t.notOk(test.logs.join('').includes(secret), 'nor logged')
})

t.test('a job of version 1 gets the defaults of version 2, and what both protect is opened', async (t) => {
  const test = await open(t)
  const { handed, start } = createRunner(test)
  const inner = closed({ inner: token })
  await put(test, define({ outer: inner }))
  const later = { options: { delayMs: 3_600_000 } }
  const submit = async (label: string) =>
    (await test.submit({ type: name, data: { ...data(label), outer: { inner: secret } }, ...later })).json()
  const old = await submit('old')
  t.equal(old.typeVersion, 1)
  const size = { type: 'integer', default: 7 }
  const more = { outer: { ...inner, 'x-sensitive': true }, size, later: { ...text, default: 'x' } }
  const second = define(more, ['label', 'size'], { example: { label: 'x', size: 1 } })
  t.equal(await put(test, second), 2)
  start(second)
  const filled = (await test.submit({ type: name, data: { ...data('new'), outer: { inner: secret }, size: 1 }, ...later })).json()
  t.match(filled, { typeVersion: 2, data: { outer: '***', size: 1 } })
  for (const { id } of [old, filled]) {
    await test.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })
    await test.finished(id)
  }
  t.match(await get(test, `/v1/jobs/${old.id}`), { state: 'completed', typeVersion: 1 })
  t.same(handed.get('old'), { ...data('old'), outer: { inner: secret }, size: 7 }, 'what is required and new; nothing that is optional')
  t.same(handed.get('new'), { ...data('new'), outer: { inner: secret }, size: 1 })
})
