// Since when a process has been awake with Redis at hand: neither frozen, nor busy, nor cut off.

import type { RedisClient } from './connect.js'

const beatMs = 1000
/** A longer silence is an outage. */
const silenceMsMax = 5000

/** Beats until closed. */
export const openPulse = (redis: RedisClient) => {
  let last = Date.now()
  let since = last
  let beating = false
  const beat = async () => {
    await redis.ping()
    const now = Date.now()
    if (now - last > silenceMsMax) since = now
    last = now
  }
  const timer = setInterval(() => {
    if (beating) return
    beating = true
    beat()
      // Silence is what it tells.
      .catch(() => {})
      .finally(() => {
        beating = false
      })
  }, beatMs)
  return {
    /** Milliseconds since 1970; now, when an outage has only just ended or goes on. */
    since: (): number => (Date.now() - last > silenceMsMax ? Date.now() : since),
    close: () => clearInterval(timer),
  }
}
