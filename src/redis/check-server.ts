// Looks, whenever the request side has (re)connected, whether the Redis it met can keep the promise of a 2xx.

import { Cluster, type Redis } from 'ioredis'
import type { Logger } from 'pino'

/** BullMQ 6 needs commands that came with this version. */
const versionMin = { major: 6, minor: 2 }

/**
 * Logs an error line for every server that is too old or may evict jobs. It only reports: the operator may be at work on it,
 * and what is stored already is safe for now. A user without the right to INFO is not checked.
 */
export const checkServer = (client: Redis | Cluster, log: Logger) => {
  client.on('ready', () => {
    const nodes = client instanceof Cluster ? client.nodes('master') : [client]
    for (const node of nodes) {
      node.info().then(
        (info) => report(info, log),
        (error: Error) => log.debug({ error: error.message }, 'checking redis failed'),
      )
    }
  })
}

const report = (info: string, log: Logger) => {
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]
  const version = field('redis_version')
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number)
  if (version && (major < versionMin.major || (major === versionMin.major && minor < versionMin.minor))) {
    log.error({ version }, `Redis ${versionMin.major}.${versionMin.minor} or newer is required; jobs may fail in unexpected ways`)
  }
  const policy = field('maxmemory_policy')
  if (policy && policy !== 'noeviction') {
    log.error({ policy }, 'Redis may evict jobs when it runs out of memory: set maxmemory-policy to noeviction')
  }
}
