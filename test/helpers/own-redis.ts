// A Redis of the test's own that can hang, die and come back under the same address.

import { Redis } from 'ioredis'
import pino from 'pino'
import { openEmbeddedRedis } from '../../src/redis/embedded.js'
import type { TestScope } from './start-redis.js'

/** Runs on `dataDir` and ends with the test, even one that is killed. `url` is for REDIS_URL. */
export const startOwnRedis = async (t: TestScope, dataDir: string) => {
  // With `everysec`, Redis may hold writes back for up to two seconds while an earlier sync is slow; a kill would then lose them.
  const open = () => openEmbeddedRedis({ dataDir, share: false, alwaysSync: true, log: pino({ level: 'silent' }) })
  let server = await open()
  const { socketPath } = server
  const client = new Redis({ path: socketPath, maxRetriesPerRequest: null })
  // It reconnects; what matters fails the test elsewhere.
  client.on('error', () => {})
  const findPid = async () => Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1])
  let pid = await findPid()
  t.after(async () => {
    client.disconnect()
    if (await isAlive(pid)) process.kill(pid, 'SIGCONT')
    await server.close()
  })
  return {
    url: `unix://${socketPath}`,
    socketPath,
    client,
    /** The server neither answers nor ends. */
    hang: () => process.kill(pid, 'SIGSTOP'),
    wake: () => process.kill(pid, 'SIGCONT'),
    /** SIGKILL; resolves when it is gone. */
    async kill() {
      process.kill(pid, 'SIGKILL')
      await server.died
    },
    /** After `kill`: the same data under the same address. */
    async restart() {
      await server.close()
      server = await open()
      pid = await findPid()
    },
  }
}

const isAlive = async (pid: number): Promise<boolean> => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

export type OwnRedis = Awaited<ReturnType<typeof startOwnRedis>>
