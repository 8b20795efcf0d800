// What keeps gateways and workers from starting: wrong settings, told in one line, with nothing left running.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { loadBuiltinConfig } from '../src/builtin/config.js'
import { openServices } from '../src/gateway.js'
import { createJobTypes } from '../src/types/registry.js'
import { openWorkers } from '../src/worker.js'

const log = pino({ level: 'silent' })
const jobTypes = createJobTypes([])

t.test('an integration that cannot be opened stops the start', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const open = async (env: Record<string, string>) =>
    openServices({
      config: loadBuiltinConfig({ DATA_DIR: dataDir, ADMIN_API_KEY: 'admin-key-of-the-tests', ...env }, dataDir),
      jobTypes,
      log,
    })
  const wrong = { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'nobody' }

  await t.rejects(open({ ...wrong, WORKERS_ENABLED: 'true' }), { message: /^Configuration: MAIL_FROM/ })
  await t.rejects(open({ EMAIL_TEMPLATE_DIR: join(dataDir, 'nowhere') }), { message: /^EMAIL_TEMPLATE_DIR/ })
  const gateway = await open(wrong)
  t.after(() => gateway.close())
  t.pass('a gateway without workers sends no e-mails; the Redis of the attempts before is gone')

  const url = `unix://${gateway.redis.socketPath}`
  const workers = openWorkers({ config: loadBuiltinConfig({ ...wrong, REDIS_URL: url }, dataDir), jobTypes, log })
  await t.rejects(workers, { message: /^Configuration: MAIL_FROM/ })
})

t.test('a setting of a form that cannot be used is told by its name, in one line', async (t) => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ REDIS_HOST: 'redis.example', REDIS_TLS_CA_FILE: '/no/such/file' }, /^Configuration: cannot read the file in REDIS_TLS_CA_FILE/],
    [{ REDIS_CLUSTER_NODES: 'a:99999' }, /^Configuration: REDIS_CLUSTER_NODES is a comma-separated list of host:port/],
    [{ REDIS_SENTINELS: 'a:0' }, /^Configuration: REDIS_SENTINELS is/],
    ...['proxy', '10.0.0.0/33', '10.0.0.0/8/8', '::1/129', '10.0.0'].map((entry): [Record<string, string>, RegExp] => [
      { TRUST_PROXY: `127.0.0.1,${entry}` },
      /^Configuration: TRUST_PROXY is a comma-separated list of addresses/,
    ]),
  ]
  for (const [env, message] of cases) t.throws(() => loadBuiltinConfig(env, tmpdir()), { message }, JSON.stringify(env))
  t.same(loadBuiltinConfig({ TRUST_PROXY: 'loopback, 10.0.0.0/8, ::1' }, tmpdir()).http.trustProxy, ['loopback', '10.0.0.0/8', '::1'])
})
