// Since when a process has been awake with Redis at hand: neither frozen, nor busy, nor cut off.

import type { Logger } from 'pino'
import { openDuty } from '../runtime/duty.js'
import type { RedisClient } from './connect.js'

const beatMs = 1000
/** A longer silence is an outage. */
const silenceMsMax = 5000

/** Asks Redis every second until closed. */
export const openLiveness = ({ redis, log }: { redis: RedisClient; log: Logger }) => {
  let last = Date.now()
  let since = last
  const beat = async () => {
    await redis.ping()
    const now = Date.now()
    if (now - last > silenceMsMax) since = now
    last = now
  }
  const duty = openDuty(
    {
      name: 'liveness',
      everyMs: beatMs,
      run: beat,
      failure: 'Redis was not heard of',
      failureLevel: 'debug',
      canEnd: () => redis.status === 'ready',
    },
    { log },
  )
  return {
    /** Milliseconds since 1970; now, when an outage has only just ended or goes on. */
    since: (): number => (Date.now() - last > silenceMsMax ? Date.now() : since),
    close: duty.close,
  }
}
