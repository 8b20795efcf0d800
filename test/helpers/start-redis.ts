// Starts the product's own embedded Redis for one test, in a short temporary directory that goes away with it.

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pino from 'pino'
import type { RedisSettings } from '../../src/config/config.js'
import { openRedis, type RedisConnections } from '../../src/redis/connect.js'

/** The part of a tap test that helpers use. */
export interface TestScope {
  after(handler: () => unknown): void
}

export interface StartedRedis {
  redis: RedisConnections
  settings: RedisSettings
  dataDir: string
  socketPath: string
}

/** What stretches the deadlines of the request side in tests that are not about them: a process may stand still for seconds. */
export const patience = 60

/** An own server per call; closed and removed when the test ends. */
export const startRedis = async (t: TestScope): Promise<StartedRedis> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  const settings: RedisSettings = { target: { kind: 'embedded', dataDir }, db: 0, tls: false, prefix: '{jobgate}', patience }
  const redis = await openRedis({ settings, log: pino({ level: 'silent' }) })
  t.after(async () => {
    await redis.close()
    await rm(dataDir, { recursive: true, force: true })
  })
  return { redis, settings, dataDir, socketPath: redis.socketPath as string }
}
