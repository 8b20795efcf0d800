// Environment and `.env`, read and checked once at start, into one frozen, typed Config.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { type Static, type TObject, type TProperties, Type } from '@sinclair/typebox'
import envSchema from 'env-schema'
import { day } from '../runtime/durations.js'
import { ClientEnvironment, Environment } from './environment.js'
import { type HostPort, readNamedFile, requireKey, requireProxies, requireUrl, toHostPorts, toPairs } from './setting-checks.js'
import { isExposed, judgeSecrets } from './weak-secrets.js'

/** Which Redis to talk to, decided by the variables that are set. */
export type RedisTarget =
  | { kind: 'embedded'; dataDir: string; binary?: string; alwaysSync?: boolean }
  | { kind: 'url'; url: string }
  | { kind: 'host'; host: string; port: number }
  | { kind: 'cluster'; nodes: HostPort[] }
  | { kind: 'sentinel'; sentinels: HostPort[]; name: string; sentinelPassword?: string }

export interface RedisSettings {
  target: RedisTarget
  username?: string
  password?: string
  db: number
  tls: boolean
  tlsCa?: string
  /** Prefix of every key: `{QUEUE_PREFIX}`, braces included, so that all keys share one Cluster slot. */
  prefix: string
  /** Stretches how long the request side waits for Redis; 1 if absent. For tests: their machine may be as slow as it likes. */
  patience?: number
}

/** What every gateway and worker is told, whatever job types it knows. */
export type CoreConfig = Readonly<ReturnType<typeof toConfig>>

/** Besides, what each subject made of its own variables: `settings` is looked into by those who know the subject. */
export type Config<S = unknown> = CoreConfig & {
  readonly settings: S
  /** What the operator should know about settings that work all the same. */
  readonly warnings: readonly string[]
}

/** The variables of one subject, such as e-mail or a vendor, and what they become. */
export interface SubjectSettings<V extends TProperties = TProperties, S = unknown> {
  /** By name: default, bounds, and one line on what it does. */
  readonly variables: V
  /** Throws an Error with one readable line about settings that contradict each other. */
  toSettings(env: Static<TObject<V>>, core: CoreConfig): S
  /** Names of the variables that let in whoever knows their value. */
  readonly credentials: readonly string[]
}

/** States the variables of one subject. */
export const defineSettings = <V extends TProperties, S>(
  variables: V,
  toSettings: (env: Static<TObject<V>>, core: CoreConfig) => S,
  credentials: readonly (keyof V & string)[] = [],
): SubjectSettings<V, S> => ({ variables, toSettings, credentials })

/** What a list of subjects' settings becomes, by subject. */
export type SettingsOf<T extends Readonly<Record<string, SubjectSettings>>> = {
  readonly [K in keyof T]: ReturnType<T[K]['toSettings']>
}

/**
 * Reads the environment and, for what it lacks, `.env` in `cwd`.
 * Secrets may also come from files: `NAME_FILE` names a file that holds the value of `NAME`.
 * `subjects` are those whose settings are wanted beside the core's.
 * Throws an Error with one readable line about every bad value.
 */
export const loadConfig = <T extends Readonly<Record<string, SubjectSettings>> = Record<never, never>>(
  env: NodeJS.ProcessEnv = process.env,
  cwd: string = process.cwd(),
  subjects: T = {} as T,
): Config<SettingsOf<T>> => {
  const variables = Object.assign({}, ...Object.values(subjects).map((subject) => subject.variables))
  const given = read(Type.Object({ ...Environment.properties, ...variables }), env, cwd) as Environment
  const core = toConfig(given)
  const settings = Object.entries(subjects).map(([name, subject]) => [name, subject.toSettings(given, core)])
  const credentials = [...coreCredentials, ...Object.values(subjects).flatMap((subject) => subject.credentials)]
  const secrets = Object.fromEntries(
    credentials.map((name) => [name, (given as Readonly<Record<string, unknown>>)[name] as string | undefined]),
  )
  return Object.freeze({ ...core, settings: Object.fromEntries(settings), warnings: judgeSecrets(secrets, core.isExposed) })
}

/** Variables that let in whoever knows their value. */
const coreCredentials = ['ADMIN_API_KEY', 'METRICS_TOKEN'] as const satisfies readonly (keyof Environment)[]

/** Where the commands that talk to a gateway find it. */
export interface ClientSettings {
  readonly url: string
  readonly apiKey?: string | undefined
}

/** Reads only what such a command needs, from the same places: a setting of the gateway cannot be in its way. */
export const loadClientSettings = (env: NodeJS.ProcessEnv = process.env, cwd: string = process.cwd()): ClientSettings => {
  const given = read(ClientEnvironment, env, cwd)
  const { JOBGATE_URL: url, JOBGATE_API_KEY: apiKey } = given
  // A value that no header can carry would be repeated in the error of fetch.
  requireKey('JOBGATE_API_KEY', apiKey)
  const { username, password, search, hash } = new URL(requireUrl('JOBGATE_URL', url, ['http:', 'https:']))
  if (username || password || search || hash) {
    throw new Error('Configuration: JOBGATE_URL must be a URL without user, password, query or fragment')
  }
  return { url, apiKey }
}

/** The variables of a schema, checked. */
const read = <T extends TObject>(schema: T, env: NodeJS.ProcessEnv, cwd: string): Static<T> =>
  validate(schema, gather(Object.keys(schema.properties), env, cwd))

/** Of the known variables those that are set. The environment wins over `.env`. */
const gather = (known: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Record<string, string> => {
  const given: Record<string, string> = {}
  for (const source of [readDotEnv(cwd), env]) {
    for (const name of known) {
      const value = source[name] ?? readSecretFile(name, source[`${name}_FILE`])
      if (value !== undefined) given[name] = value
    }
  }
  // An empty variable means the same as none, as in docker-compose's `${NAME:-}`.
  for (const [name, value] of Object.entries(given)) if (value === '') delete given[name]
  return given
}

const readDotEnv = (cwd: string): Record<string, string | undefined> => {
  try {
    return parseEnv(readFileSync(resolve(cwd, '.env'), 'utf8')) as Record<string, string | undefined>
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new Error(`.env: cannot read the file (${(error as NodeJS.ErrnoException).code})`)
  }
}

const readSecretFile = (name: string, path: string | undefined): string | undefined => {
  if (!path) return undefined
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (error) {
    throw new Error(`${name}_FILE: cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
  }
}

const validate = <T extends TObject>(schema: T, given: Record<string, string>): Static<T> => {
  try {
    return envSchema<Static<T>>({
      schema: structuredClone(schema),
      data: given,
      env: false,
    })
  } catch (error) {
    const errors = (error as { errors?: { instancePath: string; message?: string; params?: Record<string, unknown> }[] }).errors
    if (!errors) throw error
    const lines = errors.map((each) => {
      const allowed = each.params?.['allowedValues'] as string[] | undefined
      return `${each.instancePath.slice(1)} ${each.message ?? 'is not valid'}${allowed ? `: ${allowed.join(', ')}` : ''}`
    })
    throw new Error(`Configuration: ${lines.join('; ')}`)
  }
}

const toConfig = (env: Environment) => ({
  host: env.HOST,
  port: env.PORT,
  isExposed: isExposed(env.HOST, env.TRUST_PROXY),
  logLevel: env.LOG_LEVEL,
  adminApiKey: requireKey('ADMIN_API_KEY', env.ADMIN_API_KEY),
  workersEnabled: env.WORKERS_ENABLED,
  dataDir: resolve(env.DATA_DIR),
  /** Where the modules of job types are; undefined: there are none. */
  jobTypesDir: env.JOB_TYPES_DIR === undefined ? undefined : resolve(env.JOB_TYPES_DIR),
  /** Names this process in logs and worker records. */
  instanceId: randomUUID().slice(0, 8),
  redis: toRedisSettings(env),
  queues: {
    removeOnComplete: env.QUEUE_REMOVE_ON_COMPLETE,
    removeOnFail: env.QUEUE_REMOVE_ON_FAIL,
    retentionCompletedMs: env.JOB_RETENTION_COMPLETED_MS,
    retentionFailedMs: env.JOB_RETENTION_FAILED_MS,
    defaultAttempts: env.QUEUE_DEFAULT_ATTEMPTS,
    defaultBackoffMs: env.QUEUE_BACKOFF_DELAY,
    /** Jobs of a queue that one worker runs at once: ask `concurrencyOf`. */
    concurrency: {
      byQueue: {
        email: env.QUEUE_CONCURRENCY_EMAIL,
        meeting: env.QUEUE_CONCURRENCY_MEETING ?? env.QUEUE_CONCURRENCY_DEFAULT,
        'external-api': env.QUEUE_CONCURRENCY_EXTERNAL_API ?? env.QUEUE_CONCURRENCY_DEFAULT,
      },
      others: env.QUEUE_CONCURRENCY_DEFAULT,
    },
    lockMs: env.WORKER_LOCK_MS,
    stalledIntervalMs: env.WORKER_STALLED_INTERVAL_MS,
    idempotencyTtlMs: env.QUEUE_IDEMPOTENCY_TTL * 1000,
    maxJobAgeMs: env.QUEUE_MAX_JOB_AGE_HOURS * 3_600_000,
    attemptMarkerMs: attemptMarkerMs(env.JOB_RETENTION_FAILED_MS),
    maxWaitingJobs: env.QUEUE_MAX_WAITING_JOBS,
    maxFailedJobs: env.QUEUE_MAX_FAILED_JOBS,
    maxDepth: env.QUEUE_MAX_DEPTH,
    durability: env.DURABILITY,
  },
  jobTypesMax: env.JOB_TYPES_MAX,
  schedules: { max: env.SCHEDULES_MAX },
  /** Undefined when traces are off. */
  tracing: toTracingSettings(env),
  metrics: { token: env.METRICS_TOKEN, workerPort: env.WORKER_METRICS_PORT },
  board: { readOnly: env.BOARD_READ_ONLY },
  idempotency: { required: env.IDEMPOTENCY_REQUIRED, strict: env.IDEMPOTENCY_STRICT },
  http: {
    maxWaitMs: env.MAX_WAIT_MS,
    maxWaiters: env.MAX_WAITERS,
    maxStreams: env.MAX_STREAMS,
    maxInFlight: env.MAX_IN_FLIGHT,
    maxEventLoopDelayMs: env.MAX_EVENT_LOOP_DELAY_MS,
    shutdownDrainMs: env.SHUTDOWN_DRAIN_MS,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    trustTrace: env.TRUST_TRACE,
    trustProxy: requireProxies('TRUST_PROXY', env.TRUST_PROXY),
    rateLimitMax: env.RATE_LIMIT_MAX,
    rateLimitWindowMs: env.RATE_LIMIT_WINDOW_MS,
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    bodyTimeoutMs: env.BODY_TIMEOUT_MS,
    ndjsonLineBytes: env.NDJSON_LINE_BYTES,
    ndjsonIdleMs: env.NDJSON_IDLE_MS,
  },
  /** AES-256 keys; the first encrypts, all decrypt. */
  encryptionKeys: toEncryptionKeys(env.DATA_ENCRYPTION_KEY),
})

/** How many jobs of a queue one worker runs at once; queues of job types that are registered at run time have no variable of their own. */
export const concurrencyOf = ({ byQueue, others }: Config['queues']['concurrency'], queue: string): number =>
  Object.hasOwn(byQueue, queue) ? byQueue[queue as keyof typeof byQueue] : others

/** Where spans go and which are recorded. */
export type TracingSettings = NonNullable<Config['tracing']>

const toTracingSettings = (env: Environment) => {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: base, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: own, OTEL_TRACES_EXPORTER: exporter } = env
  const isOn = exporter === 'otlp' || (exporter === undefined && (base ?? own) !== undefined)
  if (env.OTEL_SDK_DISABLED || !isOn) return undefined
  if (base) requireUrl('OTEL_EXPORTER_OTLP_ENDPOINT', base, ['http:', 'https:'])
  if (own) requireUrl('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', own, ['http:', 'https:'])
  return {
    url: own ?? `${(base ?? 'http://localhost:4318').replace(/\/+$/, '')}/v1/traces`,
    protocol: env.OTEL_EXPORTER_OTLP_PROTOCOL,
    headers: toPairs('OTEL_EXPORTER_OTLP_HEADERS', env.OTEL_EXPORTER_OTLP_HEADERS),
    serviceName: env.OTEL_SERVICE_NAME,
    resourceAttributes: toPairs('OTEL_RESOURCE_ATTRIBUTES', env.OTEL_RESOURCE_ATTRIBUTES),
    sampler: env.OTEL_TRACES_SAMPLER,
    samplerRatio: env.OTEL_TRACES_SAMPLER_ARG,
  }
}

const toRedisSettings = (env: Environment): RedisSettings => {
  const chosen = [
    env.REDIS_URL ? 'REDIS_URL' : null,
    env.REDIS_HOST ? 'REDIS_HOST' : null,
    env.REDIS_CLUSTER_NODES.length > 0 ? 'REDIS_CLUSTER_NODES' : null,
    env.REDIS_SENTINELS.length > 0 ? 'REDIS_SENTINELS' : null,
  ].filter((name) => name !== null)
  if (chosen.length > 1) throw new Error(`Configuration: set only one of ${chosen.join(', ')}`)
  const settings: RedisSettings = {
    target: toRedisTarget(env),
    db: env.REDIS_DB,
    tls: env.REDIS_TLS,
    prefix: `{${env.QUEUE_PREFIX}}`,
  }
  if (env.REDIS_USERNAME) settings.username = env.REDIS_USERNAME
  if (env.REDIS_PASSWORD) settings.password = env.REDIS_PASSWORD
  if (env.REDIS_TLS_CA_FILE) settings.tlsCa = readNamedFile('REDIS_TLS_CA_FILE', env.REDIS_TLS_CA_FILE)
  return settings
}

const toRedisTarget = (env: Environment): RedisTarget => {
  if (env.REDIS_URL) {
    requireUrl('REDIS_URL', env.REDIS_URL, ['redis:', 'rediss:', 'unix:'])
    return { kind: 'url', url: env.REDIS_URL }
  }
  if (env.REDIS_HOST) return { kind: 'host', host: env.REDIS_HOST, port: env.REDIS_PORT }
  if (env.REDIS_CLUSTER_NODES.length > 0) {
    return { kind: 'cluster', nodes: toHostPorts('REDIS_CLUSTER_NODES', env.REDIS_CLUSTER_NODES) }
  }
  if (env.REDIS_SENTINELS.length > 0) {
    const sentinels = toHostPorts('REDIS_SENTINELS', env.REDIS_SENTINELS)
    const target: RedisTarget = { kind: 'sentinel', sentinels, name: env.REDIS_SENTINEL_NAME }
    if (env.REDIS_SENTINEL_PASSWORD) target.sentinelPassword = env.REDIS_SENTINEL_PASSWORD
    return target
  }
  const target: RedisTarget = { kind: 'embedded', dataDir: resolve(env.DATA_DIR) }
  // Without WAITAOF (before Redis 7.2) nothing else could promise it.
  if (env.DURABILITY === 'fsync') target.alwaysSync = true
  if (env.REDIS_SERVER_BINARY) target.binary = env.REDIS_SERVER_BINARY
  return target
}

const toEncryptionKeys = (value: string | undefined): Buffer[] =>
  (value ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const key = Buffer.from(part.trim(), 'base64')
      if (key.length !== 32) throw new Error('Configuration: DATA_ENCRYPTION_KEY must contain keys of 32 bytes in base64')
      return key
    })

/**
 * How long what an attempt began is remembered after the last attempt that asked, in milliseconds: no attempt takes more than a day,
 * and as long as the failed job is kept a client may retry it.
 */
const attemptMarkerMs = (retentionFailedMs: number): number => Math.max(7 * day, retentionFailedMs) + day
