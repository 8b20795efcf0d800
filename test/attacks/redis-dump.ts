// Everything that Redis holds, as text: every key and every value of it.

import { Redis } from 'ioredis'

const scanCount = 1000

/** One line for each key, and for each value in it. */
export const dumpRedis = async (socketPath: string): Promise<string[]> => {
  const redis = new Redis({ path: socketPath })
  try {
    const lines: string[] = []
    for (let cursor = '0', isFirst = true; isFirst || cursor !== '0'; isFirst = false) {
      const [next, keys] = await redis.scan(cursor, 'COUNT', scanCount)
      cursor = next
      for (const key of keys) lines.push(key, ...(await readValues(redis, key)))
    }
    return lines
  } finally {
    redis.disconnect()
  }
}

const readValues = async (redis: Redis, key: string): Promise<string[]> => {
  switch (await redis.type(key)) {
    case 'string':
      return [(await redis.get(key)) ?? '']
    case 'hash':
      return Object.entries(await redis.hgetall(key)).flat()
    case 'list':
      return redis.lrange(key, 0, -1)
    case 'set':
      return redis.smembers(key)
    case 'zset':
      return redis.zrange(key, '0', '-1')
    case 'stream':
      return (await redis.xrange(key, '-', '+')).flatMap(([, fields]) => fields)
    default:
      return []
  }
}
