// Starts real servers of the other modes on free loopback ports: single, Sentinel and Cluster.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { eventually } from './eventually.js'
import { startRedisProxy } from './redis-proxy.js'
import type { TestScope } from './start-redis.js'

const startDeadlineMs = 60_000

/** One server process of a test. */
export interface RedisNode {
  port: number
  process: ChildProcess
}

/** Free at the moment of asking; Cluster nodes also listen 10,000 higher, so low ones are taken. */
export const freePorts = async (count: number): Promise<number[]> => {
  const ports: number[] = []
  while (ports.length < count) {
    const candidate = 20_000 + Math.floor(Math.random() * 20_000)
    if (ports.includes(candidate)) continue
    if ((await isFree(candidate)) && (await isFree(candidate + 10_000))) ports.push(candidate)
  }
  return ports
}

const isFree = (port: number) =>
  new Promise<boolean>((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })

/** A plain server with the given configuration lines; `port 0` lines are allowed. Resolves once it accepts connections. */
export const startServer = async (t: TestScope, options: { port: number; lines?: string[]; sentinel?: boolean }): Promise<RedisNode> => {
  const dir = await mkdtemp(join(tmpdir(), 'jgs-'))
  const file = join(dir, 'redis.conf')
  const log = join(dir, 'redis.log')
  const data = options.sentinel ? [] : ['appendonly yes', 'save ""']
  const lines = [`port ${options.port}`, 'bind 127.0.0.1', `dir ${dir}`, `logfile ${log}`, ...data, ...(options.lines ?? [])]
  await writeFile(file, `${lines.join('\n')}\n`)
  const child = spawn('redis-server', options.sentinel ? [file, '--sentinel'] : [file], { stdio: 'ignore' })
  t.after(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    await rm(dir, { recursive: true, force: true })
  })
  const ready = options.sentinel ? 'Sentinel ID is' : 'eady to accept connections'
  const started = async () => (await readFile(log, 'utf8').catch(() => '')).includes(ready)
  await eventually(`redis-server on port ${options.port} is up`, started, startDeadlineMs)
  return { port: options.port, process: child }
}

/** One master, two replicas and three Sentinels, waited for until the replicas are in step and every Sentinel knows all. */
export const startSentinel = async (t: TestScope, { name = 'mymaster', password }: { name?: string; password?: string } = {}) => {
  const [masterPort, ...others] = (await freePorts(6)) as [number, ...number[]]
  const secret = password ? [`requirepass ${password}`, `masterauth ${password}`] : []
  const lines = [...secret, 'repl-diskless-sync-delay 0']
  const master = await startServer(t, { port: masterPort, lines })
  const replicas: RedisNode[] = []
  for (const port of others.slice(0, 2)) {
    replicas.push(await startServer(t, { port, lines: [...lines, `replicaof 127.0.0.1 ${masterPort}`] }))
  }
  for (const { port } of replicas) await untilInfo(port, 'master_link_status:up', password)
  const sentinels: RedisNode[] = []
  for (const port of others.slice(2)) {
    const watch = [
      `sentinel monitor ${name} 127.0.0.1 ${masterPort} 2`,
      ...(password ? [`sentinel auth-pass ${name} ${password}`] : []),
      `sentinel down-after-milliseconds ${name} 1500`,
      `sentinel failover-timeout ${name} 5000`,
    ]
    sentinels.push(await startServer(t, { port, lines: watch, sentinel: true }))
  }
  for (const { port } of sentinels) await untilInfo(port, 'slaves=2,sentinels=3')
  return { name, master, replicas, sentinels, hosts: sentinels.map(({ port }) => ({ host: '127.0.0.1', port })) }
}

/** Three masters that share the slots, each with one replica if `replicas` is set. */
export const startCluster = async (t: TestScope, { replicas = false, lines = [] }: { replicas?: boolean; lines?: string[] } = {}) => {
  const nodes: RedisNode[] = []
  for (const port of await freePorts(replicas ? 6 : 3)) {
    const settings = [
      'cluster-enabled yes',
      'cluster-config-file nodes.conf',
      'cluster-node-timeout 1500',
      'repl-diskless-sync-delay 0',
      ...lines,
    ]
    nodes.push(await startServer(t, { port, lines: settings }))
  }
  const hosts = nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const create = ['--cluster', 'create', ...hosts.map(({ host, port }) => `${host}:${port}`), '--cluster-replicas', replicas ? '1' : '0']
  const cli = spawn('redis-cli', [...create, '--cluster-yes'], { stdio: 'ignore' })
  await once(cli, 'exit')
  for (const { port } of nodes) {
    await untilReply(port, 'cluster_state:ok', (client) => client.cluster('INFO'))
    await untilReply(port, replicas ? 'master_link_status:up' : '', async (client) => {
      const info = await client.info('replication')
      return info.includes('role:master') ? 'master_link_status:up' : info
    })
  }
  return { nodes, hosts }
}

/** Three masters that send every client through a proxy: `proxies[n]` stands before `nodes[n]`, and `hosts` are the proxies. */
export const startProxiedCluster = async (t: TestScope) => {
  const { nodes } = await startCluster(t)
  const proxies = await Promise.all(nodes.map(({ port }) => startRedisProxy(t, { target: { port } })))
  for (const [index, { port }] of nodes.entries()) {
    const announced = String(proxies[index]?.port)
    await untilReply(port, 'OK', (client) => client.config('SET', 'cluster-announce-port', announced))
  }
  for (const { port } of nodes) {
    for (const proxy of proxies) await untilReply(port, String(proxy.port), (client) => client.cluster('SLOTS'))
  }
  return { nodes, proxies, hosts: proxies.map(({ port }) => ({ host: '127.0.0.1', port })) }
}

const untilInfo = (port: number, text: string, password?: string) => untilReply(port, text, (client) => client.info(), password)

const untilReply = async (port: number, text: string, ask: (client: Redis) => Promise<unknown>, password?: string) => {
  const client = new Redis({ port, host: '127.0.0.1', ...(password ? { password } : {}) })
  client.on('error', () => {})
  try {
    await eventually(`${text} on port ${port}`, async () => String(await ask(client)).includes(text), startDeadlineMs)
  } finally {
    client.disconnect()
  }
}
