// Opens what tells who calls: the first key, the API keys, the sessions of the board.

import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { RedisConnections } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import { openApiKeys } from './api-keys.js'
import { createBoardSessions } from './board-sessions.js'
import { openFirstKey } from './first-key.js'

interface Deps {
  readonly config: Pick<Config, 'adminApiKey' | 'dataDir'>
  readonly keys: Keys
  readonly log: Logger
  readonly redis: RedisConnections
}

/** Closed with `scope`. Throws when the first key can be neither read nor written. */
export const openAuth = async ({ config, keys, log, redis: connections }: Deps, scope: Scope) => {
  const redis = connections.request
  const firstKey = await scope.open('first key', () => openFirstKey(config))
  const apiKeys = await scope.open('API keys', () =>
    openApiKeys({ redis, events: connections.connect('events'), keys, log, firstKey: firstKey.key }),
  )
  return { firstKey, apiKeys, boardSessions: createBoardSessions({ redis, keys, apiKeys }) }
}
