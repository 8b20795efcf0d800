// Walks every route for operators, documented or not: it is for keys with the scope `admin` alone.

import { createRequire } from 'node:module'
import t from 'tap'
import { buildTestApp } from '../../helpers/build-test-app.js'

interface Route {
  readonly method: string
  readonly path: string
}

/** The routes of the dashboard, which the OpenAPI document leaves out, from bull-board's own table. */
const boardRoutes = (): Route[] => {
  const { appRoutes } = createRequire(import.meta.url)('@bull-board/api/dist/routes.js') as {
    appRoutes: { entryPoint: { method: string; route: string | string[] }; api: { method: string | string[]; route: string | string[] }[] }
  }
  return [appRoutes.entryPoint, ...appRoutes.api].flatMap(({ method, route }) =>
    [method].flat().flatMap((each) => [route].flat().map((path) => ({ method: each, path: `/admin/board${path}` }))),
  )
}

t.test('every route under /admin asks for a key with the scope admin', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', BOARD_READ_ONLY: 'false' } })
  const { paths } = (await test.request({ method: 'GET', url: '/openapi.json' })).json() as {
    paths: Record<string, Record<string, { operationId: string; tags: string[] }>>
  }
  const documented = Object.entries(paths).filter(([path]) => path.startsWith('/admin'))
  const routes = documented.flatMap(([path, methods]) => Object.keys(methods).map((method): Route => ({ method, path })))
  t.ok(routes.length >= 25, 'there are routes to walk')
  for (const [, methods] of documented) for (const { tags, operationId } of Object.values(methods)) t.same(tags, ['operators'], operationId)
  const board = boardRoutes()
  t.ok(board.length >= 35, 'the dashboard has routes too')
  board.push({ method: 'get', path: '/admin/board/static/favicon.ico' })

  const { key } = (
    await test.request({
      method: 'POST',
      url: '/admin/api-keys',
      payload: { name: 'all but admin', scopes: ['jobs:submit', 'jobs:read', 'jobs:manage', 'work'] },
    })
  ).json()

  for (const { method, path } of [...routes, ...board]) {
    const url = path.replace(/\{queue\}|:queueName/g, 'email').replace(/\{[^}]+\}|:\w+/g, 'x')
    const name = `${method} ${path}`
    t.ok(
      test.app.hasRoute({
        method: method.toUpperCase() as 'GET',
        url: path.replace(/\{(\w+)\}/g, ':$1').replace('/static/favicon.ico', '/static/*'),
      }),
      `there is ${name}`,
    )
    const call = (with_: string | null) => test.request({ method: method.toUpperCase() as 'GET', url, key: with_ })
    const none = await call(null)
    t.equal(none.statusCode, 401, `401 ${name}`)
    t.match(none.headers, { 'content-type': 'application/problem+json', 'www-authenticate': /^Bearer/ })
    t.match(none.json(), { type: '/problems/unauthorized', status: 401, detail: String, requestId: String })
    t.equal((await call('not-a-key-at-all')).statusCode, 401, `401 ${name} with an unknown key`)
    const without = await call(key)
    t.equal(without.statusCode, 403, `403 ${name}`)
    t.equal(without.headers['content-type'], 'application/problem+json')
    t.match(without.json(), { type: '/problems/forbidden', status: 403, detail: /`admin`/, requestId: String })
  }
})

t.test('the dashboard only shows unless it is told otherwise', async (t) => {
  const test = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false' } })
  for (const { method, path } of boardRoutes().filter(({ method }) => method !== 'get')) {
    const url = path.replace(':queueName', 'email').replace(/:\w+/g, 'x')
    const answer = await test.request({ method: method.toUpperCase() as 'PUT', url })
    t.equal(answer.statusCode, 405, `405 ${method} ${path}`)
    t.equal(answer.headers.allow, 'GET, HEAD')
    t.match(answer.json(), { type: '/problems/method-not-allowed', detail: /BOARD_READ_ONLY/ })
  }
})
