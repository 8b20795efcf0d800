// Writes openapi/openapi.json from the built gateway; with --check it only compares and fails when the file is stale.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled } from './ensure-installed.mjs'

const file = new URL('../openapi/openapi.json', import.meta.url)

/** The document as the gateway serves it with default settings. Nothing has to run: a Redis that is not there is no error. */
const generate = async () => {
  const [{ buildApp }, { createCatalog }, { loadConfig }, { openServices }, { createLogger }] = await Promise.all([
    import('../dist/app.js'),
    import('../dist/catalog.js'),
    import('../dist/config.js'),
    import('../dist/services.js'),
    import('../dist/telemetry/logger.js'),
  ])
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const config = loadConfig(
    { REDIS_URL: `unix://${join(dataDir, 'none.sock')}`, ADMIN_API_KEY: 'only-for-the-document', DATA_DIR: dataDir },
    dataDir,
  )
  const services = await openServices({ config, catalog: createCatalog(), log: createLogger({ level: 'silent' }) })
  try {
    const app = await buildApp(services)
    await app.ready()
    const document = app.swagger()
    await app.close()
    return `${JSON.stringify(document, null, 2)}\n`
  } finally {
    await services.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

await ensureInstalled({ build: true })
const text = await generate()
if (!process.argv.includes('--check')) {
  await writeFile(file, text)
} else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
  console.error('openapi/openapi.json is stale: run `npm run openapi` and commit it')
  process.exitCode = 1
}
