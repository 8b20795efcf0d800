// The dashboard: pages of other sites that make a browser send its cookie along. Nothing happens.

import { cookie, login, ownPage, signIn } from '../board.js'
import type { Attack, Row } from '../row.js'

/** A dashboard that allows changes: the default allows none. */
export const writableBoard = { env: { BOARD_READ_ONLY: 'false' } }

const foreign = (own: string): readonly Record<string, string>[] => [
  {},
  { origin: 'https://attacker.example' },
  { origin: 'null' },
  { origin: `${own}.attacker.example` },
  { origin: own.replace('127.0.0.1', 'attacker.example') },
  { origin: own.replace('127.0.0.1', '127.0.0.1.attacker.example') },
  { origin: own.replace('//', '//attacker.example@') },
  { origin: `${own}@attacker.example` },
  { origin: own.replace(/:\d+$/, ':1') },
  { origin: '' },
  { referer: `${own}/admin/board` },
  { 'sec-fetch-site': 'cross-site', origin: own },
  { 'sec-fetch-site': 'same-site', origin: own },
  { 'sec-fetch-site': 'none', origin: own },
  { 'sec-fetch-site': 'Same-Origin, cross-site', origin: own },
  { 'x-forwarded-host': 'attacker.example', origin: 'http://attacker.example' },
  { forwarded: 'host=attacker.example', origin: 'http://attacker.example' },
]

const acts = [
  ['PUT', '/admin/board/api/queues/email/pause'],
  ['PUT', '/admin/board/api/queues/pause'],
  ['PUT', '/admin/board/api/queues/email/obliterate'],
  ['PUT', '/admin/board/api/queues/email/empty'],
  ['POST', '/admin/board/api/queues/email/add'],
] as const
/** Bodies that a form can send without asking first. */
const simple = ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']

/** What the audit trail knows of changes, other than of keys. */
const changes = async ({ client, world }: Attack): Promise<string[]> => {
  const { json } = await client.send({ path: '/admin/audit?limit=200', key: world.keys.admin })
  return (json.items as { act: string }[]).map(({ act }) => act).filter((act) => !act.startsWith('api-key'))
}

const tryActs = async (attack: Attack, token: string) => {
  const { client, world, check, tried } = attack
  for (const headers of foreign(world.url)) {
    for (const [method, path] of acts) {
      for (const type of [undefined, ...simple]) {
        tried()
        const { status } = await client.send({
          method,
          path,
          headers: { ...cookie(token), ...headers, ...(type === undefined ? {} : { 'content-type': type }) },
          body: type === undefined ? undefined : 'force=true',
        })
        check(`${method} ${path} as ${type ?? 'no type'} with ${JSON.stringify(headers)}: ${status}`, status === 403 || status === 415)
      }
    }
    tried(2)
    const { status } = await login(client, world.keys.admin, headers)
    check(`a login with ${JSON.stringify(headers)}: ${status}`, status === 403)
    const left = await client.send({ method: 'POST', path: '/admin/board/logout', headers: { ...cookie(token), ...headers } })
    check(`a logout with ${JSON.stringify(headers)}: ${left.status}`, left.status === 403)
  }
}

/** Ways to write another method than the one that is sent. */
const tryOverrides = async ({ client, check, tried }: Attack, token: string) => {
  const overrides: readonly Record<string, string>[] = [
    { 'x-http-method-override': 'PUT' },
    { 'x-method-override': 'PUT' },
    { 'x-http-method': 'PUT' },
  ]
  for (const headers of overrides) {
    for (const path of ['/admin/board/api/queues/email/pause', '/admin/board/api/queues/email/pause?_method=PUT']) {
      tried()
      const { status } = await client.send({ path, headers: { ...cookie(token), ...headers } })
      check(`GET ${path} with ${JSON.stringify(headers)}: ${status}`, status === 404 || status === 405)
    }
  }
}

/** No answer invites scripts of other sites to read it. */
const tryCors = async ({ client, world, check, tried }: Attack, token: string) => {
  for (const [method, path] of [
    ['OPTIONS', '/v1/jobs'],
    ['OPTIONS', acts[0][1]],
    ['GET', '/admin/board/api/queues'],
    ['GET', '/openapi.json'],
  ] as const) {
    tried()
    const { headers } = await client.send({
      method,
      path,
      headers: {
        ...cookie(token),
        origin: 'https://attacker.example',
        'access-control-request-method': 'PUT',
        'access-control-request-headers': 'authorization',
      },
    })
    const found = Object.keys(headers).filter((name) => name.startsWith('access-control-'))
    check(`${method} ${path} answers ${found.join(', ')}`, found.length === 0)
  }
  const { status } = await client.send({ method: 'PUT', path: acts[0][1], headers: { ...cookie(token), ...ownPage } })
  check(`the same act from our own page: ${status}`, status === 200)
  await client.send({ method: 'PUT', path: '/admin/board/api/queues/email/resume', key: world.keys.admin })
}

export const boardCsrf: Row = {
  id: 'board-csrf',
  title: 'Dashboard: requests of other sites with the cookie of a session',
  quick: true,
  gateway: writableBoard,
  async run(attack) {
    const token = await signIn(attack.client, attack.world.keys.admin)
    await tryActs(attack, token)
    await tryOverrides(attack, token)
    const made = await changes(attack)
    attack.check(`the audit trail has ${made.join(', ')}`, made.length === 0)
    await tryCors(attack, token)
    return 'nothing was changed'
  },
}
