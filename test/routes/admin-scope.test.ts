// Walks the OpenAPI document: whatever stands under /admin is for operators alone.

import t from 'tap'
import { buildTestApp } from '../helpers/build-test-app.js'

t.test('every /admin route asks for a key with the scope admin', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  const document = test.app.swagger() as unknown as { paths: Record<string, Record<string, { operationId: string; tags: string[] }>> }
  const routes = Object.entries(document.paths)
    .filter(([path]) => path.startsWith('/admin'))
    .flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => ({ path, method, operation })))
  t.ok(routes.length >= 20, 'there are routes to walk')
  const { key } = (
    await test.request({
      method: 'POST',
      url: '/admin/api-keys',
      payload: { name: 'all but admin', scopes: ['jobs:submit', 'jobs:read', 'jobs:manage', 'work'] },
    })
  ).json()

  for (const { path, method, operation } of routes) {
    const url = path.replaceAll('{queue}', 'email').replace(/\{[^}]+\}/g, 'x')
    const call = (with_: string | null) => test.request({ method: method.toUpperCase() as 'GET', url, key: with_ })
    const none = await call(null)
    t.equal(none.statusCode, 401, `401 ${method} ${path}`)
    t.ok(none.headers['www-authenticate'])
    t.equal((await call('not-a-key-at-all')).statusCode, 401, `401 ${method} ${path} with an unknown key`)
    const without = await call(key)
    t.equal(without.statusCode, 403, `403 ${method} ${path}`)
    t.equal(without.json().type, '/problems/forbidden')
    t.same(operation.tags, ['operators'], operation.operationId)
  }
})
