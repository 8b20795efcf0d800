// Opens Redis in whichever mode is configured, and hands out connections by role.

import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisSettings } from '../config/config.js'
import { createThrottledLog } from '../runtime/throttled-log.js'
import { checkServer } from './check-server.js'
import { openEmbeddedRedis } from './embedded.js'
import { countSends, limitCluster } from './ioredis-patches.js'

export type RedisClient = Redis | Cluster

/** Roles differ in how long they wait: a request fails within its deadline, a worker never gives up. */
export type RedisRole = 'request' | 'limiter' | 'worker' | 'events'

/** A master that became a replica keeps its connections: a new one leads to the new master. */
const reconnectOnError = (error: Error) => error.message.startsWith('READONLY')

/**
 * `socketTimeout` ends a connection on which answers are due and nothing arrives, and a new one is made: a hung server and a
 * dead network keep the socket open, and `commandTimeout` alone would send one command after another into the void.
 * On the waiting side it has to exceed the longest blocking read, which BullMQ 6.7 caps at 10 s.
 */
const patientOptions: RedisOptions = {
  reconnectOnError,
  // Left to keepSubscribed.
  autoResubscribe: false,
  maxRetriesPerRequest: null,
  connectTimeout: 5000,
  disconnectTimeout: 500,
  maxLoadingRetryTime: 1000,
  socketTimeout: 15_000,
  retryStrategy: (times) => Math.min(50 * times, 500),
}

const hastyOptions: RedisOptions = {
  reconnectOnError,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  connectTimeout: 1000,
  disconnectTimeout: 100,
  maxLoadingRetryTime: 200,
  retryStrategy: () => 100,
}

const roleOptions: Record<RedisRole, RedisOptions> = {
  // Commands are sent again after a reconnect (ioredis's default): each of them is safe to repeat.
  request: { ...hastyOptions, commandTimeout: 1000, socketTimeout: 1500 },
  // Counting is not safe to repeat.
  limiter: { ...hastyOptions, connectTimeout: 500, commandTimeout: 150, socketTimeout: 500, autoResendUnfulfilledCommands: false },
  worker: patientOptions,
  events: patientOptions,
}

const toRoleOptions = (role: RedisRole, patience = 1): RedisOptions => {
  const options = roleOptions[role]
  const { connectTimeout = 0, commandTimeout, socketTimeout = 0 } = options
  if (commandTimeout === undefined) return options
  return {
    ...options,
    connectTimeout: connectTimeout * patience,
    commandTimeout: commandTimeout * patience,
    socketTimeout: socketTimeout * patience,
  }
}

/** A hung Sentinel would otherwise hold up the search for the master for ever. */
const sentinelCommandTimeoutMs = 1000
/** A command waits for a new view of the slots before it is tried again; 16 tries of seconds each would be the defaults. */
const hastyClusterOptions: ClusterOptions = {
  maxRedirections: 5,
  retryDelayOnFailover: 50,
  retryDelayOnClusterDown: 0,
  slotsRefreshTimeout: 500,
}

/**
 * Starts the embedded server if the settings ask for it; otherwise opens nothing until a role is asked for.
 * `share` lets a worker process use the server of a gateway that runs on the same DATA_DIR.
 * Throws when the embedded server cannot start; an unreachable Redis is no error here, connections heal by themselves.
 */
export const openRedis = async ({ settings, log, share = false }: { settings: RedisSettings; log: Logger; share?: boolean }) => {
  const { target } = settings
  const embedded = target.kind === 'embedded' ? await openEmbeddedRedis({ ...target, share, log }) : undefined
  const clients = new Set<RedisClient>()
  let request: RedisClient | undefined

  /** A new connection of the given role; closed by `close`. */
  const connect = (role: RedisRole): RedisClient => {
    const client = createClient(settings, role, embedded?.socketPath)
    // Whoever does not wait for ever has to be told whether something was written.
    if (roleOptions[role].commandTimeout !== undefined) countSends(client)
    logErrors({ client, role, log, secrets: secretsOf(settings) })
    clients.add(client)
    return client
  }

  return {
    connect,
    /** The one shared connection of the request side. */
    get request(): RedisClient {
      if (!request) {
        request = connect('request')
        checkServer(request, log)
      }
      return request
    },
    /** Socket of the embedded server; undefined for other modes. */
    socketPath: embedded?.socketPath,
    /** Settles when the embedded server ends unasked; never for other modes. */
    died: embedded?.died ?? new Promise<Error>(() => {}),
    async close() {
      await Promise.all([...clients].map(closeClient))
      clients.clear()
      await embedded?.close()
    },
  }
}

export type RedisConnections = Awaited<ReturnType<typeof openRedis>>

const createClient = (settings: RedisSettings, role: RedisRole, socketPath: string | undefined): RedisClient => {
  const { target } = settings
  const ofRole = toRoleOptions(role, settings.patience)
  const options: RedisOptions = { ...ofRole, ...toCredentials(settings) }
  const tls = settings.tlsCa ? { ca: settings.tlsCa } : {}
  if (settings.tls) options.tls = tls
  switch (target.kind) {
    case 'embedded':
      return new Redis({ ...ofRole, path: socketPath as string })
    case 'url': {
      const { secure, ...address } = parseRedisUrl(target.url)
      return new Redis({ ...options, ...address, ...(secure ? { tls } : {}) })
    }
    case 'host':
      return new Redis({ ...options, host: target.host, port: target.port, db: settings.db })
    case 'sentinel':
      return new Redis({
        ...options,
        db: settings.db,
        sentinels: target.sentinels,
        name: target.name,
        ...(target.sentinelPassword ? { sentinelPassword: target.sentinelPassword } : {}),
        ...(settings.tls ? { sentinelTLS: tls, enableTLSForSentinelMode: true } : {}),
        sentinelCommandTimeout: sentinelCommandTimeoutMs,
        sentinelRetryStrategy: (times) => Math.min(50 * times, 500),
        // Off on purpose: its news of a failover, arriving while the client is looking for the master anyway, ends the client
        // permanently (ioredis 6.0, seen under load). A hung master is left through `socketTimeout`.
        failoverDetector: false,
      })
    case 'cluster': {
      const { enableOfflineQueue = true, retryStrategy, ...redisOptions } = options
      const cluster = new Cluster(target.nodes, {
        redisOptions,
        enableOfflineQueue,
        clusterRetryStrategy: (times) => retryStrategy?.(times) ?? 500,
        ...(enableOfflineQueue ? {} : hastyClusterOptions),
        // A certificate names the host, so with TLS the name is not to be replaced by its address.
        ...(settings.tls ? { dnsLookup: (host: string, done: (error: null, host: string) => void) => done(null, host) } : {}),
      })
      limitCluster(cluster, redisOptions.commandTimeout)
      return cluster
    }
  }
}

const toCredentials = ({ username, password }: { username?: string; password?: string }): RedisOptions => ({
  ...(username ? { username } : {}),
  ...(password ? { password } : {}),
})

/**
 * `redis://user:password@host:port/db`, the same with `rediss`, or `unix:///path?db=1`.
 * ioredis would also take its own options from the query, and so let an address undo the limits of a role.
 */
const parseRedisUrl = (value: string) => {
  const url = new URL(value)
  const credentials = toCredentials({ username: decodeURIComponent(url.username), password: decodeURIComponent(url.password) })
  const db = Number(url.searchParams.get('db') ?? 0)
  if (url.protocol === 'unix:') return { ...credentials, path: decodeURIComponent(url.pathname), db, secure: false }
  const host = url.hostname.replace(/^\[|\]$/g, '') || 'localhost'
  return {
    ...credentials,
    host,
    port: Number(url.port || 6379),
    db: Number(url.pathname.slice(1) || db),
    secure: url.protocol === 'rediss:',
  }
}

const secretsOf = ({ target, password }: RedisSettings): string[] => {
  const raw = target.kind === 'url' ? new URL(target.url).password : ''
  const sentinel = target.kind === 'sentinel' ? target.sentinelPassword : ''
  return [password, raw, decodeURIComponent(raw), sentinel].filter((secret) => secret !== undefined && secret !== '') as string[]
}

const logErrors = (options: { client: RedisClient; role: RedisRole; log: Logger; secrets: string[] }) => {
  const { client, role, log, secrets } = options
  const note = createThrottledLog((error: NodeJS.ErrnoException & { lastNodeError?: Error }, unlogged) => {
    const text = [error.message || error.code, error.lastNodeError?.message].filter(Boolean).join(': ')
    // Servers that lack a command repeat its arguments, and those of HELLO and AUTH hold the password.
    const shown = secrets.reduce((shorter, secret) => shorter.replaceAll(secret, '***'), text)
    log.warn({ role, error: shown, unlogged }, 'redis connection error')
  })
  client.on('error', note)
  if (client instanceof Cluster) client.on('node error', note)
}

const closeClient = async (client: RedisClient) => {
  // `quit` waits for what is under way; a server that is gone answers nothing, so the socket is cut after a moment.
  const cut = setTimeout(() => client.disconnect(), 1000)
  const ended = new Promise((resolve) => client.once('end', resolve))
  try {
    if (client.status === 'ready') {
      await client.quit()
      await ended
    }
  } catch {
    // Cut off while it was saying goodbye: closed all the same.
  } finally {
    clearTimeout(cut)
    client.disconnect()
  }
}
