// The embedded Redis: what it keeps, whom it lets in, and how it ends.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { appendFile, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import pino from 'pino'
import t from 'tap'
import { openEmbeddedRedis } from '../../src/redis/embedded.js'
import { childEnvironment } from '../helpers/child-environment.js'
import { eventually } from '../helpers/eventually.js'
import type { TestScope } from '../helpers/start-redis.js'

const noProc = existsSync('/proc/self/stat') ? false : '/proc is needed to look at other processes'

const log = pino({ level: 'silent' })

type Opened = Awaited<ReturnType<typeof openEmbeddedRedis>>

const makeDir = async (t: TestScope) => {
  const dir = await mkdtemp(join(tmpdir(), 'jge-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

const open = async (t: TestScope, options: { dataDir: string; share?: boolean; binary?: string }): Promise<Opened> => {
  const redis = await openEmbeddedRedis({ share: false, ...options, log })
  t.after(() => redis.close())
  return redis
}

const withClient = async <T>(socketPath: string, use: (client: Redis) => Promise<T>): Promise<T> => {
  const client = new Redis({ path: socketPath, retryStrategy: () => null })
  client.on('error', () => {})
  try {
    return await use(client)
  } finally {
    client.disconnect()
  }
}

const serverPid = (socketPath: string) =>
  withClient(socketPath, async (client) => Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1]))

const isAlive = (pid: number) => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Another process on the same directory; resolves with what it told first. */
const startChild = async (t: TestScope, args: string[], env: NodeJS.ProcessEnv = {}) => {
  const file = fileURLToPath(new URL('./embedded-child.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', file, ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...childEnvironment(), ...env },
  })
  t.after(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const told = async () => JSON.parse((await lines.next()).value ?? '{}') as { socketPath?: string; error?: string; closed?: boolean }
  return { child, told, first: await told() }
}

const killed = async (child: ChildProcess, signal: NodeJS.Signals) => {
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

t.test('data survive a close, and nothing of the server is left behind', async (t) => {
  const dataDir = await makeDir(t)
  const first = await open(t, { dataDir })
  const pid = await serverPid(first.socketPath)
  await withClient(first.socketPath, (client) => client.set('kept', 'yes'))
  await first.close()
  await first.close()
  t.notOk(isAlive(pid), 'the server has ended')
  t.notOk(existsSync(first.socketPath), 'the socket is gone')

  const second = await open(t, { dataDir })
  t.equal(await withClient(second.socketPath, (client) => client.get('kept')), 'yes')
})

t.test('a torn last write does not keep it from starting', async (t) => {
  const dataDir = await makeDir(t)
  const first = await open(t, { dataDir })
  await withClient(first.socketPath, (client) => client.set('kept', 'yes'))
  await first.close()
  const files = join(dataDir, 'redis', 'appendonlydir')
  const incremental = (await readdir(files)).find((name) => name.endsWith('.incr.aof')) as string
  await appendFile(join(files, incremental), '*3\r\n$3\r\nSET\r\n$4\r\nto')

  const second = await open(t, { dataDir })
  t.equal(await withClient(second.socketPath, (client) => client.get('kept')), 'yes')
})

t.test('only this user gets in, over no network', async (t) => {
  const dataDir = await makeDir(t)
  const { socketPath } = await open(t, { dataDir })
  t.equal((await stat(join(dataDir, 'redis'))).mode & 0o777, 0o700)
  t.equal((await stat(socketPath)).mode & 0o077, 0)
  const settings = await withClient(socketPath, async (client) => {
    const names = ['port', 'appendonly', 'appendfsync', 'maxmemory-policy', 'save', 'aof-load-truncated']
    const pairs = await Promise.all(names.map((name) => client.config('GET', name)))
    return Object.fromEntries(pairs as [string, string][])
  })
  t.same(settings, {
    port: '0',
    appendonly: 'yes',
    appendfsync: 'everysec',
    'maxmemory-policy': 'noeviction',
    save: '',
    'aof-load-truncated': 'yes',
  })
})

t.test('a directory too long for a socket gets one elsewhere, at the same place every time', async (t) => {
  const dataDir = join(await makeDir(t), 'x'.repeat(120))
  const first = await open(t, { dataDir })
  t.ok(first.socketPath.length <= 100)
  const place = join(first.socketPath, '..')
  t.after(() => rm(place, { recursive: true, force: true }))
  t.equal((await stat(place)).mode & 0o777, 0o700)
  const shared = await open(t, { dataDir, share: true })
  t.equal(shared.socketPath, first.socketPath)
  await first.close()
  t.equal((await open(t, { dataDir })).socketPath, first.socketPath)
})

t.test('a second start in the same process is refused', async (t) => {
  const dataDir = await makeDir(t)
  const first = await open(t, { dataDir })
  const refusal = new RegExp(`^${dataDir} is in use by process ${process.pid}, .*REDIS_URL`)
  await t.rejects(openEmbeddedRedis({ dataDir, share: false, log }), { message: refusal })
  t.equal(await withClient(first.socketPath, (client) => client.ping()), 'PONG', 'and harms nothing')
})

t.test('of many simultaneous starts exactly one wins, also after a dead run', async (t) => {
  const dataDir = await makeDir(t)
  for (const round of [1, 2]) {
    const starts = await Promise.allSettled(Array.from({ length: 5 }, () => openEmbeddedRedis({ dataDir, share: false, log })))
    const winners = starts.filter((start) => start.status === 'fulfilled').map(({ value }) => value)
    t.equal(winners.length, 1, `round ${round}`)
    for (const start of starts) if (start.status === 'rejected') t.match(start.reason.message, /is in use by process/)
    await Promise.all(winners.map((winner) => winner.close()))
  }
})

t.test('another process is refused, or shares, and its close leaves the server running', async (t) => {
  const dataDir = await makeDir(t)
  const gateway = await open(t, { dataDir })
  const refused = await startChild(t, [dataDir])
  t.match(refused.first.error, /is in use by process \d+/)

  const worker = await startChild(t, [dataDir, 'share'])
  t.equal(worker.first.socketPath, gateway.socketPath)
  const exit = once(worker.child, 'exit')
  worker.child.stdin?.write('close\n')
  t.match(await worker.told(), { closed: true })
  t.same(await exit, [0, null])
  t.equal(await withClient(gateway.socketPath, (client) => client.ping()), 'PONG')
})

t.test('sharing needs a gateway', async (t) => {
  const dataDir = await makeDir(t)
  const line = { message: /start the gateway first, or set REDIS_URL/ }
  await t.rejects(openEmbeddedRedis({ dataDir, share: true, log }), line, 'never started')
  const gateway = await open(t, { dataDir })
  await gateway.close()
  await t.rejects(openEmbeddedRedis({ dataDir, share: true, log }), line, 'stopped')
})

t.test('the server ends with a gateway killed by SIGKILL, and the next start needs no waiting', async (t) => {
  const dataDir = await makeDir(t)
  const { child, first } = await startChild(t, [dataDir])
  const socketPath = first.socketPath as string
  const pid = await serverPid(socketPath)
  await withClient(socketPath, (client) => client.set('kept', 'yes'))
  await killed(child, 'SIGKILL')

  const next = await open(t, { dataDir })
  t.notOk(isAlive(pid), 'the old server was gone before the new one started')
  t.equal(await withClient(next.socketPath, (client) => client.get('kept')), 'yes')
})

t.test('the server ends also when nobody starts again', async (t) => {
  const dataDir = await makeDir(t)
  const { child, first } = await startChild(t, [dataDir])
  const pid = await serverPid(first.socketPath as string)
  await killed(child, 'SIGKILL')
  await eventually('the server has ended', () => !isAlive(pid))
})

t.test('Ctrl-C, which reaches the whole process group, leaves the server to the gateway', { skip: noProc }, async (t) => {
  const dataDir = await makeDir(t)
  const { socketPath } = await open(t, { dataDir })
  const pid = await serverPid(socketPath)
  const stats = async (id: number) => (await readFile(`/proc/${id}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
  const [, , group] = await stats(pid)
  const [, , own] = await stats(process.pid)
  t.ok(group && group !== own)
})

t.test('an end nobody asked for settles `died` with its cause', async (t) => {
  const dataDir = await makeDir(t)
  const redis = await open(t, { dataDir })
  process.kill(await serverPid(redis.socketPath), 'SIGKILL')
  t.match((await redis.died).message, /^The embedded Redis ended: .*\(signal 9\)$/)
  await redis.close()
  await open(t, { dataDir })
})

t.test('the server ends when its watchdog is killed', { skip: noProc }, async (t) => {
  const dataDir = await makeDir(t)
  const redis = await open(t, { dataDir })
  const pid = await serverPid(redis.socketPath)
  const watchdog = Number((await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ')[1])
  process.kill(watchdog, 'SIGKILL')
  t.type(await redis.died, Error)
  await eventually('the server has ended', () => !isAlive(pid))
})

t.test('a missing program is named, with the ways out', async (t) => {
  const dataDir = await makeDir(t)
  await t.rejects(openEmbeddedRedis({ dataDir, binary: '/nowhere/redis-server', share: false, log }), {
    message: /^REDIS_SERVER_BINARY: \/nowhere\/redis-server is not an executable program/,
  })
  const { first } = await startChild(t, [dataDir], { PATH: dataDir })
  t.match(first.error, /redis-server or valkey-server not found in PATH: install .*REDIS_SERVER_BINARY.*REDIS_URL/)
})

t.test('a server that does not start is quoted, and leaves the directory free', async (t) => {
  const dataDir = await makeDir(t)
  const first = await open(t, { dataDir })
  await withClient(first.socketPath, (client) => client.set('kept', 'yes'))
  await first.close()
  const manifest = join(dataDir, 'redis', 'appendonlydir', 'appendonly.aof.manifest')
  const sound = await readFile(manifest)
  await writeFile(manifest, 'nonsense\n')
  await t.rejects(openEmbeddedRedis({ dataDir, share: false, log }), { message: /did not start: .*AOF manifest.*exit code 1/ })
  await writeFile(manifest, sound)
  const again = await open(t, { dataDir })
  t.equal(await withClient(again.socketPath, (client) => client.get('kept')), 'yes')
})

t.test('a program under another name is taken as it is', async (t) => {
  const dataDir = await makeDir(t)
  const binary = join(dataDir, 'own-redis')
  const path = process.env['PATH']?.split(':').map((folder) => join(folder, 'redis-server'))
  await symlink(path?.find((file) => existsSync(file)) ?? '', binary)
  const redis = await open(t, { dataDir, binary })
  t.equal(await withClient(redis.socketPath, (client) => client.ping()), 'PONG')
})
