// What keeps gateways and workers from starting: wrong settings, told in one line, with nothing left running.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import t from 'tap'
import { createCatalog } from '../src/catalog.js'
import { loadConfig } from '../src/config.js'
import { openServices, openWorkers } from '../src/services.js'

const log = pino({ level: 'silent' })
const catalog = createCatalog([])

t.test('an integration that cannot be opened stops the start', async (t) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dataDir, { recursive: true, force: true }))
  const open = async (env: Record<string, string>) =>
    openServices({ config: loadConfig({ DATA_DIR: dataDir, ADMIN_API_KEY: 'admin-key-of-the-tests', ...env }, dataDir), catalog, log })
  const wrong = { SMTP_URL: 'smtp://127.0.0.1:1', MAIL_FROM: 'nobody' }

  await t.rejects(open({ ...wrong, WORKERS_ENABLED: 'true' }), { message: /^Configuration: MAIL_FROM/ })
  await t.rejects(open({ EMAIL_TEMPLATE_DIR: join(dataDir, 'nowhere') }), { message: /^EMAIL_TEMPLATE_DIR/ })
  const gateway = await open(wrong)
  t.after(() => gateway.close())
  t.pass('a gateway without workers sends no e-mails; the Redis of the attempts before is gone')

  const url = `unix://${gateway.redis.socketPath}`
  const workers = openWorkers({ config: loadConfig({ ...wrong, REDIS_URL: url }, dataDir), catalog, log })
  await t.rejects(workers, { message: /^Configuration: MAIL_FROM/ })
})
