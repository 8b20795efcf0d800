// Finds out whether this instance can take requests, for probes and the home page alike.

import { withDeadline } from '../runtime/deadline.js'
import { shareFor } from '../runtime/single-flight.js'
import type { ProblemName } from './problems/problem-types.js'

type CheckStatus = 'ok' | 'failed'

export interface ReadinessState {
  readonly checks: { readonly redis: { readonly status: CheckStatus } }
  /** Why it cannot; null when it can. */
  readonly failure: { readonly problem: ProblemName; readonly detail: string } | null
}

export interface ReadinessOptions {
  readonly redis: { ping(): Promise<unknown> }
  /** Why nothing can be stored as safely as is promised; null when it can be. */
  durabilityFault?(): string | null
  isStopping(): boolean
  isOverloaded(): boolean
}

const pingTimeoutMs = 500
/** However many ask, Redis is asked once in this time. */
const cacheMs = 1000

/** Answers within half a second, and never rejects. */
export const createReadiness = (options: ReadinessOptions): (() => Promise<ReadinessState>) => {
  const checkRedis = shareFor(cacheMs, () => ping(options.redis))
  return async () => {
    const checks = { redis: { status: await checkRedis() } }
    return { checks, failure: findFailure(options, checks.redis.status) }
  }
}

export type Readiness = ReturnType<typeof createReadiness>

const findFailure = (options: ReadinessOptions, redis: CheckStatus): ReadinessState['failure'] => {
  if (options.isStopping()) return { problem: 'shutting-down', detail: 'This instance is shutting down.' }
  if (redis === 'failed') return { problem: 'redis-unavailable', detail: `Redis did not respond to PING within ${pingTimeoutMs} ms.` }
  const fault = options.durabilityFault?.()
  if (fault) return { problem: 'redis-unavailable', detail: fault }
  if (options.isOverloaded()) return { problem: 'overloaded', detail: 'This instance has more work than it can handle in time.' }
  return null
}

const ping = (redis: ReadinessOptions['redis']): Promise<CheckStatus> => {
  const answered = redis.ping().then(
    (): CheckStatus => 'ok',
    (): CheckStatus => 'failed',
  )
  return withDeadline(answered, pingTimeoutMs, 'failed')
}
