// Runs one attempt of a vendor's job type the way a worker does, on the real marker.

import { createAttemptMarker } from '../../src/attempts/marker.js'
import type { Integrations } from '../../src/builtin/integrations.js'
import type { RedisClient } from '../../src/redis/connect.js'
import { createKeys, createPartitionKeys, type Keys } from '../../src/redis/redis-keys.js'
import type { JobContext, JobOutcome, RunnableJobType } from '../../src/types/definition.js'
import { startRedis, type TestScope } from './start-redis.js'

const markerTtlMs = 60_000

export interface Store {
  readonly redis: RedisClient
  readonly keys: Keys
}

/** One Redis for a whole file; every call of what it returns has key names of its own. */
export const startStores = async (t: TestScope): Promise<() => Store> => {
  const { redis } = await startRedis(t)
  const client = redis.connect('worker')
  let last = 0
  return () => ({ redis: client, keys: createKeys(`{test-${++last}}`) })
}

export interface AttemptOptions {
  readonly store: Store
  readonly integrations: Integrations
  readonly jobId?: string
  readonly attempt?: number
  readonly signal?: AbortSignal
  readonly isExpired?: boolean
}

/** What the handler made of one attempt; `lines` of the job's own log are collected. */
export const runAttempt = (
  type: RunnableJobType,
  data: unknown,
  {
    store,
    integrations: { ...integrations },
    jobId = 'ext_00000000000000000001',
    attempt = 1,
    signal = new AbortController().signal,
    isExpired = false,
  }: AttemptOptions,
  lines: string[] = [],
): Promise<JobOutcome> => {
  const ctx: JobContext = {
    jobId,
    createdAt: Date.now(),
    attempt,
    maxAttempts: 3,
    signal,
    isExpired,
    log: (line) => void lines.push(line),
    progress: async () => {},
    marker: createAttemptMarker(store.redis, createPartitionKeys(store.keys.prefix).marker(jobId), markerTtlMs),
    integrations: { ...integrations },
  }
  return type.run(data, ctx)
}
