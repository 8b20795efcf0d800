// A process of its own for the tests of the embedded Redis: opens it, tells how it went, and stays until it is ended.

import pino from 'pino'
import { openEmbeddedRedis } from '../../src/redis/embedded.js'

const [dataDir = '', share] = process.argv.slice(2)
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)

process.once('SIGTERM', () => process.exit(3))
try {
  const redis = await openEmbeddedRedis({ dataDir, share: share === 'share', log: pino({ level: 'silent' }) })
  tell({ socketPath: redis.socketPath })
  process.stdin.once('data', async () => {
    await redis.close()
    tell({ closed: true })
    process.exit(0)
  })
} catch (error) {
  tell({ error: (error as Error).message })
  process.exit(1)
}
