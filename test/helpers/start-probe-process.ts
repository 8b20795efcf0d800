// Starts gateways and workers with the probe job types as processes of their own, which a test can kill.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { childEnvironment } from './child-environment.js'
import { eventually } from './eventually.js'
import { createRunLog } from './run-log.js'
import { root } from './source-files.js'
import { patience, type TestScope } from './start-redis.js'

export const adminKey = 'admin-key-of-the-tests'

const readyDeadlineMs = 60_000

// By its address: a bare name would be looked for from the data directory.
const tsx = import.meta.resolve('tsx')

interface Options {
  readonly dataDir: string
  readonly env?: Record<string, string>
  /** Gives Redis no longer than the product does. */
  readonly isHasty?: boolean
}

/** A directory for the processes of one test, and what their handlers write into it; removed when the test ends. */
export const createDataDir = async (t: TestScope) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  // A Redis whose gateway was killed writes its file before it goes.
  t.after(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20 }))
  return { dataDir, runs: createRunLog(join(dataDir, 'runs.ndjson')) }
}

const start = async (t: TestScope, command: 'serve' | 'worker', { dataDir, env = {}, isHasty = false }: Options) => {
  const child = spawn(process.execPath, ['--import', tsx, join(root, 'test/helpers/probe-gateway.ts'), command], {
    cwd: dataDir,
    env: {
      ...childEnvironment(),
      TSX_TSCONFIG_PATH: join(root, 'tsconfig.json'),
      ADMIN_API_KEY: adminKey,
      DATA_DIR: dataDir,
      HOST: '127.0.0.1',
      PORT: '0',
      LOG_LEVEL: 'warn',
      RATE_LIMIT_MAX: '1000000',
      REDIS_PATIENCE: String(isHasty ? 1 : patience),
      RUN_LOG: join(dataDir, 'runs.ndjson'),
      SHUTDOWN_DRAIN_MS: '0',
      ...env,
    },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const output: string[] = []
  child.stderr.on('data', (chunk) => output.push(String(chunk)))
  const exited = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
  const stop = async (signal: NodeJS.Signals): Promise<number | null> => {
    child.kill(signal)
    const [code] = await exited
    return code
  }
  t.after(() => stop('SIGKILL'))

  const address = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.startsWith('{"address"')) resolve((JSON.parse(line) as { address: string }).address)
      else output.push(`${line}\n`)
    })
    exited.then(() => reject(new Error(`the ${command} process has ended:\n${output.join('')}`)))
  })
  return {
    pid: child.pid as number,
    url: await address,
    /** What it logged. */
    output,
    exited: exited.then(([code]) => code),
    kill: () => stop('SIGKILL'),
    /** SIGTERM; resolves with the exit code. */
    close: () => stop('SIGTERM'),
    /** Lets blocked jobs with this label end well. */
    release: (label: string) => child.stdin.write(`${label}\n`),
  }
}

/** Killed when the test ends. Resolves when it listens; without REDIS_URL it runs an embedded Redis on `dataDir`. */
export const startUnreadyProbeGateway = (t: TestScope, options: Options) => start(t, 'serve', options)

/** The same, resolved when it is ready. */
export const startProbeGateway = async (t: TestScope, options: Options) => {
  const gateway = await startUnreadyProbeGateway(t, options)
  await untilReady(gateway.url)
  return gateway
}

export const untilReady = (url: string) =>
  eventually(
    `${url} is ready`,
    async () => {
      const answer = await fetch(`${url}/readyz`)
      await answer.body?.cancel()
      return answer.ok
    },
    readyDeadlineMs,
  )

/** For a Redis that was away for less than a second: `/readyz` may still repeat what it found before. */
export const untilReading = (url: string) =>
  eventually(
    `${url} reads jobs`,
    async () => {
      const answer = await fetch(`${url}/v1/jobs?limit=1`, { headers: { authorization: `Bearer ${adminKey}` } })
      await answer.body?.cancel()
      return answer.ok
    },
    readyDeadlineMs,
  )

/** Workers alone, on the Redis of a gateway on the same `dataDir` or on REDIS_URL. */
export const startProbeWorker = (t: TestScope, options: Options) => start(t, 'worker', options)

export type ProbeProcess = Awaited<ReturnType<typeof startProbeGateway>>
