// A Redis on a loopback port that can hang, die, and come back with what its disk holds.

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Queue } from 'bullmq'
import { Redis } from 'ioredis'
import { freePorts } from '../helpers/redis-clusters.js'
import type { TestScope } from '../helpers/start-redis.js'
import { until } from '../helpers/until.js'

/** `appendfsync` as in redis.conf. Ends with the scope. `started: false` leaves the first start to the caller. */
export const openRedisServer = async (
  scope: TestScope,
  { appendfsync = 'everysec', started = true }: { appendfsync?: 'always' | 'everysec'; started?: boolean } = {},
) => {
  const [port] = (await freePorts(1)) as [number]
  const dir = await mkdtemp(join(tmpdir(), 'jgf-'))
  const args = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--appendonly',
    'yes',
    '--appendfsync',
    appendfsync,
  ]
  const client = new Redis({ port, host: '127.0.0.1', lazyConnect: true, maxRetriesPerRequest: null, retryStrategy: () => 50 })
  // It reconnects; what matters fails the checks.
  client.on('error', () => {})
  let server: ChildProcess | undefined

  const start = async () => {
    server = spawn('redis-server', args, { stdio: 'ignore' })
    if (client.status === 'wait') await client.connect().catch(() => {})
    await until('Redis answers', async () => (await client.ping().catch(() => '')) === 'PONG')
  }
  const end = async (signal: NodeJS.Signals) => {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const gone = once(server, 'exit')
    server.kill(signal)
    await gone
  }
  scope.after(async () => {
    client.disconnect()
    await end('SIGKILL')
    await rm(dir, { recursive: true, force: true, maxRetries: 20 })
  })
  if (started) await start()
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    client,
    start,
    kill: () => end('SIGKILL'),
    hang: () => server?.kill('SIGSTOP'),
    wake: () => server?.kill('SIGCONT'),
  }
}

export type FaultyRedis = Awaited<ReturnType<typeof openRedisServer>>

/** BullMQ's own view of the probes' queue. Closed with the scope. */
export const openQueue = (scope: TestScope, { client }: FaultyRedis): Queue => {
  const connection = client.duplicate()
  connection.on('error', () => {})
  const queue = new Queue('external-api', { prefix: '{jobgate}', connection })
  queue.on('error', () => {})
  scope.after(async () => {
    await queue.close()
    connection.disconnect()
  })
  return queue
}
