// `npm run bench`: keyed submissions through the gateway, beside what bounds them, in interleaved rounds.
// Rates depend on the machine and its neighbours; the ratios of one round were measured within seconds of each other.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { Redis } from 'ioredis'
import { ensureInstalled } from '../scripts/ensure-installed.mjs'

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '5' }, seconds: { type: 'string', default: '4' } } })
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const connections = 64
const key = 'bench-admin-key'
const here = new URL('.', import.meta.url).pathname

/** wrk, from Debian's package of that name: a load generator in C takes little from the two cores that are measured. */
const requireWrk = () => {
  if (spawnSync('wrk', ['--version']).error) throw new Error('wrk is missing: install it (Debian: apt-get install wrk)')
}

const stop = async (child) => {
  const exited = once(child, 'exit')
  child.kill()
  await exited
}

const startRedis = async (dir) => {
  const path = join(dir, 'redis.sock')
  const child = spawn('redis-server', ['--port', '0', '--unixsocket', path, '--save', '', '--appendonly', 'yes', '--dir', dir], {
    stdio: 'ignore',
  })
  const client = new Redis(path, { retryStrategy: () => 50 })
  client.on('error', () => {})
  await new Promise((resolve) => client.once('ready', resolve))
  const close = async () => {
    client.disconnect()
    await stop(child)
  }
  return { path, client, close }
}

/** A server process that prints its address as JSON, or, for the gateway, in its log. */
const startServer = async (args, env) => {
  const child = spawn(process.execPath, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] })
  for await (const line of createInterface({ input: child.stdout })) {
    const { address } = JSON.parse(line)
    if (address) return { address, close: () => stop(child) }
  }
  throw new Error(`${args[0]} did not start`)
}

/** Requests a second that were answered 2xx. */
const load = (address) => {
  const run = spawnSync(
    'wrk',
    ['-t', '1', '-c', String(connections), '-d', `${seconds}s`, '-s', join(here, 'submit.lua'), `${address}/v1/jobs`],
    {
      encoding: 'utf8',
      env: { ...process.env, BENCH_KEY: key },
    },
  )
  const failed = Number(/Non-2xx or 3xx responses: (\d+)/.exec(run.stdout)?.[1] ?? 0)
  if (failed > 0) throw new Error(`${failed} requests failed at ${address}`)
  return Number(/Requests\/sec:\s+([\d.]+)/.exec(run.stdout)?.[1])
}

/** Jobs a second through BullMQ alone. */
const raw = async (redisPath) => {
  const child = spawn(process.execPath, [join(here, 'raw.mjs'), redisPath, String(connections), String(seconds)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let text = ''
  for await (const chunk of child.stdout) text += chunk
  return Number(text)
}

const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)]
const row = (name, numbers, digits = 0) =>
  [
    name.padEnd(52),
    median(numbers).toFixed(digits).padStart(9),
    `${Math.min(...numbers).toFixed(digits)} to ${Math.max(...numbers).toFixed(digits)}`.padStart(20),
  ].join(' ')

requireWrk()
await ensureInstalled({ redis: true, build: true })
const dir = await mkdtemp(join(tmpdir(), 'jg-bench-'))
const redis = await startRedis(dir)
const env = { REDIS_URL: `unix://${redis.path}`, REDIS_PATH: redis.path, BENCH_KEY: key }
const gateway = await startServer([join(here, 'gateway.mjs')], {
  ...env,
  PORT: '0',
  LOG_LEVEL: 'warn',
  ADMIN_API_KEY: key,
  DATA_DIR: dir,
  RATE_LIMIT_MAX: '1000000000',
  QUEUE_MAX_DEPTH: '1000000000',
})
const bare = await startServer([join(here, 'bare.mjs')], env)
const minimal = await startServer([join(here, 'minimal.mjs')], env)

const results = []
try {
  for (let round = 0; round <= rounds; round++) {
    const measured = {}
    for (const [name, measure] of Object.entries({
      gateway: () => load(gateway.address),
      bare: () => load(bare.address),
      raw: () => raw(redis.path),
      minimal: () => load(minimal.address),
    })) {
      await redis.client.flushdb()
      measured[name] = await measure()
    }
    // The first round warms up.
    if (round > 0) results.push(measured)
    process.stderr.write(`round ${round} of ${rounds}\n`)
  }
} finally {
  await Promise.all([gateway, bare, minimal].map((server) => server.close()))
  await redis.close()
  await rm(dir, { recursive: true, force: true })
}

const floor = ({ bare, raw }) => 1 / (1 / bare + 1 / raw)
const report = {
  keyed: {
    'gateway, keyed submissions a second': [results.map((each) => each.gateway), 0],
    '(a) bare route, validated': [results.map((each) => each.bare), 0],
    '(b) raw queue.add': [results.map((each) => each.raw), 0],
    '(d) minimal gateway (SET NX, queue.add)': [results.map((each) => each.minimal), 0],
    'gateway / (c) serial floor 1/(1/a+1/b)': [results.map((each) => each.gateway / floor(each)), 2],
    'minimal gateway / (c) serial floor': [results.map((each) => each.minimal / floor(each)), 2],
    'gateway / (d) minimal gateway': [results.map((each) => each.gateway / each.minimal), 2],
  },
}
console.log(
  `\n${connections} connections, ${rounds} rounds of ${seconds} s, ${availableParallelism()} cores, Node ${process.version}, wrk; log level warn`,
)
console.log(['one submission a request'.padEnd(52), 'median'.padStart(9), 'range'.padStart(20)].join(' '))
for (const [name, [numbers, digits]] of Object.entries(report.keyed)) console.log(row(name, numbers, digits))
await mkdir(join(here, 'results'), { recursive: true })
await writeFile(
  join(here, 'results', 'submit.json'),
  `${JSON.stringify({ connections, rounds, seconds, node: process.version, results }, null, 2)}\n`,
)
