// Reads all that is left behind in Redis, and looks for secrets in texts.

import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openRedis } from '../../dist/redis/connect.js'
import { createLogger } from '../../dist/telemetry/logger.js'

const readers = {
  string: (redis, key) => redis.get(key),
  hash: (redis, key) => redis.hgetall(key),
  list: (redis, key) => redis.lrange(key, 0, -1),
  set: (redis, key) => redis.smembers(key),
  zset: (redis, key) => redis.zrange(key, 0, -1),
  stream: (redis, key) => redis.xrange(key, '-', '+'),
}

/** Every key with its value, job hashes with `failedReason` and `stacktrace` included; one text a key. */
export const readRedis = async (dataDir) => {
  const settings = { target: { kind: 'embedded', dataDir }, db: 0, tls: false, prefix: '{demo}' }
  const connections = await openRedis({ settings, log: createLogger({ level: 'silent' }), share: true })
  // This role waits for its connection.
  const redis = connections.connect('worker')
  const texts = []
  try {
    for (let cursor = '0'; ; ) {
      const [next, keys] = await redis.scan(cursor, 'COUNT', 500)
      for (const key of keys) {
        const type = await redis.type(key)
        // Gone since it was listed.
        if (type === 'none') continue
        texts.push(`${key} ${JSON.stringify(await readers[type](redis, key))}`)
      }
      cursor = next
      if (cursor === '0') return texts
    }
  } finally {
    await connections.close()
  }
}

/** Files below a folder as texts: the append-only file has every command that ever changed anything. */
export const readFiles = async (folder) => {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  return Promise.all(files.map((file) => readFile(file, 'latin1')))
}

/** Names of the secrets that occur in any text: as they are, as a URL or JSON writes them, or in base64. */
export const findSecrets = (secrets, texts) =>
  Object.entries(secrets)
    .filter(([, secret]) => {
      const forms = [secret, encodeURIComponent(secret), Buffer.from(secret).toString('base64').replace(/=+$/, '')]
      return texts.some((text) => forms.some((form) => text.includes(form)))
    })
    .map(([name]) => name)
