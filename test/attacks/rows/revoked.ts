// Row 25: keys that were revoked, have expired or were rotated out, on two instances, with imports, streams and waits open.

import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { issueKey } from '../keys.js'
import { startGateway } from '../processes.js'
import type { Attack, Row } from '../row.js'
import { plainJob, submitDelayed } from '../submit.js'

/** Promised on every instance. */
const limitMs = 5000
/** Of the same on a busy machine. */
const quickLimitMs = 10_000
const lineMs = 200
/** When all is over, nothing has to happen for this long. */
const calmMs = 1500
const expiresInMs = 4000

const grant = { name: 'ends', tenant: 'red', scopes: ['jobs:submit', 'jobs:read', 'jobs:manage'] }
const line = `${JSON.stringify(plainJob('late', { delayMs: 3_600_000 }))}\n`

/** An import that gets a line now and then; `lastAccepted` is when one of them was. */
const openImport = ({ open }: Attack, port: number, key: string) => {
  const wire = open({ port })
  wire.send(
    `POST /v1/jobs/batch HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n`,
  )
  let sent = 0
  let accepted = 0
  let lastAccepted = 0
  wire.socket.on('data', (chunk: Buffer) => {
    const more = String(chunk).split('"status":202').length - 1
    accepted += more
    if (more > 0) lastAccepted = Date.now()
  })
  const timer = setInterval(() => {
    sent++
    wire.send(`${line.length.toString(16)}\r\n${line}\r\n`)
  }, lineMs)
  return {
    stop: () => clearInterval(timer),
    accepted: () => accepted,
    sent: () => sent,
    lastAccepted: () => lastAccepted,
    isOver: wire.isOver,
  }
}

/** An event stream; its connection may outlive it. */
const openStream = ({ open }: Attack, port: number, key: string, id: string) => {
  const wire = open({ port })
  wire.send(`GET /v1/jobs/${id}/events HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nAccept: text/event-stream\r\n\r\n`)
  let isOver = false
  void wire.next().then(() => {
    isOver = true
  })
  return { bytesRead: wire.bytesRead, isOver: () => isOver }
}

/** How long after `end` the key was last of use anywhere, and what was still open then. */
const measure = async (attack: Attack, ports: readonly number[], key: string, end: () => Promise<unknown>, deadlineMs: number) => {
  const id = await submitDelayed(attack, attack.world.keys.red.all, 'revoked')
  const imports = ports.map((port) => openImport(attack, port, key))
  const streams = ports.map((port) => openStream(attack, port, key, id))
  await pause(lineMs * 5)
  attack.check(
    'an import or a stream did not open',
    imports.every((each) => each.accepted() > 0) && streams.every((wire) => wire.bytesRead() > 0),
  )
  await end()
  const endedAt = Date.now()
  let lastUse = 0
  const isLetIn = async (port: number) => {
    const wire = attack.open({ port, from: '127.0.0.9' })
    wire.send(`GET /v1/jobs?limit=1 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer ${key}\r\nConnection: close\r\n\r\n`)
    const answer = await wire.next()
    return answer?.status === 200
  }
  const isOver = () => [...imports, ...streams].every((each) => each.isOver())
  while (Date.now() - endedAt < deadlineMs) {
    attack.tried(ports.length)
    if (isOver() && Date.now() - endedAt > lastUse + calmMs) break
    for (const port of ports) if (await isLetIn(port)) lastUse = Date.now() - endedAt
    await pause(lineMs)
  }
  for (const each of imports) each.stop()
  const lastLine = Math.max(0, ...imports.map((each) => each.lastAccepted() - endedAt))
  const left = streams.filter((wire) => !wire.isOver()).length
  return { lastUse, lastLine, left, importsLeft: imports.filter((each) => !each.isOver()).length }
}

const judge = (
  { check }: Attack,
  what: string,
  limit: number,
  { lastUse, lastLine, left, importsLeft }: Awaited<ReturnType<typeof measure>>,
) => {
  check(`a key ${what} was let in ${lastUse} ms later`, lastUse <= limit)
  check(`an import of a key ${what} took lines ${lastLine} ms later`, lastLine <= limit)
  check(`${left} event streams of a key ${what} are still open`, left === 0)
  check(`${importsLeft} imports of a key ${what} are still open`, importsLeft === 0)
  return Math.max(lastUse, lastLine)
}

export const revoked: Row = {
  id: 'revoked',
  title: 'Revoked, expired and rotated-out keys on two instances, with imports and streams open',
  matrix: 25,
  quick: true,
  async run(attack) {
    const { world, client, isQuick, after } = attack
    const limit = isQuick ? quickLimitMs : limitMs
    const other = await startGateway({
      dataDir: join(world.dataDir, 'other'),
      env: { REDIS_URL: `unix://${world.redisSocket}`, ADMIN_API_KEY: world.keys.admin },
      log: world.log,
      after,
    })
    const ports = [world.port, other.port]
    const admin = world.keys.admin
    const issue = (more: object = {}) => issueKey(world.url, admin, { ...grant, ...more })
    const [gone, rotated] = [await issue(), await issue()]
    const expiring = await issue({ expiresAt: new Date(Date.now() + expiresInMs).toISOString() })
    const ends = await Promise.all([
      measure(
        attack,
        ports,
        gone.key,
        () => client.send({ method: 'DELETE', path: `/admin/api-keys/${gone.id}`, key: admin }),
        limit + 1000,
      ),
      measure(
        attack,
        ports,
        rotated.key,
        () => client.send({ method: 'POST', path: `/admin/api-keys/${rotated.id}/rotate`, key: admin, body: { overlapMs: 0 } }),
        limit + 1000,
      ),
      measure(attack, ports, expiring.key, () => pause(expiresInMs), limit + 1000),
    ])
    const last = ['revoked', 'rotated out', 'expired'].map((what, n) => judge(attack, what, limit, ends[n] as (typeof ends)[number]))
    return `of use for ${last.join(', ')} ms after their end`
  },
}
