// What every row of the benchmark stands on: Redis servers, server processes, load, and reading a process's memory.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'

export const adminKey = 'key-of-the-benchmark-lab'
export const connections = 64
const here = new URL('.', import.meta.url).pathname
const kib = 1024
const pollMs = 2

/** The body that every submission sends, and what raw BullMQ is given instead. */
export const verificationData = { to: 'user@example.com', verificationCode: '123456' }
export const toSubmission = (idempotencyKey) => ({
  type: 'send-verification-email',
  data: verificationData,
  userId: 'u1',
  ...(idempotencyKey && { idempotencyKey }),
})

/** wrk, from Debian's package of that name: a load generator in C takes little from the cores that are measured. */
export const requireWrk = () => {
  if (spawnSync('wrk', ['--version']).error) throw new Error('wrk is not installed (Debian: apt-get install wrk)')
}

const untilReady = async (address) => {
  while (!(await fetch(`${address}/readyz`)).ok) await pause(pollMs)
}

const stop = async (child) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

/** Opens one lab; everything started in it ends with `close()`. */
export const openLab = async () => {
  const closers = []
  const dir = await mkdtemp(join(tmpdir(), 'jg-bench-'))
  const atEnd = (close) => closers.unshift(close)
  atEnd(() => rm(dir, { recursive: true, force: true, maxRetries: 20 }))
  const newDir = () => mkdtemp(join(dir, 'run-'))

  /** A Redis of its own on a socket, with the append-only file that users are told to have. */
  const startRedis = async () => {
    const own = await newDir()
    const path = join(own, 'redis.sock')
    const settings = ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'yes', '--auto-aof-rewrite-percentage', '0']
    const child = spawn('redis-server', [...settings, '--dir', own], { stdio: 'ignore' })
    const client = new Redis(path, { retryStrategy: () => 50 })
    client.on('error', () => {})
    atEnd(async () => {
      client.disconnect()
      await stop(child)
    })
    await new Promise((resolve) => client.once('ready', resolve))
    return { path, client }
  }

  /** A server process, found under `bench/servers` of this checkout or of `root`, that prints its address as a line of JSON. */
  const startServer = async (name, env = {}, root = join(here, '..')) => {
    const args = [join(root, 'bench/servers', `${name}.mjs`)]
    const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
    const close = () => stop(child)
    atEnd(close)
    for await (const line of createInterface({ input: child.stdout })) {
      const { address } = JSON.parse(line)
      if (address) return { address, close, pid: child.pid }
    }
    throw new Error(`${name} did not start`)
  }

  /** The gateway on that Redis, once it is ready, or a worker alone. Limits are far away; they are checked all the same. */
  const startGateway = async (redis, { server = 'gateway', ...env } = {}, root = undefined) => {
    const settings = {
      REDIS_URL: `unix://${redis.path}`,
      PORT: '0',
      LOG_LEVEL: 'warn',
      ADMIN_API_KEY: adminKey,
      DATA_DIR: await newDir(),
      RATE_LIMIT_MAX: '1000000000',
      QUEUE_MAX_DEPTH: '1000000000',
      MAX_STREAMS: '1000000',
      SHUTDOWN_DRAIN_MS: '0',
      ...env,
    }
    const gateway = await startServer(server, settings, root)
    if (!gateway.address.startsWith('http')) return gateway
    await untilReady(gateway.address)
    return { ...gateway, key: await issueKey(gateway.address) }
  }

  /** Empties the Redis of a gateway, whose key goes with all else. */
  const empty = async (redis, gateway) => {
    await redis.client.flushdb()
    gateway.key = await issueKey(gateway.address)
  }

  const close = async () => {
    for (const each of closers) await each()
  }
  return { startRedis, startServer, startGateway, empty, newDir, close }
}

const milliseconds = { us: 0.001, ms: 1, s: 1000 }
const toMs = (text) => {
  const [, amount, unit] = /([\d.]+)(us|ms|s)/.exec(text)
  return Number(amount) * milliseconds[unit]
}

/** A key as a client has it; the first key, which an operator made up, is for the first steps. */
const issueKey = async (address) => {
  const { key } = await post(`${address}/admin/api-keys`, { name: 'bench', scopes: ['jobs:submit', 'jobs:read'] })
  return key
}

/** Runs wrk with a script of `bench/loads`: requests a second, p50 and p99 in milliseconds. Throws when an answer is not 2xx. */
export const load = (url, script, { clients = connections, seconds, key = adminKey, env = {} }) => {
  const args = [
    '-t',
    '1',
    '-c',
    String(clients),
    '-d',
    `${seconds}s`,
    '--latency',
    '--timeout',
    '30s',
    '-s',
    join(here, 'loads', script),
    url,
  ]
  const { stdout } = spawnSync('wrk', args, { encoding: 'utf8', env: { ...process.env, BENCH_KEY: key, ...env } })
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(stdout)
  if (failed) throw new Error(`${failed[0]} at ${url}`)
  return {
    rate: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)[1]),
    p50: toMs(/^\s+50%\s+(\S+)/m.exec(stdout)[1]),
    p99: toMs(/^\s+99%\s+(\S+)/m.exec(stdout)[1]),
  }
}

/** Runs a program of `bench/loads` to its end and reads the JSON that it prints. */
export const runLoad = async (name, ...args) => {
  const child = spawn(process.execPath, [join(here, 'loads', `${name}.mjs`), ...args.map(String)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  const [code] = await exited
  if (code !== 0) throw new Error(`${name} ended with ${code}`)
  return JSON.parse(text)
}

/** POSTs JSON with the admin key and reads the JSON answer. */
export const post = async (url, body) => {
  const answer = await fetch(url, {
    method: 'POST',
    headers: { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  if (!answer.ok) throw new Error(`${answer.status} at ${url}: ${await answer.text()}`)
  return answer.json()
}

/** Resident memory of a process in bytes: what it has now, and the most it had since `forgetPeak`. */
export const memoryOf = (pid) => {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const read = (name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)[1]) * kib
  return { now: read('VmRSS'), peak: read('VmHWM') }
}
export const forgetPeak = (pid) => writeFileSync(`/proc/${pid}/clear_refs`, '5')

/** Ticks of the kernel's clock, as in proc(5). */
const ticksPerSecond = 100

/** Processor time of a process since its start, in seconds. */
export const cpuSecondsOf = (pid) => {
  // The name of the program, in parentheses, may hold spaces; user and system time are the 12th and 13th field behind it.
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** The rate of doing one thing after the other, given the rates of each. */
export const inSeries = (...rates) => 1 / rates.reduce((sum, rate) => sum + 1 / rate, 0)
