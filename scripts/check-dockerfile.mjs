// Carries out the Dockerfile without a Docker engine: each stage in a clean folder, its COPY and RUN as written,
// then the image's own command under its own user, its health check, and a stop by signal.
// What it cannot see: the base image. Run it under the Node version that the Dockerfile names.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
const require = (condition, problem) => {
  if (!condition) throw new Error(problem)
}

/** The instructions of a Dockerfile, continuation lines joined, comments dropped. */
const parse = (text) =>
  text
    .replace(/^\s*#.*\n/gm, '')
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name, rest] = /^(\w+)\s+(.*)$/.exec(line.trim())
      return { name: name.toUpperCase(), rest }
    })

/** Exec form, or null for the shell form. */
const execForm = (text) => (text.startsWith('[') ? JSON.parse(text) : null)

const splitFlags = (rest) => {
  const words = rest.split(/\s+/)
  const flags = Object.fromEntries(words.filter((word) => word.startsWith('--')).map((word) => word.slice(2).split('=')))
  return { flags, words: words.filter((word) => !word.startsWith('--')) }
}

/** `.dockerignore` here is an allow-list: `*`, then `!name` for each entry that may be copied. */
const readAllowList = () => {
  const lines = readFileSync(join(root, '.dockerignore'), 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
  require(lines[0] === '*' && lines.slice(1).every((line) => line.startsWith('!')), '.dockerignore is not an allowlist')
  return new Set(lines.slice(1).map((line) => line.slice(1)))
}

const chownAll = (path, uid, gid) => {
  chownSync(path, uid, gid)
  if (statSync(path).isDirectory()) for (const name of readdirSync(path)) chownAll(join(path, name), uid, gid)
}

const isRoot = process.getuid?.() === 0
const nodeFirst = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env.PATH}` }

/** Where a path of the stage lies on this machine. */
const inside = (stage, path) => join(stage.folder, resolve('/', stage.workdir, path))

const copy = (stage, stages, allowed, rest) => {
  const { flags, words } = splitFlags(rest)
  const to = words.at(-1)
  for (const from of words.slice(0, -1)) {
    require(flags.from !== undefined || allowed.has(from), `COPY ${from}: excluded by .dockerignore`)
    const source = flags.from === undefined ? join(root, from) : inside(stages.get(flags.from), from)
    require(existsSync(source), `COPY ${from}: not found`)
    // A folder gives its content; a file goes into a target that ends with a slash.
    const target = inside(stage, statSync(source).isFile() && to.endsWith('/') ? join(to, basename(from)) : to)
    cpSync(source, target, { recursive: true, preserveTimestamps: true })
    if (flags.chown && isRoot) chownAll(target, ...flags.chown.split(':').map(Number))
  }
}

/** Install scripts are code of others that would run with the rights of the build. */
const requireNoInstallScripts = (command) => {
  const isInstall = /\bnpm (?:ci|install|i|prune)\b/.test(command)
  require(!isInstall || command.includes('--ignore-scripts'), `RUN ${command}: without --ignore-scripts`)
}

const run = (stage, command) => {
  requireNoInstallScripts(command)
  const { status } = spawnSync('sh', ['-c', command], {
    cwd: inside(stage, '.'),
    env: { ...nodeFirst, ...stage.env },
    stdio: ['ignore', 2, 2],
  })
  require(status === 0, `RUN ${command}: status ${status}`)
}

/** Every file below a folder, itself included; links are not followed. */
const listAll = (path) => {
  const entry = lstatSync(path)
  return [{ path, entry }, ...(entry.isDirectory() ? readdirSync(path).flatMap((name) => listAll(join(path, name))) : [])]
}

/** Whoever takes over the process must find nothing to change but its data: not the program that runs next. */
const requireReadOnly = (stage) => {
  const [uid, gid] = stage.user.split(':').map(Number)
  const data = inside(stage, stage.env.DATA_DIR)
  const isWritable = ({ uid: owner, gid: group, mode }) =>
    (mode & 0o002) !== 0 || (owner === uid && (mode & 0o200) !== 0) || (group === gid && (mode & 0o020) !== 0)
  const found = listAll(inside(stage, '.')).filter(({ path, entry }) => path !== data && !entry.isSymbolicLink() && isWritable(entry))
  require(found.length === 0, `USER ${stage.user} can write to ${found.slice(0, 5).map(({ path }) => path.slice(stage.folder.length))}`)
  console.log(`user ${uid} can write to ${stage.env.DATA_DIR} only`)
}

/** Carries out all stages; gives back the last. */
const build = (instructions, folder) => {
  const allowed = readAllowList()
  const stages = new Map()
  let stage
  for (const { name, rest } of instructions) {
    if (name !== 'RUN' || rest.length < 100) console.log(`${name} ${rest}`.slice(0, 160))
    if (name === 'FROM') {
      const [base, , alias] = rest.split(/\s+/)
      require(base.startsWith(`node:${process.versions.node.split('.')[0]}-`), `FROM ${base}: this is Node ${process.version}`)
      stage = { folder: join(folder, `stage-${stages.size}`), workdir: '/', env: {} }
      stages.set(alias ?? 'final', stage)
    } else if (name === 'WORKDIR') {
      stage.workdir = resolve('/', stage.workdir, rest)
      mkdirSync(inside(stage, '.'), { recursive: true })
    } else if (name === 'ENV') {
      for (const pair of rest.split(/\s+/)) stage.env[pair.split('=')[0]] = pair.split('=')[1]
    } else if (name === 'COPY') copy(stage, stages, allowed, rest)
    else if (name === 'RUN') run(stage, rest)
    else if (name === 'USER') stage.user = rest
    else if (name === 'HEALTHCHECK') stage.health = execForm(rest.slice(rest.indexOf('CMD ') + 4))
    else if (name === 'ENTRYPOINT') stage.entrypoint = execForm(rest)
    else if (name === 'CMD') stage.command = execForm(rest)
    else require(['EXPOSE', 'STOPSIGNAL'].includes(name), `${name}: not supported by this check`)
  }
  return stages.get('final')
}

const until = async (what, deadlineMs, isDone) => {
  const end = Date.now() + deadlineMs
  while (!(await isDone())) {
    require(Date.now() < end, `${what}: not within ${deadlineMs} ms`)
    await pause(100)
  }
}

const freePort = async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  server.close()
  await once(server, 'close')
  return port
}

/** Starts the image's command as its user on a Redis of its own, asks its health check, and stops it. */
const start = async (stage, folder) => {
  const [uid, gid] = stage.user.split(':').map(Number)
  require(uid > 0 && gid > 0, `USER ${stage.user}: root, or not a number`)
  require(stage.entrypoint && stage.command && stage.health, 'ENTRYPOINT, CMD and HEALTHCHECK must be in exec form')
  const user = isRoot ? { uid, gid } : {}
  const redisPort = await freePort()
  const redis = spawn('redis-server', ['--port', redisPort, '--bind', '127.0.0.1', '--save', '', '--dir', folder], {
    stdio: ['ignore', 'ignore', 2],
  })
  const env = {
    ...nodeFirst,
    ...stage.env,
    HOME: '/nonexistent',
    HOST: '127.0.0.1',
    PORT: String(await freePort()),
    DATA_DIR: inside(stage, stage.env.DATA_DIR),
    REDIS_URL: `redis://127.0.0.1:${redisPort}`,
    SHUTDOWN_DRAIN_MS: '0',
  }
  const [file, ...args] = [...stage.entrypoint, ...stage.command]
  const gateway = spawn(file, args, { cwd: inside(stage, '.'), env, ...user, stdio: ['ignore', 2, 2] })
  const exited = once(gateway, 'exit')
  const isHealthy = () => spawnSync(stage.health[0], stage.health.slice(1), { env, ...user }).status === 0
  try {
    require(!isHealthy(), 'HEALTHCHECK: healthy before anything listens')
    await until('HEALTHCHECK', 30_000, async () => {
      require(gateway.exitCode === null &&
        gateway.signalCode === null, `the command exited: status ${gateway.exitCode}, ${gateway.signalCode}`)
      return isHealthy()
    })
    console.log(`healthy${isRoot ? ` as user ${uid}` : ''}`)
    gateway.kill('SIGTERM')
    const [status, signal] = await exited
    require(status === 0, `SIGTERM: exited with status ${status}, ${signal}`)
    console.log('stopped by SIGTERM with status 0')
  } finally {
    gateway.kill('SIGKILL')
    const gone = once(redis, 'exit')
    redis.kill('SIGKILL')
    await gone
  }
}

const folder = mkdtempSync(join(tmpdir(), 'jobgate-image-'))
try {
  // The image's user has to get in.
  chmodSync(folder, 0o755)
  const stage = build(parse(readFileSync(join(root, 'Dockerfile'), 'utf8')), folder)
  if (isRoot) requireReadOnly(stage)
  await start(stage, folder)
} catch (error) {
  console.error(`Dockerfile: ${error.message}`)
  process.exitCode = 1
} finally {
  rmSync(folder, { recursive: true, force: true })
}
