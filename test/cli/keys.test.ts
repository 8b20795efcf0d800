// The command `jobgate keys` on an embedded Redis: beside a running gateway, and alone.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { createApiKeyRecords } from '../../src/auth/api-key-records.js'
import { toDigest, toKeyId } from '../../src/auth/key-format.js'
import { runKeys } from '../../src/cli/keys.js'
import { loadConfig } from '../../src/config/config.js'
import { createAudit } from '../../src/operations/audit.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { startRedis } from '../helpers/start-redis.js'

const log = pino({ level: 'silent' })

/** Runs the command; `out` is what it printed. */
const run = async (env: Record<string, string>, ...args: string[]) => {
  const lines: string[] = []
  const code = await runKeys(args, { config: loadConfig(env, tmpdir()), log, print: (line) => lines.push(line) })
  return { code, out: lines.join('\n') }
}

t.test('issue, list and revoke beside a running gateway', async (t) => {
  const { redis, dataDir, settings } = await startRedis(t)
  const env = { DATA_DIR: dataDir }
  const issued = await run(
    env,
    ...['issue', '--name', 'Night shift', '--scope', 'jobs:submit', '--scope', 'jobs:read', '--tenant', 'night'],
    ...['--queue', 'email', '--type', 'send-sms', '--rate-limit', '9', '--expires-at', '2999-01-01T00:00:00Z'],
  )
  t.equal(issued.code, 0)
  const key = issued.out.split('\n')[0] ?? ''
  const id = toKeyId(key) ?? ''
  const record = await createApiKeyRecords({ redis: redis.connect('worker'), keys: createKeys(settings.prefix), log }).read(id)
  t.match(record, {
    name: 'Night shift',
    tenant: 'night',
    scopes: ['jobs:submit', 'jobs:read'],
    types: ['send-sms'],
    queues: ['email'],
    rateLimitMax: 9,
    expiresAt: Date.parse('2999-01-01T00:00:00Z'),
    digest: toDigest(key),
  })
  t.same(await run(env, 'list'), { code: 0, out: `${id}\tNight shift\tnight\tjobs:submit,jobs:read\texpires 2999-01-01T00:00:00.000Z` })
  t.equal((await run(env, 'revoke', id)).code, 0)
  t.equal((await run(env, 'revoke', id)).code, 1, 'there is none left')
  t.same(await run(env, 'list'), { code: 0, out: '' })

  const { items } = await createAudit({ redis: redis.connect('worker'), keys: createKeys(settings.prefix), log }).list({ limit: 10 })
  t.match(items, [
    { act: 'api-key.revoked', by: 'command-line', details: { keyId: id } },
    { act: 'api-key.issued', by: 'command-line', details: { keyId: id, name: 'Night shift', tenant: 'night', queues: ['email'] } },
  ])
  t.equal(items.length, 2, 'what changed nothing is not noted')
  t.notOk(JSON.stringify(items).includes(key.slice(-43)))
})

t.test('without a gateway, on the data that are there', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const { code } = await run({ DATA_DIR: dataDir }, 'issue', '--name', 'x', '--scope', 'work')
  t.equal(code, 0)
  t.match(await run({ DATA_DIR: dataDir }, 'list'), { code: 0, out: /\tx\tdefault\twork\tnever expires$/ })
})

t.test('wrong arguments: usage, code 2, and Redis is not asked', async (t) => {
  for (const [args, told] of [
    [[], /Missing subcommand/],
    [['frobnicate'], /Unknown subcommand/],
    [['issue'], /^(name|scopes)/],
    [['issue', '--name', 'x'], /^scopes/],
    [['issue', '--name', 'x', '--scope', 'fly'], /^scopes\/0/],
    [['issue', '--name', 'x', '--scope', 'work', '--rate-limit', 'many'], /^rateLimitMax/],
    [['issue', '--name', 'x', '--scope', 'work', '--expires-at', '2001-01-01T00:00:00Z'], /^expiresAt/],
    [['issue', '--name', 'x', '--scope', 'work', '--expires-at', 'soon'], /^expiresAt/],
    [['issue', '--secret', 'x'], /secret/],
    [['list', 'all'], /no arguments/],
    [['revoke'], /one ID/],
  ] as const) {
    const { code, out } = await run({ REDIS_URL: 'unix:///nowhere.sock' }, ...args)
    t.equal(code, 2, args.join(' '))
    t.match(out, told)
    t.match(out, /Usage:/)
  }
})

t.test('an unreachable Redis is told in one line', async (t) => {
  await t.rejects(run({ REDIS_URL: 'unix:///nowhere.sock' }, 'list'), { message: 'cannot connect to Redis' })
})
