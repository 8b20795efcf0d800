// Opens what tells who calls: the first key, the API keys, the sessions of the board.

import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import { judgeSecrets } from '../config/weak-secrets.js'
import type { RedisConnections } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { Scope } from '../runtime/scope.js'
import { openApiKeys } from './api-keys.js'
import { createBoardSessions } from './board-sessions.js'
import { openFirstKey } from './first-key.js'

interface Deps {
  readonly config: Pick<Config, 'adminApiKey' | 'dataDir' | 'isExposed'>
  readonly keys: Keys
  readonly log: Logger
  readonly redis: RedisConnections
}

/** Closed with `scope`. Throws when the first key can be neither read nor written, or is one that anybody guesses. */
export const openAuth = async ({ config, keys, log, redis: connections }: Deps, scope: Scope) => {
  const redis = connections.request
  const firstKey = await scope.open('first key', () => openFirstKey(config))
  // What comes from the configuration was judged with it.
  if (firstKey.path !== null) for (const warning of judgeSecrets({ [firstKey.path]: firstKey.key }, config.isExposed)) log.warn(warning)
  const apiKeys = await scope.open('API keys', () =>
    openApiKeys({ redis, events: connections.connect('events'), keys, log, firstKey: firstKey.key }),
  )
  return { firstKey, apiKeys, boardSessions: createBoardSessions({ redis, keys, apiKeys }) }
}
