// Runs the Redis that keeps the jobs when none is configured: a child server with a private socket and an append-only file.

import { execFile, spawn } from 'node:child_process'
import { constants } from 'node:fs'
import { access, mkdir, open, readFile, rename } from 'node:fs/promises'
import { connect as connectSocket } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Logger } from 'pino'
import { claimDataDir, findOwner, requireShortSocketPath } from './data-dir-lock.js'

const run = promisify(execFile)

/** A new server binds its socket within milliseconds; longer means that it hangs. Loading data does not count. */
const startTimeoutMs = 30_000
/** A server that was asked to end writes its file and goes; after this it is killed. */
const stopTimeoutMs = 10_000
const pollMs = 10
const loadingNoticeMs = 2000

/**
 * Watches over the server: it ends when the pipe at 4 closes, which the kernel does even for a gateway killed with SIGKILL,
 * and passes on the server's exit code. Descriptor 3 tells others that a server of this run is still alive.
 * The signals are ignored only after the start, because an ignored SIGTERM would be inherited.
 */
const watchdog = `
"$@" </dev/null 4<&- &
server=$!
trap '' HUP INT TERM
{ read -r line <&4; kill -TERM "$server"; } 2>/dev/null &
guard=$!
exec 4<&-
wait "$server"
code=$?
kill -KILL "$guard" 2>/dev/null
exit "$code"
`

/**
 * Starts the embedded Redis on `dataDir` and resolves once it answers and its data are loaded.
 * In: `binary` is a path or a name in PATH; unset, redis-server or valkey-server is looked for.
 * `alwaysSync`: no write is answered before it is on the disk.
 * `share`: use the server that another process runs on this directory, start none, and leave it running on close.
 * Out: `died` settles when a server started here ends unasked; never for a shared one. `close` saves and stops.
 * Throws an Error with one readable line: no server program, directory in use, nothing to share, or what the server complained of.
 */
export const openEmbeddedRedis = async (options: {
  dataDir: string
  binary?: string | undefined
  share: boolean
  alwaysSync?: boolean
  log: Logger
}) => {
  const { dataDir, log } = options
  if (options.share) return adopt(dataDir, log)
  const binary = await findBinary(options.binary)
  const dir = join(dataDir, 'redis')
  await mkdir(dir, { recursive: true, mode: 0o700 })
  const socketPath = await requireShortSocketPath(dir)
  const claim = await claimDataDir({ dataDir, dir, socketPath, makeFifos })
  try {
    const appendfsync = options.alwaysSync ? 'always' : 'everysec'
    const server = await startServer({ binary, dir, socketPath, appendfsync, aliveFd: claim.serverFd })
    claim.handedOver()
    const loaded = await Promise.race([waitUntilAnswering(socketPath, log), server.ended])
    if (loaded !== 'answering') {
      await server.stop()
      const cause = typeof loaded === 'object' ? await describeEnd(dir, loaded.code) : `no response within ${startTimeoutMs} ms`
      throw new Error(`The embedded Redis did not start: ${cause} (log: ${join(dir, 'redis.log')})`)
    }
    log.info({ dir, pid: server.pid }, 'embedded redis started')
    return toHandle({ server, dir, socketPath, release: claim.release })
  } catch (error) {
    await claim.release()
    throw error
  }
}

type Server = Awaited<ReturnType<typeof startServer>>

const toHandle = ({
  server,
  dir,
  socketPath,
  release,
}: {
  server: Server
  dir: string
  socketPath: string
  release: () => Promise<void>
}) => {
  let closing: Promise<void> | undefined
  const died = new Promise<Error>((resolve) => {
    server.ended.then(async ({ code }) => {
      if (!closing) resolve(new Error(`The embedded Redis ended: ${await describeEnd(dir, code)}`))
    })
  })
  const close = () => {
    closing ??= server.stop().then(release)
    return closing
  }
  return { socketPath, died, close }
}

const adopt = async (dataDir: string, log: Logger) => {
  const owner = await findOwner(join(dataDir, 'redis'))
  if (!owner?.alive) {
    throw new Error(`No embedded Redis is running on ${dataDir}: start the gateway first, or set REDIS_URL to your own Redis`)
  }
  if ((await waitUntilAnswering(owner.socketPath, log)) === 'silent') {
    throw new Error(`The embedded Redis of process ${owner.pid} on ${dataDir} is not responding`)
  }
  log.info({ dataDir, pid: owner.pid }, "using the gateway's embedded redis")
  return { socketPath: owner.socketPath, died: new Promise<Error>(() => {}), close: async () => {} }
}

const findBinary = async (binary: string | undefined): Promise<string> => {
  if (binary?.includes('/')) {
    const usable = await access(binary, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (!usable) throw new Error(`REDIS_SERVER_BINARY: ${binary} is not an executable program`)
    return binary
  }
  const names = binary ? [binary] : ['redis-server', 'valkey-server']
  for (const name of names) {
    const found = await run('/bin/sh', ['-c', 'command -v "$1"', 'sh', name]).then(
      ({ stdout }) => stdout.trim(),
      () => '',
    )
    if (found) return found
  }
  throw new Error(
    `${names.join(' or ')} not found in PATH: install Redis 6.2 or newer (apt install redis-server, brew install redis), ` +
      'or set REDIS_SERVER_BINARY to its path, or REDIS_URL to a Redis that runs elsewhere',
  )
}

/** Node has no call for it. */
const makeFifos = async (paths: string[]) => {
  await run('mkfifo', ['-m', '600', ...paths])
}

const startServer = async ({
  binary,
  dir,
  socketPath,
  appendfsync,
  aliveFd,
}: {
  binary: string
  dir: string
  socketPath: string
  appendfsync: string
  aliveFd: number
}) => {
  const logPath = join(dir, 'redis.log')
  await rename(logPath, `${logPath}.old`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  const logFile = await open(logPath, 'a', 0o600)
  const directives = [
    ['--port', '0'],
    ['--unixsocket', socketPath],
    ['--unixsocketperm', '700'],
    ['--dir', dir],
    ['--appendonly', 'yes'],
    ['--appendfsync', appendfsync],
    ['--aof-load-truncated', 'yes'],
    ['--save', ''],
    ['--maxmemory-policy', 'noeviction'],
    ['--daemonize', 'no'],
    ['--logfile', ''],
  ]
  // A session of its own, so that Ctrl-C reaches the gateway alone. No environment: it holds secrets the server does not need.
  const child = spawn('/bin/sh', ['-c', watchdog, 'jobgate-redis', binary, ...directives.flat()], {
    cwd: dir,
    env: {},
    detached: true,
    stdio: ['ignore', logFile.fd, logFile.fd, aliveFd, 'pipe'],
  })
  let running = true
  const ended = new Promise<{ code: number | null }>((resolve) => {
    child.once('error', () => resolve({ code: null }))
    child.once('exit', (code) => resolve({ code }))
  }).finally(() => {
    running = false
    // Should the watchdog itself have been killed, the server has nobody left to end it.
    killGroup(child.pid, 'SIGTERM')
  })
  await logFile.close()
  const lifeline = child.stdio[4]
  const stop = async () => {
    lifeline?.destroy()
    const kill = setTimeout(() => killGroup(child.pid, 'SIGKILL'), stopTimeoutMs)
    if (running) await ended
    clearTimeout(kill)
  }
  return { pid: child.pid, ended, stop }
}

const killGroup = (pid: number | undefined, signal: NodeJS.Signals) => {
  if (pid === undefined) return
  try {
    process.kill(-pid, signal)
  } catch (error) {
    // macOS says EPERM of a group that has ended but was not yet waited for.
    if (!['ESRCH', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
}

/** Asks until the server has loaded its data, however long that takes; `silent` when nothing listens or answers for too long. */
const waitUntilAnswering = async (socketPath: string, log: Logger): Promise<'answering' | 'silent'> => {
  const started = Date.now()
  let answered = started
  let noticed = false
  while (Date.now() - answered < startTimeoutMs) {
    const reply = await ping(socketPath)
    if (reply.startsWith('+PONG')) return 'answering'
    if (reply.startsWith('-LOADING')) answered = Date.now()
    if (reply.startsWith('-LOADING') && !noticed && answered - started > loadingNoticeMs) {
      noticed = true
      log.info('embedded redis is loading its data')
    }
    await pause(pollMs)
  }
  return 'silent'
}

const ping = (socketPath: string) =>
  new Promise<string>((resolve) => {
    const socket = connectSocket(socketPath)
    const finish = (reply: string) => {
      socket.destroy()
      resolve(reply)
    }
    socket.setTimeout(1000, () => finish(''))
    socket.once('connect', () => socket.write('PING\r\n'))
    socket.once('data', (data) => finish(data.toString()))
    socket.once('error', () => finish(''))
    socket.once('close', () => finish(''))
  })

/** The last thing the server said, which names the cause, and how it ended: above 128 is a signal. */
const describeEnd = async (dir: string, code: number | null): Promise<string> => {
  const text = await readFile(join(dir, 'redis.log'), 'utf8').catch(() => '')
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  const words = last.replace(/^\d+:[A-Z] .* [.\-*#] /, '').slice(0, 300)
  const how = code === null ? 'killed' : code > 128 ? `signal ${code - 128}` : `exit code ${code}`
  return words ? `${words} (${how})` : how
}
