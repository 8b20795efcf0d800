// `npm run dev`: the gateway with workers, straight from `src`, with readable logs. It starts again when a file changes, there or in
// JOB_TYPES_DIR.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))

await ensureInstalled({ redis: true })

/** What the environment or `.env` says. */
const readJobTypesDir = () => {
  try {
    return process.env.JOB_TYPES_DIR ?? parseEnv(readFileSync(join(root, '.env'), 'utf8')).JOB_TYPES_DIR
  } catch (error) {
    if (error.code === 'ENOENT') return undefined
    throw error
  }
}

const jobTypesDir = readJobTypesDir()
// New files too: what is imported already, tsx watches by itself.
const watched = jobTypesDir ? ['--include', join(resolve(root, jobTypesDir), '**/*')] : []
const env = { WORKERS_ENABLED: 'true', SHUTDOWN_DRAIN_MS: '0', ...process.env }
// Groups of their own: Ctrl-C reaches this script alone, and the log is readable to its last line.
const gateway = spawn(bin('tsx'), ['watch', ...watched, 'src/main.ts', 'serve'], {
  cwd: root,
  env,
  detached: true,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const pretty = spawn(bin('pino-pretty'), [], { detached: true, stdio: ['pipe', 'inherit', 'inherit'] })
gateway.stdout.pipe(pretty.stdin)
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => gateway.kill('SIGTERM'))

const [status] = await once(gateway, 'exit')
process.exitCode = status ?? 0
