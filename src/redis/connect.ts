// Opens Redis in whichever mode is configured, and hands out connections by role.

import { Cluster, type ClusterOptions, Redis, type RedisOptions } from 'ioredis'
import type { Logger } from 'pino'
import type { RedisSettings } from '../config.js'
import { openEmbeddedRedis } from './embedded.js'

export type RedisClient = Redis | Cluster

/** Roles differ in how long they wait: a request fails within its deadline, a worker never gives up. */
type Role = 'request' | 'limiter' | 'worker' | 'events'

/** At most one line in this time about errors of one connection: a lost Redis raises thousands. */
const errorLogIntervalMs = 5000

const roleOptions: Record<Role, RedisOptions> = {
  request: { enableOfflineQueue: false, maxRetriesPerRequest: 1, commandTimeout: 1000, connectTimeout: 1000, retryStrategy: () => 100 },
  limiter: {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    commandTimeout: 150,
    connectTimeout: 500,
    autoResendUnfulfilledCommands: false,
    retryStrategy: () => 100,
  },
  worker: { maxRetriesPerRequest: null, retryStrategy: (times) => Math.min(50 * times, 500) },
  events: { maxRetriesPerRequest: null, retryStrategy: (times) => Math.min(50 * times, 500) },
}

/** Commands timed out in a row after which a connection counts as hung and is made anew. */
const timeoutsUntilReconnect = 3

/**
 * Starts the embedded server if the settings ask for it; otherwise opens nothing until a role is asked for.
 * `share` lets a worker process use the server of a gateway that runs on the same DATA_DIR.
 * Throws when the embedded server cannot start; an unreachable Redis is no error here, connections heal by themselves.
 */
export const openRedis = async ({ settings, log, share = false }: { settings: RedisSettings; log: Logger; share?: boolean }) => {
  const embedded =
    settings.target.kind === 'embedded'
      ? await openEmbeddedRedis({ dataDir: settings.target.dataDir, binary: settings.target.binary, share, log })
      : undefined
  const clients = new Set<RedisClient>()
  let request: RedisClient | undefined

  /** A new connection of the given role; closed by `close`. */
  const connect = (role: Role): RedisClient => {
    const client = createClient(settings, role, embedded?.socketPath)
    logErrors(client, role, log)
    if (role === 'request') reconnectWhenHung(client, log)
    clients.add(client)
    return client
  }

  return {
    connect,
    /** The one shared connection of the request side. */
    get request(): RedisClient {
      request ??= connect('request')
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

const createClient = (settings: RedisSettings, role: Role, socketPath: string | undefined): RedisClient => {
  const { target } = settings
  const credentials: RedisOptions = {}
  if (settings.username) credentials.username = settings.username
  if (settings.password) credentials.password = settings.password
  const tls = settings.tls || (target.kind === 'url' && target.url.startsWith('rediss:'))
  if (tls) credentials.tls = settings.tlsCa ? { ca: settings.tlsCa } : {}
  const options: RedisOptions = { ...roleOptions[role], ...credentials }
  switch (target.kind) {
    case 'embedded':
      return new Redis({ ...roleOptions[role], path: socketPath as string })
    case 'url': {
      const { path, password, username, db } = parseUnixUrl(target.url)
      if (path === undefined) return new Redis(target.url, options)
      return new Redis({ ...options, ...(password ? { password } : {}), ...(username ? { username } : {}), path, db })
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
        failoverDetector: true,
        sentinelRetryStrategy: (times) => Math.min(50 * times, 500),
        ...(role === 'request' ? { socketTimeout: 3000 } : {}),
      })
    case 'cluster': {
      const { enableOfflineQueue, retryStrategy, ...redisOptions } = options
      const clusterOptions: ClusterOptions = {
        redisOptions,
        clusterRetryStrategy: retryStrategy as (times: number) => number,
        slotsRefreshTimeout: 2000,
        ...(enableOfflineQueue === undefined ? {} : { enableOfflineQueue }),
      }
      return new Cluster(target.nodes, clusterOptions)
    }
  }
}

/** `unix:///path?db=1` with optional credentials; ioredis itself only knows bare paths. */
const parseUnixUrl = (value: string) => {
  if (!value.startsWith('unix:')) return {}
  const url = new URL(value)
  return {
    path: decodeURIComponent(url.pathname),
    username: decodeURIComponent(url.username),
    password: decodeURIComponent(url.password),
    db: Number(url.searchParams.get('db') ?? 0),
  }
}

const logErrors = (client: RedisClient, role: Role, log: Logger) => {
  let quietUntil = 0
  let unlogged = 0
  client.on('error', (error: Error) => {
    const now = Date.now()
    if (now < quietUntil) {
      unlogged++
      return
    }
    log.warn({ role, error: error.message, unlogged }, 'redis connection error')
    quietUntil = now + errorLogIntervalMs
    unlogged = 0
  })
}

/** A hung server keeps its sockets open: `commandTimeout` alone would send every command into the void. */
const reconnectWhenHung = (client: RedisClient, log: Logger) => {
  if (!(client instanceof Redis)) return
  let timeouts = 0
  const sendCommand = client.sendCommand.bind(client)
  client.sendCommand = ((command: Parameters<typeof sendCommand>[0], stream: Parameters<typeof sendCommand>[1]) => {
    command.promise.then(
      () => {
        timeouts = 0
      },
      (error: Error) => {
        if (error.message !== 'Command timed out') return
        timeouts++
        if (timeouts !== timeoutsUntilReconnect) return
        log.warn('redis does not answer: reconnecting')
        timeouts = 0
        client.disconnect(true)
      },
    )
    return sendCommand(command, stream)
  }) as typeof client.sendCommand
}

const closeClient = async (client: RedisClient) => {
  // `quit` waits for what is under way; a server that is gone answers nothing, so the socket is cut after a moment.
  const cut = setTimeout(() => client.disconnect(), 1000)
  try {
    if (client.status === 'ready') await client.quit()
    else client.disconnect()
  } catch {
    client.disconnect()
  } finally {
    clearTimeout(cut)
  }
}
