// Starts the built gateway and worker as operators do, with the defaults of the product, and reads all that they log.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { childEnvironment } from '../helpers/child-environment.js'
import { root } from '../helpers/source-files.js'
import type { LogWatch } from './log-watch.js'

const main = join(root, 'dist/main.js')
const collectGarbage = new URL('collect-garbage.mjs', import.meta.url).href
const readyDeadlineMs = 60_000

export interface ProcessSettings {
  readonly dataDir: string
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Of the process: `ulimit -n`. */
  readonly descriptorsMax?: number | undefined
  readonly log: LogWatch
  after(undo: () => unknown): void
}

/** Runs until the end of the scope, in `dataDir`, where no `.env` lies. */
const start = (command: 'serve' | 'worker', { dataDir, env = {}, descriptorsMax, log, after }: ProcessSettings) => {
  mkdirSync(dataDir, { recursive: true })
  const node = [process.execPath, '--import', collectGarbage, main, command]
  // `exec`: the process is the gateway, with the id that spawn knows.
  const [file, ...args] = descriptorsMax === undefined ? node : ['bash', '-c', `ulimit -n ${descriptorsMax}; exec "$0" "$@"`, ...node]
  const child = spawn(file as string, args, {
    cwd: dataDir,
    env: { ...childEnvironment(), HOST: '127.0.0.1', PORT: '0', DATA_DIR: dataDir, SHUTDOWN_DRAIN_MS: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  createInterface({ input: child.stdout }).on('line', (line) => log.add(line))
  createInterface({ input: child.stderr }).on('line', (line) => log.add(line, false))
  const exited = once(child, 'exit')
  after(async () => {
    child.kill('SIGKILL')
    await exited
  })
  const died = exited.then(([code, signal]) => {
    throw new Error(`the ${command} process has ended with ${signal ?? code}:\n${log.tail().join('\n')}`)
  })
  // Who waits for it is told; it is no failure when the row ends.
  died.catch(() => {})
  return { pid: child.pid as number, died, isAlive: () => child.exitCode === null && child.signalCode === null }
}

/** A gateway on its own Redis in `dataDir`, unless `env` names one. Resolves once it is ready. */
export const startGateway = async (settings: ProcessSettings) => {
  const child = start('serve', settings)
  const deadline = AbortSignal.timeout(readyDeadlineMs)
  const address = await Promise.race([settings.log.find(({ msg }) => msg === 'listening', deadline), child.died])
  const url = String(address['address'])
  for (;;) {
    const answer = await fetch(`${url}/readyz`, { headers: { connection: 'close' }, signal: deadline })
    await answer.body?.cancel()
    if (answer.ok) return { ...child, url, port: Number(new URL(url).port) }
  }
}

/** A worker on the Redis of the gateway in the same `dataDir`. */
export const startWorker = (settings: ProcessSettings) => start('worker', settings)

export type GatewayProcess = Awaited<ReturnType<typeof startGateway>>
