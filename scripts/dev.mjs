// `npm run dev`: the gateway with workers, straight from `src`, started again when a file changes, with readable logs.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { ensureInstalled } from './ensure-installed.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const bin = (name) => fileURLToPath(new URL(`../node_modules/.bin/${name}`, import.meta.url))

await ensureInstalled({ redis: true })

const env = { WORKERS_ENABLED: 'true', SHUTDOWN_DRAIN_MS: '0', ...process.env }
// Groups of their own: Ctrl-C reaches this script alone, and the log is readable to its last line.
const gateway = spawn(bin('tsx'), ['watch', 'src/main.ts', 'serve'], {
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
