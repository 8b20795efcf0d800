// Walks every operation of the API description: without a key, with one of each scope, and with keys of another tenant or of few types.

import t from 'tap'
import { type Scope, scopes } from '../../src/auth/grants.js'
import { buildTestApp } from '../helpers/build-test-app.js'

/** What each operation asks for, besides those for operators: an operation that is new has to be listed here. */
const required: Readonly<Record<string, Scope>> = {
  submitJob: 'jobs:submit',
  submitJobs: 'jobs:submit',
  listJobs: 'jobs:read',
  getJob: 'jobs:read',
  getJobLogs: 'jobs:read',
  getJobChildren: 'jobs:read',
  followJob: 'jobs:read',
  cancelJob: 'jobs:manage',
  retryJob: 'jobs:manage',
  promoteJob: 'jobs:manage',
  leaseJobs: 'work',
  heartbeatLeases: 'work',
  settleLeases: 'work',
  heartbeatLease: 'work',
  completeLease: 'work',
  failLease: 'work',
  releaseLease: 'work',
  listWorkers: 'work',
  drainWorker: 'admin',
  listJobTypes: 'jobs:read',
  getJobType: 'jobs:read',
  listJobTypeVersions: 'jobs:read',
  getJobTypeVersion: 'jobs:read',
  registerJobType: 'types:manage',
  deleteJobType: 'types:manage',
  putSchedule: 'jobs:submit',
  listSchedules: 'jobs:read',
  getSchedule: 'jobs:read',
  deleteSchedule: 'jobs:manage',
  triggerSchedule: 'jobs:submit',
}

interface Operation {
  readonly name: string
  readonly method: 'GET'
  readonly path: string
  readonly scope: Scope
}

t.test('every operation', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const { paths } = (await test.request({ method: 'GET', url: '/openapi.json' })).json() as {
    paths: Record<string, Record<string, { operationId: string; tags: string[]; security?: unknown[] }>>
  }
  const described = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, each]) => ({ path, method: method.toUpperCase() as 'GET', ...each })),
  )
  // The signature of the vendor is what those are let in by.
  const withKey = described.filter(({ security }) => security?.length !== 0)
  t.same(new Set(described.filter(({ security }) => security?.length === 0).flatMap(({ tags }) => tags)), new Set(['inbound']))
  t.same(
    withKey
      .filter(({ tags }) => !tags.includes('operators'))
      .map(({ operationId }) => operationId)
      .sort(),
    Object.keys(required).sort(),
  )
  const operations = withKey.map(
    ({ operationId: name, method, path }): Operation => ({ name, method, path, scope: required[name] ?? 'admin' }),
  )

  const issue = async (grant: object) => (await test.services.apiKeys.issue({ name: 'k', scopes, ...grant })).key
  const toUrl = (path: string, ids: Record<string, string> = {}) =>
    path.replace(/\{(\w+)\}/g, (_match, name: string) => ids[name] ?? (name === 'queue' ? 'email' : name === 'type' ? 'echo' : 'absent'))
  const call = ({ method, name, path }: Operation, key: string | null, ids?: Record<string, string>) =>
    // A built-in type cannot be deleted, whoever asks.
    test.request({ method, url: toUrl(path, name === 'deleteJobType' ? { type: 'absent' } : ids), key })

  await t.test('401 without a key, and with one that is not known', async (t) => {
    for (const operation of operations) {
      for (const key of [null, 'not-a-key-at-all', `jg_abcdefghijkl_${'A'.repeat(43)}`]) {
        const answer = await call(operation, key)
        t.equal(answer.statusCode, 401, `${operation.name} ${key}`)
        t.match(answer.headers, { 'content-type': 'application/problem+json', 'www-authenticate': /^Bearer/ })
      }
    }
  })

  await t.test('403 without its scope, and not with it', async (t) => {
    for (const scope of [...scopes, undefined]) {
      const key = await issue({ scopes: scope === undefined ? [] : [scope] })
      for (const operation of operations) {
        const answer = await call(operation, key)
        const isAllowed = scope === 'admin' || scope === operation.scope
        t.equal(answer.statusCode === 403, !isAllowed, `${operation.name} with ${scope} answers ${answer.statusCode}`)
        t.not(answer.statusCode, 401, operation.name)
        if (!isAllowed) t.match(answer.headers['www-authenticate'], `error="insufficient_scope", scope="${operation.scope}"`)
      }
    }
  })

  await t.test('403 on operator routes with a key that is restricted to types or queues', async (t) => {
    for (const limits of [{ types: ['echo'] }, { queues: ['external-api'] }]) {
      const key = await issue(limits)
      for (const operation of operations.filter(({ scope }) => scope === 'admin'))
        t.equal((await call(operation, key)).statusCode, 403, operation.name)
    }
  })

  await t.test('404 for what belongs to another tenant, or to a type or queue without a grant', async (t) => {
    const schedule = 'mine'
    const body = { type: 'echo', data: { label: 'x' } }
    await test.request({ method: 'PUT', url: `/v1/schedules/${schedule}`, payload: { ...body, cron: '0 0 1 1 *' } })
    const job = (await test.submit({ ...body, options: { delayMs: 3_600_000 } })).json().id
    const own = operations.filter(({ path, name }) => /^\/v1\/(?:jobs|schedules)\/\{id\}/.test(path) && name !== 'putSchedule')
    t.ok(own.length >= 10)
    const strangers = [{ tenant: 'other' }, { types: ['flaky'] }, { queues: ['email'] }]
    for (const limits of strangers) {
      const key = await issue({ scopes: ['jobs:submit', 'jobs:read', 'jobs:manage'], ...limits })
      for (const operation of own) {
        const isJob = operation.path.startsWith('/v1/jobs')
        const there = await call(operation, key, { id: isJob ? job : schedule })
        const absent = await call(operation, key, { id: isJob ? 'ext_3q2AMb1cT7mR0wZk9vYxFg' : 'absent' })
        t.same([there.statusCode, absent.statusCode], [404, 404], `${operation.name} ${JSON.stringify(limits)}`)
        t.equal(there.json().detail, absent.json().detail)
        t.same(Object.keys(there.json()), Object.keys(absent.json()))
      }
      for (const url of ['/v1/jobs', '/v1/schedules']) t.same((await test.request({ method: 'GET', url, key })).json().items, [])
    }
    t.equal((await test.request({ method: 'GET', url: `/v1/jobs/${job}` })).json().state, 'delayed', 'nothing was done to it')
    t.equal((await test.request({ method: 'GET', url: `/v1/schedules/${schedule}` })).statusCode, 200)
  })
})
