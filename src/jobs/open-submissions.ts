// Opens what submits jobs over one connection: for requests in a gateway, for follow-ups and schedules in a worker.

import type { Logger } from 'pino'
import { createAcceptance } from '../bullmq/acceptance.js'
import type { Queues } from '../bullmq/queues.js'
import type { Config } from '../config/config.js'
import { createClaimReader } from '../idempotency/claim.js'
import type { RedisClient, RedisConnections } from '../redis/connect.js'
import { type Durability, openDurability } from '../redis/durability.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import type { Metrics } from '../telemetry/metrics.js'
import type { JobTypes } from '../types/registry.js'
import { createAccept } from './accept.js'
import { countSubmissions } from './count-submissions.js'
import type { SensitiveDataByType } from './sensitive-data.js'
import { createTenantList } from './tenant-list.js'

interface Deps {
  readonly jobTypes: JobTypes
  readonly config: Config
  readonly keys: Keys
  readonly log: Logger
  readonly metrics: Metrics
  readonly queues: Queues
  readonly redis: RedisConnections
  readonly sensitive: SensitiveDataByType
}

/**
 * Submits over `connection`, which is of the given role; closed with `scope`.
 * WAIT holds up whatever follows on a connection: stronger durability wants one of its own.
 * Throws with one readable line when a Redis that answers at the start cannot keep what DURABILITY promises.
 */
export const openSubmissions = async (
  { jobTypes, config, keys, log, metrics, queues, redis: connections, sensitive }: Deps,
  { role, connection: redis }: { role: 'request' | 'worker'; connection: RedisClient },
  scope: Scope,
) => {
  const { durability: level, maxDepth, idempotencyTtlMs: claimTtlMs } = config.queues
  const writing = level === 'memory' ? redis : connections.connect(role)
  const durability =
    level === 'memory'
      ? undefined
      : await scope.open('durability', () => openDurability({ redis: writing, key: config.redis.prefix, durability: level, log }))
  await requireFit(durability)
  const store = createAcceptance({ redis: writing, maxDepth, claimTtlMs, durability, durations: metrics.storeDurations.labels(), queues })
  const readClaim = createClaimReader({ redis, writing, durability })
  const tenants = createTenantList({ redis, keys })
  const accept = createAccept({ config, jobTypes, queues, readClaim, sensitive, store, tenants })
  return {
    /** Stores what is known to be fine, or known to be wrong. */
    store,
    accept: countSubmissions(accept, { jobTypes, metrics }),
    /** The connection that writes. */
    writing,
    durability,
  }
}

export type Submissions = Awaited<ReturnType<typeof openSubmissions>>

const requireFit = async (durability: Durability | undefined): Promise<void> => {
  await durability?.checked()
  const fault = durability?.fault()
  if (fault) throw new Error(fault)
}
