import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { createJobTypes } from '../../src/types/registry.js'
import { validatorCompilers } from '../../src/types/validator.js'
import { buildTestApp } from '../helpers/build-test-app.js'

t.test('the jobTypes as clients see it', async (t) => {
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
