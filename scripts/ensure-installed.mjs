#!/usr/bin/env node
// Makes a bare checkout runnable: npm packages, a Redis server, dist/. Plain Node, since nothing is installed yet.
// `node scripts/ensure-installed.mjs [--redis] [--build]`; what is there already costs a few milliseconds.

import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import {
  accessSync,
  constants,
  existsSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'

const root = fileURLToPath(new URL('..', import.meta.url))
/** An install by somebody else counts as under way while node_modules changed within this time. */
const foreignInstallMs = 20_000
const lockTimeoutMs = 600_000

/**
 * Installs what is missing; `redis` asks for a Redis server, `build` for an up-to-date dist/.
 * Throws an Error with one readable line when it cannot.
 */
export const ensureInstalled = async ({ redis = false, build = false } = {}) => {
  requireNodeVersion()
  if (needsPackages() || (redis && needsRedis()) || (build && needsBuild())) {
    await alone(async () => {
      // Asked again: another process may have done it while this one waited.
      if (needsPackages()) await installPackages()
      if (redis && needsRedis()) installRedis()
      if (build && needsBuild()) runBuild()
    })
  }
}

const readJson = (path) => JSON.parse(readFileSync(join(root, path), 'utf8'))
const say = (line) => console.error(`jobgate: ${line}`)

const requireNodeVersion = () => {
  const range = readJson('package.json').engines?.node
  if (!range || range.split('||').some((part) => satisfies(process.versions.node, part.trim()))) return
  throw new Error(`Node.js ${process.versions.node} is not supported: install ${range}`)
}

/** The two forms that `engines` uses: `^20.19.0` and `>=22.12.0`. */
const satisfies = (version, range) => {
  const [, operator, wanted] = /^(\^|>=)(\d+\.\d+\.\d+)$/.exec(range) ?? []
  if (!wanted) return true
  const have = version.split('.').map(Number)
  const want = wanted.split('.').map(Number)
  if (operator === '^' && have[0] !== want[0]) return false
  const at = have.findIndex((number, index) => number !== want[index])
  return at === -1 || have[at] > want[at]
}

/** npm notes what it installed in node_modules/.package-lock.json, as its last act. Times would lie after a checkout. */
const needsPackages = () => {
  if (!existsSync(join(root, 'package-lock.json'))) return false
  let installed
  try {
    installed = readJson('node_modules/.package-lock.json').packages
  } catch {
    return true
  }
  const wanted = Object.entries(readJson('package-lock.json').packages).filter(([path]) => path.startsWith('node_modules/'))
  // An image without development packages is complete as it is.
  const hasDev = Object.values(installed).some((each) => each.dev)
  return wanted.some(([path, { version, optional, devOptional, dev, link }]) => {
    if (link) return false
    const found = installed[path]
    if (found) return found.version !== version
    return !optional && !devOptional && (!dev || hasDev)
  })
}

const installPackages = async () => {
  await outwaitForeignInstall()
  if (!needsPackages()) return
  say('installing npm packages (npm ci)')
  npm(['ci', '--no-audit', '--no-fund', '--loglevel=error', '--include=dev', '--ignore-scripts'])
}

/** `npm ci` run by hand empties node_modules first; a second one would pull the files from under it. */
const outwaitForeignInstall = async () => {
  const modules = join(root, 'node_modules')
  const underWay = () => {
    try {
      return !existsSync(join(modules, '.package-lock.json')) && Date.now() - statSync(modules).mtimeMs < foreignInstallMs
    } catch {
      return false
    }
  }
  if (underWay()) say('waiting for another install')
  while (underWay()) await pause(500)
}

const npm = (args) => {
  // Under `npm test` this names the npm that runs; otherwise the one in PATH.
  const cli = process.env.npm_execpath
  const [file, first] = cli?.endsWith('npm-cli.js') ? [process.execPath, [cli]] : ['npm', []]
  run(file, [...first, ...args], `npm ${args[0] === 'run' ? args.slice(0, 2).join(' ') : args[0]}`)
}

/** Quiet when it succeeds; otherwise the first lines, which name the cause. */
const run = (file, args, name) => {
  const { status, error, stdout, stderr } = spawnSync(file, args, {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })
  if (status === 0) return
  const words = [stdout, stderr].map((text) => (text ?? '').trim()).filter(Boolean)
  for (const text of words) console.error(text.split('\n').slice(0, 15).join('\n'))
  throw new Error(`${name} failed${error ? `: ${error.message}` : ` with exit code ${status}`}`)
}

const inPath = (name) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })

/** The variables that choose a Redis which runs elsewhere, or a server program of the operator's own. */
const redisVariables = ['REDIS_SERVER_BINARY', 'REDIS_URL', 'REDIS_HOST', 'REDIS_CLUSTER_NODES', 'REDIS_SENTINELS']

const needsRedis = () => {
  if (inPath('redis-server') || inPath('valkey-server')) return false
  const dotEnv = existsSync(join(root, '.env')) ? parseEnv(readFileSync(join(root, '.env'), 'utf8')) : {}
  return !redisVariables.some((name) => [name, `${name}_FILE`].some((each) => process.env[each] || dotEnv[each]))
}

/** Newer distributions carry Valkey in the place of Redis: tried in order, after `before`. */
const packageManagers = [
  {
    program: 'apt-get',
    before: ['update', '-qq'],
    install: ['-o', 'DPkg::Lock::Timeout=120', 'install', '-y', '-qq', '--no-install-recommends'],
    packages: ['redis-server', 'valkey-server'],
  },
  { program: 'dnf', install: ['install', '-y', '-q'], packages: ['redis', 'valkey'] },
  { program: 'apk', install: ['add', '--no-cache', '-q'], packages: ['redis', 'valkey'] },
  { program: 'brew', install: ['install', '-q'], packages: ['redis'], asUser: true },
]

const installRedis = () => {
  const remedy = 'install Redis 6.2 or newer, or set REDIS_SERVER_BINARY to redis-server or valkey-server, or REDIS_URL to a running Redis'
  const manager = packageManagers.find(({ program }) => inPath(program))
  if (!manager) throw new Error(`no redis-server or valkey-server in PATH: ${remedy}`)
  const { program, before, install, packages, asUser } = manager
  const prefix = asUser || process.getuid?.() === 0 ? [] : ['sudo', '-n']
  if (prefix.length > 0 && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status !== 0) {
    throw new Error(`no redis-server or valkey-server in PATH: run \`sudo ${program} install ${packages[0]}\`, or ${remedy}`)
  }
  say(`installing a Redis server (${program} install ${packages[0]})`)
  const call = (args) => {
    const [file, ...rest] = [...prefix, program, ...args]
    run(file, rest, `${program} ${args.join(' ')}`)
  }
  const problems = []
  try {
    if (before) call(before)
  } catch (error) {
    // Outdated lists may still do.
    problems.push(error.message)
  }
  for (const name of packages) {
    try {
      call([...install, name])
      if (!needsRedis()) return
    } catch (error) {
      problems.push(error.message)
    }
  }
  throw new Error(`no Redis server could be installed (${problems.join('; ')}): ${remedy}`)
}

const newest = (path) => {
  const entry = statSync(path)
  if (!entry.isDirectory()) return entry.mtimeMs
  return Math.max(0, ...readdirSync(path).map((name) => newest(join(path, name))))
}

const built = join(root, 'dist', 'main.js')

const needsBuild = () => {
  const sources = ['src', 'tsconfig.json', 'tsconfig.types.json'].map((name) => join(root, name))
  if (!sources.every((path) => existsSync(path))) return false
  return !existsSync(built) || statSync(built).mtimeMs < Math.max(...sources.map(newest))
}

const runBuild = () => {
  say('building dist/ (npm run build)')
  try {
    npm(['run', 'build', '--silent'])
  } catch (error) {
    // tsc writes its output also when types are wrong: the next start must not take that for a build.
    if (existsSync(built)) utimesSync(built, 0, 0)
    throw error
  }
}

/** One process at a time per checkout; a lock whose holder has died is taken over. */
const alone = async (work) => {
  const path = join(tmpdir(), `jobgate-install-${createHash('sha256').update(root).digest('hex').slice(0, 16)}.lock`)
  const deadline = Date.now() + lockTimeoutMs
  let told = false
  while (!takeLock(path)) {
    if (Date.now() > deadline) throw new Error(`another install does not finish; if none is running, remove ${path}`)
    if (!told) say('waiting for another install')
    told = true
    await pause(200)
  }
  try {
    await work()
  } finally {
    rmSync(path, { force: true })
  }
}

const takeLock = (path) => {
  try {
    writeFileSync(path, `${process.pid}\n`, { flag: 'wx' })
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
  }
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    if (pid > 0) process.kill(pid, 0)
  } catch (error) {
    if (error.code === 'ESRCH') rmSync(path, { force: true })
  }
  return false
}

if (process.argv[1] && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const known = ['--redis', '--build']
  const unknown = process.argv.slice(2).find((argument) => !known.includes(argument))
  try {
    if (unknown) throw new Error(`unknown option ${unknown}: ensure-installed.mjs [--redis] [--build]`)
    await ensureInstalled({ redis: process.argv.includes('--redis'), build: process.argv.includes('--build') })
  } catch (error) {
    say(error.message)
    process.exitCode = 1
  }
}
