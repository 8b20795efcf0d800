import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import type { JobType } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import { validatorCompilers } from '../../src/types/validator.js'
import { buildTestApp } from '../helpers/build-test-app.js'

t.test('the job types as clients see them', async (t) => {
  const { request, services } = await buildTestApp(t)
  const { items } = (await request({ method: 'GET', url: '/v1/job-types' })).json()
  t.equal(items.length, services.jobTypes.all.length)
  const echo = (await request({ method: 'GET', url: '/v1/job-types/echo' })).json()
  t.match(echo, {
    type: 'echo',
    queue: 'external-api',
    available: true,
    defaults: { attempts: 3, priority: 'normal' },
    dataSchema: { type: 'object' },
    example: { type: 'echo' },
  })
  t.equal((await request({ method: 'GET', url: '/v1/job-types/nope' })).statusCode, 404)
  const { key } = (
    await request({ method: 'POST', url: '/admin/api-keys', payload: { name: 'k', scopes: ['jobs:read'], types: ['echo'] } })
  ).json()
  t.equal((await request({ method: 'GET', url: '/v1/job-types', key })).json().items.length, 1)
  t.equal((await request({ method: 'GET', url: '/v1/job-types/flaky', key })).statusCode, 404)
})

t.test('without workers nothing is available', async (t) => {
  const { request } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  t.equal((await request({ method: 'GET', url: '/v1/job-types/echo' })).json().available, false)
})

t.test('what no worker is configured for is not available', async (t) => {
  const availableOf = async (env: Record<string, string>) => {
    const { request } = await buildTestApp(t, { env, types: createJobTypes(builtinTypes).all })
    const { items } = (await request({ method: 'GET', url: '/v1/job-types' })).json() as { items: { type: string; available: boolean }[] }
    return items.filter(({ available }) => available).map(({ type }) => type)
  }
  const always = ['process-meeting-record', 'analyze-meeting-content', 'process-webhook']
  t.same(await availableOf({}), always)
  // One of the two places it can sync to.
  const lark = { LARK_APP_ID: 'a', LARK_APP_SECRET: 'b' }
  t.same((await availableOf(lark)).sort(), [...always, 'sync-meeting-data', 'sync-lark-bitable'].sort())
})

t.test('every example is accepted, and every schema is closed and bounded', async (t) => {
  const { submit } = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' }, types: createJobTypes(builtinTypes).all })
  const compile = validatorCompilers({})
  for (const type of createJobTypes(builtinTypes).all) {
    t.equal(compile({ schema: type.data })(type.example), true, `${type.name}: example fits`)
    const answer = await submit({ type: type.name, data: type.example })
    t.equal(answer.statusCode, 202, `${type.name}: ${answer.body.slice(0, 300)}`)
  }
})

t.test('a type that comes while the gateway runs is taken, masked, worked and counted; one that goes is refused', async (t) => {
  const { finished, probes, request, services, submit } = await buildTestApp(t)
  const { accept, jobTypes } = services
  const echo = probes.types.find(({ name }) => name === 'echo') as JobType
  const late = { type: 'late', data: { label: 'late', secret: 'hunter2' } }
  const unknown = [{ pointer: '#/type', detail: 'is not a known type' }]
  t.same((await submit(late)).json().errors, unknown)

  jobTypes.put({ ...echo, name: 'late' })
  const metrics = (await request({ method: 'GET', url: '/metrics', key: null })).body
  for (const series of [
    'jobs_submitted_total{type="late",outcome="created"} 0',
    'attempts_total{type="late",outcome="completed",code="none"} 0',
  ])
    t.ok(metrics.includes(`jobgate_${series}`), series)
  const listed = (await request({ method: 'GET', url: '/v1/job-types' })).json().items
  t.ok(listed.some(({ type }: { type: string }) => type === 'late'))
  t.match((await submit({ ...late, data: { secret: 1 } })).json().errors, [{ pointer: '#/data/label' }, { pointer: '#/data/secret' }])
  const key = { 'idempotency-key': 'late' }
  const accepted = await submit(late, key)
  t.equal(accepted.statusCode, 202)
  const { id } = accepted.json()
  t.match(await finished(id), { state: 'completed', data: { label: 'late', secret: '***' } })
  const batch = await request({ method: 'POST', url: '/v1/jobs/batch', payload: { items: [late, { type: 'no-such-type', data: {} }] } })
  t.match(batch.json().items, [{ status: 202 }, { status: 400, error: { errors: unknown } }])
  const schedule = { method: 'PUT', url: '/v1/schedules/late', payload: { ...late, cron: '0 0 1 1 *' } } as const
  t.equal((await request(schedule)).statusCode, 201)

  jobTypes.remove('late')
  t.same((await submit(late, key)).json().errors, unknown)
  t.same((await request(schedule)).json().errors, unknown)
  t.equal((await request({ method: 'POST', url: '/v1/schedules/late/trigger' })).statusCode, 409)
  t.equal((await request({ method: 'GET', url: `/v1/jobs/${id}` })).json().data, null, 'what may be secret is no longer known')
  const context = { tenant: 'default', key: { key: 'late', space: 'key' } } as const
  t.same(await accept(late, context), { kind: 'invalid', errors: unknown }, 'also where no request has been checked')
  const first = { type: 'echo', data: { label: 'first' } }
  t.match(await accept({ ...first, followUps: [late] }, context), { kind: 'invalid', errors: [{ pointer: '#/followUps/0/type' }] })
})
