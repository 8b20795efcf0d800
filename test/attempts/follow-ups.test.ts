// Jobs that follow another: checked at acceptance, submitted once, with parts of the result, and with nothing secret left in the open.

import { tmpdir } from 'node:os'
import t from 'tap'
import { createFollowUps } from '../../src/attempts/follow-ups.js'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { createSensitiveDataByType } from '../../src/jobs/sensitive-data.js'
import type { JobType } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import type { Submission } from '../../src/types/submission.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'
import { eventually } from '../helpers/eventually.js'

const echo = (label: string, more: object = {}) => ({ type: 'echo', data: { label }, ...more })
const read = async (app: TestApp, id: string) => (await app.request({ method: 'GET', url: `/v1/jobs/${id}` })).json()
const statusOf = async (app: TestApp, id: string) => (await app.request({ method: 'GET', url: `/v1/jobs/${id}` })).statusCode

t.test('follow-ups run after their job, in any number, with parts of its result', async (t) => {
  const app = await buildTestApp(t)
  const answer = await app.submit({
    ...echo('first'),
    correlationId: 'chain-1',
    userId: 'u1',
    metadata: { a: 1 },
    followUps: [
      { type: 'echo', data: { label: 'replaced' }, resultInto: { '/label': '/label' } },
      {
        type: 'echo',
        data: { label: 'whole', nested: { at: ['x', null] } },
        resultInto: { '/nested/at/1': '' },
        options: { priority: 'low' },
      },
    ],
  })
  t.equal(answer.statusCode, 202)
  const { id, followUps } = answer.json()
  t.equal(followUps.length, 2)
  t.same((await app.finished(id))['followUps'], followUps)
  const [one, two] = await Promise.all(followUps.map((each: string) => app.finished(each)))
  const inherited = { state: 'completed', correlationId: 'chain-1', userId: 'u1', metadata: { a: 1 }, idempotencyKey: null }
  t.match(one, { ...inherited, data: { label: 'first' }, result: { label: 'first' } })
  t.match(two, { ...inherited, data: { label: 'whole', nested: { at: ['x', { label: 'first' }] } }, priority: 'low' })
  t.notOk('followUps' in one)
})

t.test('a replay names the same follow-ups', async (t) => {
  const app = await buildTestApp(t)
  const submit = () => app.submit({ ...echo('first'), followUps: [echo('next')] }, { 'idempotency-key': '"k"' })
  const [first, again] = [await submit(), await submit()]
  t.same([first.statusCode, again.statusCode], [202, 202], again.body)
  t.same(again.json(), first.json())
  t.same((await app.submit({ ...echo('first'), followUps: [echo('other')] }, { 'idempotency-key': '"k"' })).statusCode, 422)
  await app.finished(first.json().id)
  await app.finished(first.json().followUps[0])
  t.equal(app.probes.runs.filter(({ label }) => label === 'next').length, 1)
})

t.test('nothing follows a job that fails', async (t) => {
  const app = await buildTestApp(t)
  const { id, followUps } = (await app.submit({ type: 'refuse', data: { label: 'x' }, followUps: [echo('never')] })).json()
  t.equal((await app.finished(id))['state'], 'failed')
  t.equal(await statusOf(app, followUps[0]), 404)
})

t.test('one that does not fit with the result in it stops all', async (t) => {
  const app = await buildTestApp(t)
  const cases = [
    { type: 'echo', data: { label: 'x' }, resultInto: { '/label': '' } },
    { type: 'echo', data: { label: 'x' }, resultInto: { '/label': '/no/such' } },
  ]
  for (const bad of cases) {
    const { id, followUps } = (await app.submit({ ...echo('first'), followUps: [echo('fine'), bad] })).json()
    t.match(await app.finished(id), {
      state: 'failed',
      error: { code: 'follow_up_refused', message: /follow-up 1 \(echo\)/, retryable: false },
    })
    for (const each of followUps) t.equal(await statusOf(app, each), 404)
  }
})

t.test('what can be told at acceptance is refused there', async (t) => {
  const app = await buildTestApp(t)
  const pointersOf = async (followUps: object[]) => {
    const answer = await app.submit({ ...echo('first'), followUps })
    t.equal(answer.statusCode, 400)
    return answer.json().errors.map(({ pointer }: { pointer: string }) => pointer)
  }
  t.same(await pointersOf([echo('fine'), { type: 'echo', data: { label: '' } }]), ['#/followUps/1/data/label'])
  t.same(await pointersOf([{ type: 'no-such', data: {} }]), ['#/followUps/0/type'])
  t.same(await pointersOf([echo('x', { followUps: [echo('y')] })]), ['#/followUps/0/followUps'])
  t.same(await pointersOf([echo('x', { resultInto: { '/secret': '/label' } })]), ['#/followUps/0/resultInto/~1secret'])
  t.same(await pointersOf([echo('x', { options: { delayMs: 1, runAt: new Date(Date.now() + 60_000).toISOString() } })]), [
    '#/followUps/0/options/runAt',
  ])
  t.same(await pointersOf(Array.from({ length: 11 }, () => echo('x'))), ['#/followUps'])
  t.same(await pointersOf([]), ['#/followUps'])
})

t.test('a key has to be good for every follow-up, alone and in a batch', async (t) => {
  const app = await buildTestApp(t)
  const made = await app.request({
    method: 'POST',
    url: '/admin/api-keys',
    payload: { name: 'echo only', scopes: ['jobs:submit'], types: ['echo'] },
  })
  t.equal(made.statusCode, 201)
  const { key } = made.json()
  const payload = { ...echo('first'), followUps: [{ type: 'flaky', data: { label: 'x' } }] }
  t.equal((await app.request({ method: 'POST', url: '/v1/jobs', payload, key })).statusCode, 403)
  const batch = await app.request({ method: 'POST', url: '/v1/jobs/batch', payload: { items: [payload, echo('alone')] }, key })
  t.match(batch.json().items, [{ status: 403 }, { status: 202 }])
})

t.test('the parent of a fan-out is followed once, its children are not', async (t) => {
  const app = await buildTestApp(t)
  const many = {
    type: 'many',
    data: { labels: ['a', 'b'] },
    followUps: [echo('x', { data: { label: 'x', nested: 0 }, resultInto: { '/nested': '/total' } })],
  }
  const { id, followUps } = (await app.submit(many)).json()
  t.equal((await app.finished(id))['state'], 'completed')
  t.match(await app.finished(followUps[0]), { state: 'completed', data: { nested: 2 } })
  const children = (await app.request({ method: 'GET', url: `/v1/jobs/${id}/children` })).json().items
  t.equal(children.length, 2)
  for (const child of children) t.notOk('followUps' in child)
  t.equal(app.probes.runs.filter(({ label }) => label === 'x').length, 1)
})

t.test('every real job type can follow: the check with the result in it knows all their schemas', async (t) => {
  const jobTypes = createJobTypes(builtinTypes)
  const submitted: Submission[] = []
  const submit = async (submission: Submission) => {
    submitted.push(submission)
    return { kind: 'reused' } as const
  }
  const followUps = createFollowUps({ jobTypes, config: loadBuiltinConfig({}, tmpdir()), sensitive: new Map(), accept: submit })
  const first = { data: null, tenant: 'default', correlationId: 'c', timeoutMs: 1000 }
  for (const { name, example } of jobTypes.all) {
    t.same(await followUps({ ...first, followUps: [{ id: 'x', type: name, data: example }] }, null), { kind: 'submitted' }, name)
  }
  const data = { action: 'create', appToken: 'bascn1', tableId: 'tbl1', fields: { Summary: '-' } }
  const record = { id: 'x', type: 'sync-lark-bitable', data, resultInto: { '/fields/Summary': '/summary/0/text' } }
  t.same(await followUps({ ...first, followUps: [record] }, { summary: [{ text: 'It slipped.' }] }), { kind: 'submitted' })
  t.match(submitted.at(-1), { type: 'sync-lark-bitable', data: { fields: { Summary: 'It slipped.' } } })
  t.match(await followUps({ ...first, followUps: [{ ...record, resultInto: { '/tableId': '/summary' } }] }, { summary: [] }), {
    kind: 'refused',
  })
  const before = submitted.length
  const reminder = jobTypes.find('send-meeting-reminder')?.example
  const past = { id: 'y', type: 'send-meeting-reminder', data: reminder, resultInto: { '/meetingTime': '/at' } }
  const outcome = await followUps({ ...first, followUps: [{ ...record, resultInto: {} }, past] }, { at: '2020-01-01T00:00:00Z' })
  t.match(outcome, { kind: 'refused', detail: /follow-up 1/ }, 'what the schema cannot see is checked before the first is submitted too')
  t.equal(submitted.length, before)
})

t.test('a job type that is not known here yet is waited for, and refused when it does not come', async (t) => {
  const jobTypes = createJobTypes(builtinTypes)
  const known = jobTypes.all[0] as JobType
  const submitted: string[] = []
  const submit = async ({ type }: Submission) => {
    submitted.push(type)
    return { kind: 'reused' } as const
  }
  const followUps = createFollowUps({ jobTypes, config: loadBuiltinConfig({}, tmpdir()), sensitive: new Map(), accept: submit })
  const chain = ['first-own', 'second-own'].map((type) => ({ id: type, type, data: known.example }))
  const running = () => followUps({ data: null, tenant: 'default', correlationId: 'c', timeoutMs: 1000, followUps: chain }, null)

  const waiting = running()
  jobTypes.put({ ...known, name: 'first-own' })
  t.match(await running(), { kind: 'refused', detail: /follow-up 1 \(second-own\): its job type is unknown/ })
  t.match(await waiting, { kind: 'refused' })
  t.same(submitted, [], 'all are checked before the first is submitted')

  const again = running()
  jobTypes.put({ ...known, name: 'second-own' })
  t.same(await again, { kind: 'submitted' })
  t.same(submitted, ['first-own', 'second-own'])
})

t.test('an attempt that is repeated after its follow-ups were submitted submits none again, whatever its result', async (t) => {
  const app = await buildTestApp(t)
  const { accept, jobTypes, config } = app.services
  const sensitive = createSensitiveDataByType(jobTypes, config.encryptionKeys)
  const followUps = createFollowUps({ accept, jobTypes, config, sensitive })
  const first = {
    data: null,
    tenant: 'default',
    correlationId: 'c',
    timeoutMs: 1000,
    followUps: [{ id: 'ext_00000000000000000001', type: 'echo', data: { label: 'x' }, resultInto: { '/label': '/a' } }],
  }
  for (const a of ['one', 'one', 'two']) t.same(await followUps(first, { a }), { kind: 'submitted' })
  t.match(await app.finished('ext_00000000000000000001'), { state: 'completed', result: { label: 'one' } })
  // Even when its job is no longer kept.
  await app.services.redis.request.del(app.services.queueKeys['external-api'].job('ext_00000000000000000001'))
  t.same(await followUps(first, { a: 'three' }), { kind: 'submitted' })
  t.equal(await statusOf(app, 'ext_00000000000000000001'), 404)
  t.equal(app.probes.runs.length, 1)
})

t.test('a full queue holds the job back until there is room; what was stored before is not doubled', async (t) => {
  const app = await buildTestApp(t, { env: { QUEUE_MAX_DEPTH: '2' } })
  const later = (label: string) => echo(label, { options: { delayMs: 3_600_000 } })
  const { id, followUps } = (await app.submit({ ...echo('first'), followUps: [later('a'), later('b'), later('c')] })).json()
  await eventually('the job is held back', async () => (await read(app, id)).state === 'delayed')
  t.same(await Promise.all(followUps.map((each: string) => statusOf(app, each))), [200, 200, 404])
  t.equal((await app.request({ method: 'DELETE', url: `/v1/jobs/${followUps[0]}` })).statusCode < 300, true)
  t.equal((await app.request({ method: 'POST', url: `/v1/jobs/${id}/promote` })).statusCode < 300, true)
  t.match(await app.finished(id), { state: 'completed', attempts: { made: 1 } })
  const states = await Promise.all(followUps.map(async (each: string) => (await read(app, each)).state))
  t.same(states, ['cancelled', 'delayed', 'delayed'])
})

t.test('secrets of follow-ups are encrypted where their job keeps them, and masked where they run', async (t) => {
  const app = await buildTestApp(t, { env: { DATA_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64') } })
  const { id, followUps } = (
    await app.submit({ ...echo('first'), followUps: [echo('x', { data: { label: 'x', secret: 'hunter2' } })] })
  ).json()
  await app.finished(id)
  const followed = await app.finished(followUps[0])
  t.match(followed, { state: 'completed', data: { secret: '***' } })
  t.match(app.probes.runs.find(({ label }) => label === 'x')?.data, { secret: 'hunter2' }, 'the handler gets it')
  const { request } = app.services.redis
  const texts = await Promise.all(
    (await request.keys('*')).map(async (name) =>
      (await request.type(name)) === 'hash' ? JSON.stringify(await request.hgetall(name)) : name,
    ),
  )
  t.ok(texts.some((text) => text.includes(id) || text.includes('first')))
  t.notMatch([...texts, ...app.logs].join('\n'), /hunter2/)
})
