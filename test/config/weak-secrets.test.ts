// Secrets that anybody guesses: told apart from good ones, warned of on one machine, refused where others can reach the gateway.

import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { mintKey } from '../../src/auth/key-format.js'
import { loadBuiltinConfig } from '../../src/builtin/config.js'
import { findWeakness } from '../../src/config/weak-secrets.js'
import { buildTestApp, type TestApp } from '../helpers/build-test-app.js'

const good = 'Vx3q9LmT7cWz2RbN'

t.test('what is easy to guess', async (t) => {
  const trivial: [secret: string, reason: RegExp][] = [
    ['admin', /fewer than 16/],
    ['changeme', /fewer than 16/],
    ['secret', /fewer than 16/],
    ['Vx3q9LmT7cWz2Rb', /fewer than 16/],
    ['a'.repeat(64), /different/],
    ['abababababababababab', /different/],
    ['changemechangeme', /repeats/],
    ['Vx3q9LmTVx3q9LmTVx3q9LmT', /repeats/],
    ['abcdefghijklmnopqrst', /sequence/],
    ['0123456789012345', /sequence/],
    ['9876543210fedcba', /sequence/],
  ]
  for (const [secret, reason] of trivial) {
    t.match(findWeakness(secret), { reason, isTrivial: true }, secret)
    t.notOk(findWeakness(secret)?.reason.includes(secret), 'the secret is not repeated')
  }
  for (const secret of ['my-secret-admin-key', 'jobgate-admin-password-2026', 'test-admin-key-0123456789', 'Change.Me.Please.Now!'])
    t.match(findWeakness(secret), { isTrivial: false, reason: /common words/ }, secret)
})

t.test('what is not', async (t) => {
  t.equal(findWeakness(good), null)
  t.equal(findWeakness('correct horse battery staple'), null)
  t.equal(findWeakness('547bbcf7cdc1acc22f822234552326ee'), null, 'half of its neighbors follow each other, by chance')
  for (let round = 0; round < 1000; round++) {
    for (const secret of [mintKey('abcdefghijkl'), randomBytes(32).toString('base64'), randomBytes(16).toString('hex')]) {
      if (findWeakness(secret)) t.fail(secret)
    }
  }
})

const names = ['ADMIN_API_KEY', 'METRICS_TOKEN', 'TENCENT_MEETING_WEBHOOK_TOKEN', 'LARK_ENCRYPT_KEY', 'LARK_VERIFICATION_TOKEN']
const others = { LARK_ENCRYPT_KEY: good, LARK_VERIFICATION_TOKEN: good }
const load = (env: Record<string, string>) => loadBuiltinConfig({ ...others, ...env }, tmpdir())

t.test('where others can reach the gateway, it does not start with one', async (t) => {
  const exposures: Record<string, string>[] = [
    { HOST: '0.0.0.0' },
    { HOST: '::' },
    { HOST: '10.0.0.1' },
    { HOST: 'gate.example' },
    { TRUST_PROXY: '10.0.0.0/8' },
  ]
  for (const exposed of exposures) {
    for (const name of names) {
      const wrong = { message: `Configuration: ${name} is easy to guess: it repeats itself. Make one with \`openssl rand -base64 32\`.` }
      t.throws(() => load({ ...exposed, [name]: 'changemechangeme' }), wrong)
    }
    t.same(load({ ...exposed, ADMIN_API_KEY: good }).warnings, [])
    t.match(load({ ...exposed, ADMIN_API_KEY: 'my-secret-admin-key' }).warnings, [
      /^ADMIN_API_KEY is easy to guess: it consists of common words/,
    ])
  }
})

t.test('on one machine, it says so', async (t) => {
  for (const HOST of ['127.0.0.1', '127.1.2.3', '::1', 'localhost']) {
    t.match(load({ HOST, ADMIN_API_KEY: 'changeme' }).warnings, [/^ADMIN_API_KEY is easy to guess: .*openssl rand -base64 32/])
  }
  t.same(load({}).warnings, [], 'one that is generated is none')
})

t.test('the log warns, of a key in DATA_DIR too', async (t) => {
  const named = await buildTestApp(t, { env: { WORKERS_ENABLED: 'false', ADMIN_API_KEY: 'changeme' } })
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  await writeFile(join(dataDir, 'admin-api-key'), 'letmeinplease\n')
  const kept = await buildTestApp(t, { beside: named, env: { WORKERS_ENABLED: 'false', ADMIN_API_KEY: '', DATA_DIR: dataDir } })
  const warnings = ({ logs }: TestApp) => logs.filter((line) => line.includes('easy to guess'))
  t.match(warnings(named), [/"level":"warn".*ADMIN_API_KEY is easy to guess/])
  t.match(warnings(kept), [/"level":"warn".*admin-api-key is easy to guess/])
  for (const { logs } of [named, kept]) t.notMatch(logs.join(''), /changeme|letmein/)
})
