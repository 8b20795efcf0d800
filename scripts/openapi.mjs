// Writes openapi/openapi.json and docs/job-types.md from the built gateway; with --check it only compares and fails when one is stale.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled } from './ensure-installed.mjs'
import { toJobTypesDocument } from './openapi/job-types-document.mjs'

/** Both documents by their paths, with default settings. Nothing has to run: a Redis that is not there is no error. */
const generate = async () => {
  const [
    { buildApp },
    { builtinTypes },
    { createJobTypes },
    { loadBuiltinConfig },
    { builtinErrors: jobErrors },
    { integrationVariables },
    { Line, Link },
    { EmailAddress },
    { openServices },
    { createLogger },
  ] = await Promise.all([
    import('../dist/app.js'),
    import('../dist/builtin/builtin.js'),
    import('../dist/types/registry.js'),
    import('../dist/builtin/config.js'),
    import('../dist/builtin/job-errors.js'),
    import('../dist/builtin/integrations.js'),
    import('../dist/types/schema-parts.js'),
    import('../dist/mail/schema.js'),
    import('../dist/gateway.js'),
    import('../dist/telemetry/logger.js'),
  ])
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const config = loadBuiltinConfig(
    { REDIS_URL: `unix://${join(dataDir, 'none.sock')}`, ADMIN_API_KEY: 'only-for-the-document', DATA_DIR: dataDir },
    dataDir,
  )
  const services = await openServices({ config, jobTypes: createJobTypes(builtinTypes), log: createLogger({ level: 'silent' }) })
  try {
    const app = await buildApp(services)
    await app.ready()
    const document = app.swagger()
    await app.close()
    const phrases = new Map([
      [EmailAddress.pattern, 'an e-mail address'],
      [Line(1).pattern, 'no control characters'],
      [Link().pattern, 'an http or https URL without a user name'],
    ])
    const { defaultAttempts: attempts, defaultBackoffMs: backoffMs } = config.queues
    return {
      'openapi/openapi.json': `${JSON.stringify(document, null, 2)}\n`,
      'docs/job-types.md': toJobTypesDocument({
        types: builtinTypes,
        jobErrors,
        defaults: { attempts, backoffMs },
        phrases,
        variables: integrationVariables,
      }),
    }
  } finally {
    await services.close()
    await rm(dataDir, { recursive: true, force: true })
  }
}

await ensureInstalled({ build: true })
for (const [path, text] of Object.entries(await generate())) {
  const file = new URL(`../${path}`, import.meta.url)
  if (!process.argv.includes('--check')) {
    await writeFile(file, text)
  } else if ((await readFile(file, 'utf8').catch(() => '')) !== text) {
    console.error(`${path} is stale: run \`npm run openapi\` and commit it`)
    process.exitCode = 1
  }
}
