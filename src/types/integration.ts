// How what job types call is opened, one integration a subject.

import type { BaseLogger } from 'pino'
import type { Config } from '../config/config.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'

/** What all workers share. */
export interface SharedStore {
  readonly redis: RedisClient
  readonly keys: Keys
}

/** What an integration is opened with; `S` are the settings it reads, by subject. */
export interface Opening<S> {
  readonly config: Config<S>
  readonly log: Pick<BaseLogger, 'warn' | 'error'>
  /** Integrations whose limits span all workers are opened only with it. */
  readonly store?: SharedStore
}

/** What handlers find under `name` in `ctx.integrations`. */
export interface Integration<S, T> {
  readonly name: string
  /** What an operator has to set: named by the error `not_configured`. */
  readonly variable: string
  /**
   * Out: undefined when its settings are absent. Calls nothing yet, and loads its libraries only when it is configured: a gateway
   * without workers needs none of them. Throws with one readable line when settings contradict each other.
   */
  open(opening: Opening<S>): Promise<T | undefined>
}
