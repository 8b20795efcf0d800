// The dashboard: sessions that were made up, kept after their end, or put upon somebody.

import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { cookie, isSignedIn, login, ownPage, signIn, tokenOf } from '../board.js'
import { issueKey } from '../keys.js'
import type { Attack, Row } from '../row.js'
import { writableBoard } from './board-csrf.js'

const forgedToken = () => randomBytes(32).toString('base64url')
const expiresInMs = 2000
/** Promised of a key that has ended, and so of its session. */
const endLimitMs = 5000

/** Where a login must not lead. */
const elsewhere = [
  '//attacker.example',
  'https://attacker.example/admin/board',
  '/\\attacker.example',
  '/admin/board/../../x',
  '/admin/boardx',
  'javascript:alert(1)',
  '/admin/board@attacker.example',
  '/admin/board\r\nX-Injected: 1',
  '/admin/board//attacker.example',
  '/v1/jobs',
]

const tryCookie = async ({ client, world, check, tried }: Attack) => {
  const answer = await login(client, world.keys.admin)
  const set = [answer.headers['set-cookie'] ?? ''].flat().join('\n')
  tried()
  for (const part of ['HttpOnly', 'SameSite=Strict', 'Path=/admin/board', 'Max-Age=28800'])
    check(`the cookie lacks ${part}`, set.split('; ').includes(part))
  check('the cookie holds the key', !set.includes(world.keys.admin))
  check(`the answer to a login may be kept: ${answer.headers['cache-control']}`, answer.status === 303)
  const token = tokenOf(answer) as string
  check(`a token of ${token.length} characters`, token.length >= 43)
  return token
}

const tryFixation = async ({ client, world, check, tried }: Attack) => {
  const chosen = forgedToken()
  tried()
  const token = tokenOf(await login(client, world.keys.admin, { ...ownPage, ...cookie(chosen) }))
  check('a login keeps the token that came with it', token !== undefined && token !== chosen)
  check('a token of the attacker is let in', !(await isSignedIn(client, chosen)))
}

const tryForgeries = async ({ client, world, check, tried }: Attack, token: string) => {
  const changed = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
  const tokens = [
    forgedToken(),
    changed,
    token.slice(0, 42),
    `${token}A`,
    token.toUpperCase(),
    '',
    'admin',
    '../../x',
    '*',
    world.keys.admin,
    '__proto__',
  ]
  for (const each of tokens) {
    tried()
    check(`the token ${each.slice(0, 8)}… is let in`, !(await isSignedIn(client, each)))
  }
  const two = await client.send({
    path: '/admin/board/api/queues',
    headers: { cookie: `jobgate_board=${forgedToken()}; x${'jobgate_board'}=${token}` },
  })
  check(`a token under another name: ${two.status}`, two.status === 401)
  // A session is good for the dashboard and for nothing else.
  for (const path of ['/v1/jobs', '/admin/api-keys', '/admin/audit', '/admin/queues/health']) {
    tried()
    const { status } = await client.send({ path, headers: cookie(token) })
    check(`the session at ${path}: ${status}`, status === 401)
  }
}

const tryOtherKeys = async ({ client, world, check, tried }: Attack) => {
  const { red, redTypes, redQueues } = world.keys
  for (const key of [red.submit, red.read, red.manage, red.work, red.all, redTypes, redQueues, 'jg_wrong', '']) {
    tried()
    const answer = await login(client, key)
    check(
      `a login with a key of no operator: ${answer.status}`,
      (answer.status === 403 || answer.status === 401) && tokenOf(answer) === undefined,
    )
    check('the page repeats the key', key === '' || !answer.text.includes(key))
  }
}

/** With a key in place of a session it is no other. */
const tryBearers = async ({ client, world, check, tried }: Attack) => {
  const { red, redTypes, redQueues } = world.keys
  for (const key of [red.submit, red.read, red.manage, red.work, red.all, redTypes, redQueues]) {
    for (const path of ['', '/', '/queue/email', '/api/queues', '/api/queues/email/mail_x', '/static/js/main.js', '/static/favicon.ico']) {
      tried()
      const { status } = await client.send({ path: `/admin/board${path}`, key })
      check(`/admin/board${path} with a key of no operator: ${status}`, status === 401 || status === 403)
    }
    tried()
    const { status } = await client.send({ method: 'PUT', path: '/admin/board/api/queues/pause', key })
    check(`an act with a key of no operator: ${status}`, status === 401 || status === 403)
  }
}

const tryRedirects = async ({ client, world, check, tried }: Attack) => {
  for (const to of elsewhere) {
    tried()
    const { status, headers } = await login(client, world.keys.admin, ownPage, to)
    check(`a login to ${JSON.stringify(to)} leads to ${headers['location']}`, status === 303 && headers['location'] === '/admin/board')
  }
}

/** Sessions that have to end: by logout, with their key, and when the key expires. */
const tryEnds = async (attack: Attack) => {
  const { client, world, check, tried } = attack
  const endsInTime = async (what: string, token: string) => {
    tried()
    const until = Date.now() + endLimitMs
    while (await isSignedIn(client, token)) {
      if (Date.now() > until) return check(`a session is let in after ${what}`, false)
      await pause(100)
    }
  }
  const out = await signIn(client, world.keys.admin)
  await client.send({ method: 'POST', path: '/admin/board/logout', headers: { ...cookie(out), ...ownPage } })
  check('a session is let in after its logout', !(await isSignedIn(client, out)))

  const admin = { name: 'board', scopes: ['admin'] }
  const revoked = await issueKey(world.url, world.keys.admin, admin)
  const ofRevoked = await signIn(client, revoked.key)
  await client.send({ method: 'DELETE', path: `/admin/api-keys/${revoked.id}`, key: world.keys.admin })
  await endsInTime('its key was revoked', ofRevoked)

  const rotated = await issueKey(world.url, world.keys.admin, admin)
  const ofRotated = await signIn(client, rotated.key)
  await client.send({ method: 'POST', path: `/admin/api-keys/${rotated.id}/rotate`, key: world.keys.admin, body: { overlapMs: 0 } })
  await endsInTime('its key was rotated out', ofRotated)

  const short = await issueKey(world.url, world.keys.admin, { ...admin, expiresAt: new Date(Date.now() + expiresInMs).toISOString() })
  const ofShort = await signIn(client, short.key)
  await pause(expiresInMs)
  await endsInTime('its key expired', ofShort)
}

export const boardSession: Row = {
  id: 'board-session',
  title: 'Dashboard: fixed, forged, stolen and ended sessions, open redirects',
  matrix: 24,
  quick: true,
  gateway: writableBoard,
  async run(attack) {
    const token = await tryCookie(attack)
    await tryFixation(attack)
    await tryForgeries(attack, token)
    await tryOtherKeys(attack)
    await tryBearers(attack)
    await tryRedirects(attack)
    await tryEnds(attack)
    return '0 let in'
  },
}
