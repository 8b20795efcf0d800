// The list of tenants that have jobs, for the duty that forgets finished ones.

import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

/** How long a process trusts that a tenant that it listed is listed: Redis may have lost the list. */
const knownMs = 60_000

export const createTenantList = ({ redis, keys }: { redis: RedisClient; keys: Keys }) => {
  const known = new Set<string>()
  let knownUntil = 0
  return {
    /** Lists a tenant in the background, unless this process did so within a minute. `now` is milliseconds since 1970. */
    remember(tenant: string, now: number): void {
      if (now >= knownUntil) {
        known.clear()
        knownUntil = now + knownMs
      }
      if (known.has(tenant)) return
      known.add(tenant)
      redis.sadd(keys.tenants, tenant).catch(() => known.delete(tenant))
    },
  }
}

export type TenantList = ReturnType<typeof createTenantList>
