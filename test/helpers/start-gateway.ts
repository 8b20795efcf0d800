// Starts the built gateway as its users do: a process of its own, on its own Redis, on a free port.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ensureInstalled } from '../../scripts/ensure-installed.mjs'
import { eventually } from './eventually.js'
import { root } from './source-files.js'

const freePort = async (): Promise<number> => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/**
 * `env` adds to the environment. Resolves when the gateway is ready.
 * `key` is the one it minted; `output` is all that it has written; `close` stops it with SIGTERM and gives its exit status.
 */
export const startGateway = async (env: Record<string, string> = {}) => {
  await ensureInstalled({ build: true })
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const port = await freePort()
  const child = spawn(process.execPath, ['dist/main.js', 'serve'], {
    cwd: root,
    env: { ...process.env, LOG_LEVEL: 'warn', HOST: '127.0.0.1', PORT: String(port), DATA_DIR: dataDir, SHUTDOWN_DRAIN_MS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => lines.push(String(chunk)))
  const exited = once(child, 'exit')
  const url = `http://127.0.0.1:${port}`

  const close = async (): Promise<number | null> => {
    child.kill('SIGTERM')
    const [status] = await exited
    await rm(dataDir, { recursive: true, force: true })
    return status
  }
  const isReady = async () => {
    if (child.exitCode !== null || child.signalCode !== null) throw new Error(`the gateway has stopped:\n${lines.join('')}`)
    const answer = await fetch(`${url}/readyz`).catch(() => null)
    await answer?.body?.cancel()
    return answer?.ok === true
  }
  try {
    await eventually('the gateway is ready', isReady)
    const key = (await readFile(join(dataDir, 'admin-api-key'), 'utf8')).trim()
    return { url, port, key, close, output: () => lines.join(''), isAlive: () => child.exitCode === null && child.signalCode === null }
  } catch (error) {
    await close()
    throw error
  }
}
