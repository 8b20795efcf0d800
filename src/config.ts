// Environment and `.env`, read and checked once at start, into one frozen, typed Config.

import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { type Static, type TObject, Type } from '@sinclair/typebox'
import envSchema from 'env-schema'

const day = 24 * 60 * 60 * 1000

const flag = (value: boolean, description: string) => Type.Boolean({ default: value, description })
const count = (value: number, minimum: number, maximum: number, description: string) =>
  Type.Integer({ default: value, minimum, maximum, description })
const text = (description: string) => Type.Optional(Type.String({ minLength: 1, description }))
const textOr = (value: string, description: string) => Type.String({ default: value, minLength: 1, description })
const choice = <const T extends readonly string[]>(value: T[number], values: T, description: string) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values], default: value, description })
/** A comma-separated list. */
const list = (description: string) => Type.Unsafe<string[]>({ type: 'string', separator: ',', default: '', description })

const listOr = (value: string, description: string) =>
  Type.Unsafe<string[]>({ type: 'string', separator: ',', default: value, description })

/** No default of its own: QUEUE_CONCURRENCY_DEFAULT stands in. */
const concurrency = (what: string) => Type.Integer({ minimum: 1, maximum: 1000, description: `${what}; unset: QUEUE_CONCURRENCY_DEFAULT.` })
/** A number without a default: unset means no cap. */
const cap = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000_000, description }))

/** Every variable Jobgate reads. The order is that of `.env.example`. */
export const Environment = Type.Object({
  HOST: textOr('127.0.0.1', 'Address to listen on; the container sets 0.0.0.0.'),
  PORT: count(3000, 0, 65535, 'Port to listen on; 0 takes a free one.'),
  LOG_LEVEL: choice('info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'Least severe level that is logged.'),
  ADMIN_API_KEY: text('The first key, with every scope. Unset: minted at first start, kept in DATA_DIR and printed once.'),
  WORKERS_ENABLED: flag(false, 'Run jobs in this process too.'),
  DATA_DIR: textOr('.jobgate', "The embedded Redis's data and the minted key."),

  REDIS_URL: text('redis://, rediss:// or unix:// address of Redis. No REDIS_ variable at all: an embedded Redis.'),
  REDIS_HOST: text('Host of Redis, instead of REDIS_URL.'),
  REDIS_PORT: count(6379, 1, 65535, 'Port of Redis beside REDIS_HOST.'),
  REDIS_USERNAME: text('ACL user, for every mode but the embedded one.'),
  REDIS_PASSWORD: text('Password, for every mode but the embedded one.'),
  REDIS_DB: count(0, 0, 1_000_000, 'Database number beside REDIS_HOST or REDIS_SENTINELS.'),
  REDIS_CLUSTER_NODES: list('host:port list of a Redis Cluster.'),
  REDIS_SENTINELS: list('host:port list of Sentinels.'),
  REDIS_SENTINEL_NAME: textOr('mymaster', 'Name of the master that the Sentinels watch.'),
  REDIS_SENTINEL_PASSWORD: text('Password of the Sentinels themselves.'),
  REDIS_TLS: flag(false, 'TLS towards REDIS_HOST, REDIS_CLUSTER_NODES or REDIS_SENTINELS; rediss:// implies it.'),
  REDIS_TLS_CA_FILE: text('PEM file of the authority that signed the certificate of Redis.'),
  REDIS_SERVER_BINARY: text('Path of redis-server or valkey-server for the embedded Redis; unset: looked for in PATH.'),
  QUEUE_PREFIX: Type.String({
    default: 'jobgate',
    pattern: '^[A-Za-z0-9_-]{1,64}$',
    description: 'Namespace of every key in Redis; gateways and workers that belong together share it.',
  }),

  QUEUE_REMOVE_ON_COMPLETE: cap('Cap on kept completed jobs per queue, besides their age.'),
  QUEUE_REMOVE_ON_FAIL: cap('Cap on kept failed jobs per queue, besides their age.'),
  JOB_RETENTION_COMPLETED_MS: count(day, 1000, 366 * day, 'How long completed jobs can be read, in milliseconds.'),
  JOB_RETENTION_FAILED_MS: count(7 * day, 1000, 366 * day, 'How long failed and cancelled jobs can be read, in milliseconds.'),
  QUEUE_DEFAULT_ATTEMPTS: count(3, 1, 25, 'Attempts where a job type says nothing.'),
  QUEUE_BACKOFF_DELAY: count(5000, 0, day, 'Backoff in milliseconds where a job type says nothing.'),
  QUEUE_CONCURRENCY_DEFAULT: count(1, 1, 1000, 'Jobs at once per worker where no other variable applies.'),
  QUEUE_CONCURRENCY_EMAIL: count(2, 1, 1000, 'E-mail jobs at once per worker.'),
  QUEUE_CONCURRENCY_MEETING: Type.Optional(concurrency('Meeting jobs at once per worker')),
  QUEUE_CONCURRENCY_EXTERNAL_API: Type.Optional(concurrency('External API jobs at once per worker')),
  WORKER_LOCK_MS: count(30_000, 1000, 3_600_000, 'A worker that does not renew its hold on a job for this long has lost it.'),
  WORKER_STALLED_INTERVAL_MS: count(15_000, 500, 3_600_000, 'How often workers look for jobs that others have lost.'),
  QUEUE_IDEMPOTENCY_TTL: count(86_400, 1, 31_622_400, 'Seconds an idempotency key is remembered.'),
  QUEUE_MAX_JOB_AGE_HOURS: count(24, 1, 8784, 'A job due longer ago than this when it starts is failed with too_old.'),
  QUEUE_MAX_WAITING_JOBS: count(100, 0, 1_000_000_000, 'Above this many waiting jobs a queue is unhealthy.'),
  QUEUE_MAX_FAILED_JOBS: count(50, 0, 1_000_000_000, 'Above this many failed jobs a queue is unhealthy.'),
  QUEUE_MAX_DEPTH: count(1_000_000, 1, 1_000_000_000, 'Above this many unfinished jobs in a queue a submission is refused.'),
  SCHEDULES_MAX: count(1000, 0, 1_000_000, 'Schedules a tenant may have at once.'),
  DURABILITY: choice(
    'memory',
    ['memory', 'fsync', 'replicated'],
    'What a 2xx stands for: in Redis, on its disk (Redis 7.2 or Valkey), or on a replica too.',
  ),
  IDEMPOTENCY_REQUIRED: flag(false, 'Refuse submissions without an Idempotency-Key.'),
  IDEMPOTENCY_STRICT: flag(false, 'Accept only the quoted form of the Idempotency-Key.'),

  MAX_WAIT_MS: count(30_000, 0, 600_000, 'The longest wait that is granted, in milliseconds.'),
  MAX_WAITERS: count(1000, 0, 1_000_000, 'Long polls at once per tenant and instance; beyond them the wait is not granted.'),
  MAX_STREAMS: count(1000, 0, 1_000_000, 'Event streams at once per tenant and instance.'),
  SHUTDOWN_DRAIN_MS: count(5000, 0, 600_000, 'How long it stays up but unready before it stops accepting.'),
  SHUTDOWN_GRACE_MS: count(30_000, 0, 3_600_000, 'How long running jobs may go on at shutdown before they are handed back.'),
  TRUST_TRACE: flag(true, "Carry a caller's traceparent on; false starts a new trace."),
  OTEL_TRACES_EXPORTER: Type.Optional(
    Type.Unsafe<'otlp' | 'none'>({
      type: 'string',
      enum: ['otlp', 'none'],
      description: 'otlp sends traces, none does not; unset: they are sent once an endpoint below is set.',
    }),
  ),
  OTEL_SDK_DISABLED: flag(false, 'No traces, whatever else is set.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text('Address of a collector, such as http://collector:4318; /v1/traces is added.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text('Its address for traces, as it is; goes before the other.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: choice('http/protobuf', ['http/protobuf', 'http/json'], 'How spans are sent.'),
  OTEL_EXPORTER_OTLP_HEADERS: list('name=value list of headers that the collector asks for, values percent-encoded.'),
  OTEL_SERVICE_NAME: textOr('jobgate', 'Name of this service in traces.'),
  OTEL_RESOURCE_ATTRIBUTES: list('name=value list that every span carries, values percent-encoded.'),
  OTEL_TRACES_SAMPLER: choice(
    'parentbased_always_on',
    ['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'],
    'Which traces are recorded; parentbased_ follows the caller where it has decided.',
  ),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({ default: 1, minimum: 0, maximum: 1, description: 'Share of traces that traceidratio records.' }),
  METRICS_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{16,512}$',
      description: 'Bearer token that /metrics asks for; unset: it is public, as the probes are.',
    }),
  ),
  WORKER_METRICS_PORT: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65535, description: 'Port at HOST on which a worker process serves /metrics; unset: nowhere.' }),
  ),
  TRUST_PROXY: list('Addresses or CIDR ranges of proxies whose X-Forwarded-For is believed.'),
  RATE_LIMIT_MAX: count(600, 1, 1_000_000_000, 'Requests per window and API key; failed authentications per window and address.'),
  RATE_LIMIT_WINDOW_MS: count(1000, 100, 86_400_000, 'Length of that window in milliseconds.'),
  BODY_LIMIT_BYTES: count(1_048_576, 1024, 16_777_216, 'Largest JSON body.'),
  BODY_TIMEOUT_MS: count(10_000, 100, 600_000, 'A JSON body has to arrive within this time.'),
  NDJSON_LINE_BYTES: count(262_144, 1024, 1_048_576, 'Longest line of an NDJSON batch.'),
  NDJSON_IDLE_MS: count(30_000, 100, 600_000, 'An NDJSON batch may pause this long between two chunks.'),
  DATA_ENCRYPTION_KEY: text(
    '32 bytes in base64: encrypts sensitive members of job data at rest. Several, comma-separated: the first encrypts, all decrypt.',
  ),

  SMTP_URL: text('smtp:// or smtps:// address of the mail server, with user and password if it asks for them.'),
  MAIL_FROM: textOr('Jobgate <no-reply@localhost>', 'Sender of every e-mail.'),
  SMTP_REQUIRE_TLS: flag(false, 'Refuse to send without TLS.'),
  SMTP_MAX_CONNECTIONS: count(5, 1, 100, 'Connections to the mail server at once.'),
  SMTP_RATE_PER_SECOND: count(0, 0, 100_000, 'Messages a second at most; 0 sets no limit.'),
  SMTP_CONNECT_TIMEOUT_MS: count(10_000, 100, 600_000, 'Connecting to the mail server may take this long.'),
  SMTP_SOCKET_TIMEOUT_MS: count(30_000, 100, 600_000, 'The mail server may stay silent this long.'),
  EMAIL_TEMPLATE_DIR: text(
    "Folder whose files <name>.<en|zh>.<html|text|subject>.hbs replace or join Jobgate's own templates; see docs/email-templates.md.",
  ),
  EMAIL_DEFAULT_LOCALE: choice('en', ['en', 'zh'], 'Language of an e-mail that names none.'),
  EMAIL_LINK_HOSTS: list('Hosts that links in e-mails may point to; empty allows every host.'),
  EMAIL_MESSAGE_ID_DOMAIN: text('Domain of the Message-ID; unset: that of MAIL_FROM.'),
  EMAIL_ON_AMBIGUOUS: choice('retry', ['retry', 'fail'], 'What to do when the connection broke after the message was handed over.'),

  STORAGE_AWS_REGION: text('Region of Amazon S3, such as eu-central-1. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_AWS_BUCKET: text('Bucket that recordings go to on Amazon S3.'),
  STORAGE_AWS_ACCESS_KEY_ID: text('Access key id for Amazon S3.'),
  STORAGE_AWS_SECRET_ACCESS_KEY: text('Secret access key for Amazon S3.'),
  STORAGE_AWS_ENDPOINT: text('http:// or https:// address instead of the one that the region gives.'),
  STORAGE_AWS_FORCE_PATH_STYLE: flag(false, 'Put the bucket into the path instead of the host name.'),
  STORAGE_ALIYUN_REGION: text('Region of Aliyun OSS, such as cn-shanghai. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_ALIYUN_BUCKET: text('Bucket that recordings go to on Aliyun OSS.'),
  STORAGE_ALIYUN_ACCESS_KEY_ID: text('Access key id for Aliyun OSS.'),
  STORAGE_ALIYUN_SECRET_ACCESS_KEY: text('Secret access key for Aliyun OSS.'),
  STORAGE_ALIYUN_ENDPOINT: text('http:// or https:// address instead of the one that the region gives.'),
  STORAGE_ALIYUN_FORCE_PATH_STYLE: flag(false, 'Put the bucket into the path instead of the host name.'),
  STORAGE_TENCENT_REGION: text('Region of Tencent COS, such as ap-guangzhou. Set all four of REGION, BUCKET and the two keys, or none.'),
  STORAGE_TENCENT_BUCKET: text('Bucket that recordings go to on Tencent COS, with the APPID at its end.'),
  STORAGE_TENCENT_ACCESS_KEY_ID: text('Access key id for Tencent COS.'),
  STORAGE_TENCENT_SECRET_ACCESS_KEY: text('Secret access key for Tencent COS.'),
  STORAGE_TENCENT_ENDPOINT: text('http:// or https:// address instead of the one that the region gives.'),
  STORAGE_TENCENT_FORCE_PATH_STYLE: flag(false, 'Put the bucket into the path instead of the host name.'),

  UPLOAD_MAX_BYTES: count(5_368_709_120, 1, 5_497_558_138_880, 'Largest recording that is uploaded.'),
  UPLOAD_CONTENT_TYPES: listOr(
    'video/*,audio/*,text/plain,text/vtt,application/octet-stream',
    'Media types that are uploaded; a subtype may be *.',
  ),
  UPLOAD_PART_BYTES: count(
    8_388_608,
    5_242_880,
    536_870_912,
    'Size of one part of an upload; about three parts are held in memory per upload.',
  ),
  UPLOAD_CONCURRENCY: count(
    1,
    1,
    1000,
    'Uploads at once per worker; where a worker runs several jobs at once, one is always left for other types.',
  ),
  UPLOAD_IDLE_TIMEOUT_MS: count(30_000, 100, 600_000, 'The source of a recording may stay silent this long.'),

  LARK_BASE_URL: textOr('https://open.feishu.cn', 'Address of the Lark API; https://open.larksuite.com outside of China.'),
  LARK_APP_ID: text('App id at Lark. Set LARK_APP_ID and LARK_APP_SECRET, or neither.'),
  LARK_APP_SECRET: text('App secret at Lark.'),
  LARK_ENCRYPT_KEY: text('Encrypt key of the events that Lark sends. Set LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN, or neither.'),
  LARK_VERIFICATION_TOKEN: text('Verification token of the events that Lark sends.'),
  LARK_TIMEOUT_MS: count(15_000, 100, 600_000, 'One call to Lark may take this long.'),
  LARK_MEETING_APP_TOKEN: text('Token of the Base that meetings are synced to when a job names none; LARK_MEETING_TABLE_ID goes with it.'),
  LARK_MEETING_TABLE_ID: text('Table that meetings are synced to when a job names none.'),
  LARK_MEETING_KEY_FIELD: textOr('meetingId', 'Column that holds the meeting id when a job names none.'),

  TENCENT_MEETING_BASE_URL: textOr('https://api.meeting.qq.com', 'Address of the Tencent Meeting API.'),
  TENCENT_MEETING_SECRET_ID: text('Secret id at Tencent Meeting. Set SECRET_ID, SECRET_KEY and APP_ID, or none of them.'),
  TENCENT_MEETING_SECRET_KEY: text('Secret key at Tencent Meeting.'),
  TENCENT_MEETING_APP_ID: text('App id (enterprise id) at Tencent Meeting.'),
  TENCENT_MEETING_SDK_ID: text('SDK id at Tencent Meeting, for apps that have one.'),
  TENCENT_MEETING_USER_ID: text('User on whose behalf meetings are managed when a job names nobody.'),
  TENCENT_MEETING_INSTANCE_ID: count(1, 0, 100, 'Kind of device that calls are made for; 1 is a PC.'),
  TENCENT_MEETING_WEBHOOK_TOKEN: text('Token of the events that Tencent Meeting sends.'),
  TENCENT_MEETING_ENCODING_AES_KEY: text('EncodingAESKey of those events, 43 characters; unset: they come unencrypted.'),
  TENCENT_MEETING_TIMEOUT_MS: count(15_000, 100, 600_000, 'One call to Tencent Meeting may take this long.'),

  ALIYUN_SMS_ENDPOINT: textOr('https://dysmsapi.aliyuncs.com', 'Address of the Aliyun SMS API.'),
  ALIYUN_SMS_ACCESS_KEY_ID: text('Access key id for Aliyun SMS. Set ACCESS_KEY_ID, ACCESS_KEY_SECRET and TEMPLATES, or none of them.'),
  ALIYUN_SMS_ACCESS_KEY_SECRET: text('Access key secret for Aliyun SMS.'),
  ALIYUN_SMS_SIGN_NAME: text('Sign name of text messages whose job names none.'),
  ALIYUN_SMS_TEMPLATES: list('Template codes that jobs may use.'),
  ALIYUN_SMS_TIMEOUT_MS: count(10_000, 100, 600_000, 'One call to Aliyun SMS may take this long.'),
  ALIYUN_SMS_PER_NUMBER_LIMITS: listOr('1/60,5/3600,10/86400', 'Text messages one phone number may get: count/seconds, all of them hold.'),

  ANALYSIS_LLM_BASE_URL: text(
    'Address of an OpenAI-compatible language model, version included. Set LLM_BASE_URL and LLM_MODEL, or none of them.',
  ),
  ANALYSIS_LLM_API_KEY: text('API key of the language model, if it asks for one.'),
  ANALYSIS_LLM_MODEL: text('Name of the model.'),
  ANALYSIS_LLM_TIMEOUT_MS: count(60_000, 100, 600_000, 'One call to the language model may take this long.'),
  ANALYSIS_LLM_MAX_TOKENS: count(2000, 100, 100_000, 'Tokens of one answer of the language model.'),
  ANALYSIS_MAX_SENTENCES: count(
    2000,
    100,
    5000,
    'Transcripts with more sentences are summarised part by part, and not sent to the language model.',
  ),
  ANALYSIS_THREADS: count(1, 1, 64, 'Transcripts analysed at once per worker, each in a thread of its own.'),

  OUTBOUND_ALLOW_HOSTS: list(
    'Hosts that addresses in job data may point to, .example.com for a whole domain; empty allows every public host.',
  ),
  OUTBOUND_ALLOW_PORTS: list('Ports besides 80 and 443 that addresses in job data may name.'),
  OUTBOUND_ALLOW_PRIVATE_HOSTS: list(
    'host:port list that may be reached although private, by plain http too. For tests and demonstrations only.',
  ),
  OUTBOUND_MAX_REDIRECTS: count(3, 0, 10, 'Redirects that are followed while fetching.'),

  JOBGATE_URL: textOr('http://127.0.0.1:3000', 'Address of the gateway that commands such as submit talk to.'),
  JOBGATE_API_KEY: text('API key that these commands send.'),
})
type Environment = Static<typeof Environment>

/** Which Redis to talk to, decided by the variables that are set. */
export type RedisTarget =
  | { kind: 'embedded'; dataDir: string; binary?: string }
  | { kind: 'url'; url: string }
  | { kind: 'host'; host: string; port: number }
  | { kind: 'cluster'; nodes: HostPort[] }
  | { kind: 'sentinel'; sentinels: HostPort[]; name: string; sentinelPassword?: string }

export interface HostPort {
  host: string
  port: number
}

export interface RedisSettings {
  target: RedisTarget
  username?: string
  password?: string
  db: number
  tls: boolean
  tlsCa?: string
  /** Prefix of every key: `{QUEUE_PREFIX}`, braces included, so that all keys share one Cluster slot. */
  prefix: string
}

export type Config = Readonly<ReturnType<typeof toConfig>>

/**
 * Reads the environment and, for what it lacks, `.env` in `cwd`.
 * Secrets may also come from files: `NAME_FILE` names a file that holds the value of `NAME`.
 * Throws an Error with one readable line about every bad value.
 */
export const loadConfig = (env: NodeJS.ProcessEnv = process.env, cwd: string = process.cwd()): Config => {
  return Object.freeze(toConfig(validate(Environment, gather(Object.keys(Environment.properties), env, cwd))))
}

/** Where the commands that talk to a gateway find it. */
export interface ClientSettings {
  readonly url: string
  readonly apiKey?: string | undefined
}

const ClientEnvironment = Type.Pick(Environment, ['JOBGATE_URL', 'JOBGATE_API_KEY'])

/** Reads only what such a command needs, from the same places: a setting of the gateway cannot be in its way. */
export const loadClientSettings = (env: NodeJS.ProcessEnv = process.env, cwd: string = process.cwd()): ClientSettings => {
  const given = validate(ClientEnvironment, gather(Object.keys(ClientEnvironment.properties), env, cwd))
  const { JOBGATE_URL: url, JOBGATE_API_KEY: apiKey } = given
  // A value that no header can carry would be repeated in the error of fetch.
  if (apiKey !== undefined && !/^[\x21-\x7e]{8,512}$/.test(apiKey)) {
    throw new Error('Configuration: JOBGATE_API_KEY needs 8 to 512 visible ASCII characters')
  }
  const { username, password, search, hash } = new URL(requireUrl('JOBGATE_URL', url, ['http:', 'https:']))
  if (username || password || search || hash) {
    throw new Error('Configuration: JOBGATE_URL takes an address without user, password, query and fragment')
  }
  return { url, apiKey }
}

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
    throw new Error(`.env: cannot be read (${(error as NodeJS.ErrnoException).code})`)
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
  logLevel: env.LOG_LEVEL,
  adminApiKey: requireAdminKey(env.ADMIN_API_KEY),
  workersEnabled: env.WORKERS_ENABLED,
  dataDir: resolve(env.DATA_DIR),
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
    concurrency: {
      email: env.QUEUE_CONCURRENCY_EMAIL,
      meeting: env.QUEUE_CONCURRENCY_MEETING ?? env.QUEUE_CONCURRENCY_DEFAULT,
      'external-api': env.QUEUE_CONCURRENCY_EXTERNAL_API ?? env.QUEUE_CONCURRENCY_DEFAULT,
    },
    lockMs: env.WORKER_LOCK_MS,
    stalledIntervalMs: env.WORKER_STALLED_INTERVAL_MS,
    idempotencyTtlMs: env.QUEUE_IDEMPOTENCY_TTL * 1000,
    maxJobAgeMs: env.QUEUE_MAX_JOB_AGE_HOURS * 3_600_000,
    maxWaitingJobs: env.QUEUE_MAX_WAITING_JOBS,
    maxFailedJobs: env.QUEUE_MAX_FAILED_JOBS,
    maxDepth: env.QUEUE_MAX_DEPTH,
    durability: env.DURABILITY,
  },
  schedules: { max: env.SCHEDULES_MAX },
  /** Undefined when traces are off. */
  tracing: toTracingSettings(env),
  metrics: { token: env.METRICS_TOKEN, workerPort: env.WORKER_METRICS_PORT },
  idempotency: { required: env.IDEMPOTENCY_REQUIRED, strict: env.IDEMPOTENCY_STRICT },
  http: {
    maxWaitMs: env.MAX_WAIT_MS,
    maxWaiters: env.MAX_WAITERS,
    maxStreams: env.MAX_STREAMS,
    shutdownDrainMs: env.SHUTDOWN_DRAIN_MS,
    shutdownGraceMs: env.SHUTDOWN_GRACE_MS,
    trustTrace: env.TRUST_TRACE,
    trustProxy: env.TRUST_PROXY,
    rateLimitMax: env.RATE_LIMIT_MAX,
    rateLimitWindowMs: env.RATE_LIMIT_WINDOW_MS,
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    bodyTimeoutMs: env.BODY_TIMEOUT_MS,
    ndjsonLineBytes: env.NDJSON_LINE_BYTES,
    ndjsonIdleMs: env.NDJSON_IDLE_MS,
  },
  /** AES-256 keys; the first encrypts, all decrypt. */
  encryptionKeys: toEncryptionKeys(env.DATA_ENCRYPTION_KEY),
  smtp: env.SMTP_URL
    ? {
        url: requireUrl('SMTP_URL', env.SMTP_URL, ['smtp:', 'smtps:']),
        requireTls: env.SMTP_REQUIRE_TLS,
        maxConnections: env.SMTP_MAX_CONNECTIONS,
        ratePerSecond: env.SMTP_RATE_PER_SECOND,
        connectTimeoutMs: env.SMTP_CONNECT_TIMEOUT_MS,
        socketTimeoutMs: env.SMTP_SOCKET_TIMEOUT_MS,
      }
    : undefined,
  email: {
    from: env.MAIL_FROM,
    templateDir: env.EMAIL_TEMPLATE_DIR,
    defaultLocale: env.EMAIL_DEFAULT_LOCALE,
    linkHosts: env.EMAIL_LINK_HOSTS,
    messageIdDomain: env.EMAIL_MESSAGE_ID_DOMAIN,
    onAmbiguous: env.EMAIL_ON_AMBIGUOUS,
  },
  storage: {
    aws: toStorageSettings(env, 'AWS'),
    aliyun: toStorageSettings(env, 'ALIYUN'),
    tencent: toStorageSettings(env, 'TENCENT'),
  },
  upload: {
    maxBytes: env.UPLOAD_MAX_BYTES,
    /** Lower case. */
    contentTypes: env.UPLOAD_CONTENT_TYPES.map((entry) => entry.trim().toLowerCase()),
    partBytes: env.UPLOAD_PART_BYTES,
    concurrency: env.UPLOAD_CONCURRENCY,
    idleTimeoutMs: env.UPLOAD_IDLE_TIMEOUT_MS,
  },
  lark: toLarkSettings(env),
  /** What events of Lark are checked with. */
  larkCallback: areTogether('LARK_ENCRYPT_KEY and LARK_VERIFICATION_TOKEN', {
    LARK_ENCRYPT_KEY: env.LARK_ENCRYPT_KEY,
    LARK_VERIFICATION_TOKEN: env.LARK_VERIFICATION_TOKEN,
  })
    ? { encryptKey: env.LARK_ENCRYPT_KEY as string, verificationToken: env.LARK_VERIFICATION_TOKEN as string }
    : undefined,
  tencentMeeting: toTencentMeetingSettings(env),
  /** What events of Tencent Meeting are checked with. */
  tencentMeetingCallback: toTencentCallbackSettings(env),
  aliyunSms: toAliyunSmsSettings(env),
  analysis: { threads: env.ANALYSIS_THREADS, maxSentences: env.ANALYSIS_MAX_SENTENCES, llm: toLlmSettings(env) },
  outbound: {
    /** Lower case; an entry that starts with a dot stands for a whole domain. */
    allowHosts: env.OUTBOUND_ALLOW_HOSTS.map((entry) => entry.trim().toLowerCase()),
    allowPorts: env.OUTBOUND_ALLOW_PORTS.map((entry) => requirePort('OUTBOUND_ALLOW_PORTS', entry)),
    allowPrivateHosts: toHostPorts('OUTBOUND_ALLOW_PRIVATE_HOSTS', env.OUTBOUND_ALLOW_PRIVATE_HOSTS),
    maxRedirects: env.OUTBOUND_MAX_REDIRECTS,
  },
})

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

/** Entries of the form `name=value`. Values may be secret: they are not repeated. */
const toPairs = (name: string, entries: readonly string[]): Readonly<Record<string, string>> =>
  Object.fromEntries(
    entries.map((entry) => {
      const [, key, value] = /^\s*([^\s=,;]+)\s*=\s*([\x21-\x7e]*)\s*$/.exec(entry) ?? []
      if (key === undefined || value === undefined) throw new Error(`Configuration: ${name} is a comma-separated list of name=value`)
      try {
        return [key, decodeURIComponent(value)]
      } catch {
        throw new Error(`Configuration: ${name} has a value that is not percent-encoded`)
      }
    }),
  )

const toLlmSettings = (env: Environment) => {
  const { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL } = env
  if (!areTogether('The language model of ANALYSIS_', { ANALYSIS_LLM_BASE_URL, ANALYSIS_LLM_MODEL })) return undefined
  return {
    baseUrl: requireUrl('ANALYSIS_LLM_BASE_URL', ANALYSIS_LLM_BASE_URL as string, ['http:', 'https:']),
    apiKey: env.ANALYSIS_LLM_API_KEY,
    model: ANALYSIS_LLM_MODEL as string,
    timeoutMs: env.ANALYSIS_LLM_TIMEOUT_MS,
    maxTokens: env.ANALYSIS_LLM_MAX_TOKENS,
    maxSentences: env.ANALYSIS_MAX_SENTENCES,
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
  if (env.REDIS_TLS_CA_FILE) settings.tlsCa = readFileSync(env.REDIS_TLS_CA_FILE, 'utf8')
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
  if (env.REDIS_SERVER_BINARY) target.binary = env.REDIS_SERVER_BINARY
  return target
}

const toHostPorts = (name: string, entries: string[]): HostPort[] =>
  entries.map((entry) => {
    const match = /^\s*(?:\[([^\]]+)\]|([^:\s]+)):(\d{1,5})\s*$/.exec(entry)
    if (!match) throw new Error(`Configuration: ${name} is a comma-separated list of host:port, "${entry}" is not`)
    return { host: (match[1] ?? match[2]) as string, port: Number(match[3]) }
  })

/** One bucket of one provider. */
export interface StorageSettings {
  region: string
  bucket: string
  accessKeyId: string
  secretAccessKey: string
  endpoint: string | undefined
  forcePathStyle: boolean
}

const toStorageSettings = (env: Environment, provider: 'AWS' | 'ALIYUN' | 'TENCENT'): StorageSettings | undefined => {
  const region = env[`STORAGE_${provider}_REGION`]
  const bucket = env[`STORAGE_${provider}_BUCKET`]
  const accessKeyId = env[`STORAGE_${provider}_ACCESS_KEY_ID`]
  const secretAccessKey = env[`STORAGE_${provider}_SECRET_ACCESS_KEY`]
  const endpoint = env[`STORAGE_${provider}_ENDPOINT`]
  const forcePathStyle = env[`STORAGE_${provider}_FORCE_PATH_STYLE`]
  if (endpoint) requireUrl(`STORAGE_${provider}_ENDPOINT`, endpoint, ['http:', 'https:'])
  if (region && bucket && accessKeyId && secretAccessKey) {
    return { region, bucket, accessKeyId, secretAccessKey, endpoint, forcePathStyle }
  }
  const missing = Object.entries({ REGION: region, BUCKET: bucket, ACCESS_KEY_ID: accessKeyId, SECRET_ACCESS_KEY: secretAccessKey })
    .filter(([, value]) => !value)
    .map(([name]) => `STORAGE_${provider}_${name}`)
  if (missing.length === 4 && !endpoint && !forcePathStyle) return undefined
  throw new Error(`Configuration: STORAGE_${provider}_ is half set, it lacks ${missing.join(', ')}`)
}

const requirePort = (name: string, entry: string): number => {
  const port = /^\s*\d{1,5}\s*$/.test(entry) ? Number(entry) : 0
  if (port < 1 || port > 65_535) throw new Error(`Configuration: ${name} is a comma-separated list of ports, "${entry}" is not one`)
  return port
}

/** True when all are set, false when none is. Throws about those that others make necessary. */
const areTogether = (what: string, settings: Readonly<Record<string, unknown>>): boolean => {
  const missing = Object.keys(settings).filter((name) => settings[name] === undefined)
  if (missing.length === 0) return true
  if (missing.length === Object.keys(settings).length) return false
  throw new Error(`Configuration: ${what} is half set, it lacks ${missing.join(', ')}`)
}

const toLarkSettings = (env: Environment) => {
  requireUrl('LARK_BASE_URL', env.LARK_BASE_URL, ['http:', 'https:'])
  const { LARK_APP_ID, LARK_APP_SECRET, LARK_MEETING_APP_TOKEN, LARK_MEETING_TABLE_ID } = env
  areTogether('LARK_MEETING_', { LARK_MEETING_APP_TOKEN, LARK_MEETING_TABLE_ID })
  if (!areTogether('LARK_', { LARK_APP_ID, LARK_APP_SECRET })) return undefined
  return {
    baseUrl: env.LARK_BASE_URL,
    appId: LARK_APP_ID as string,
    appSecret: LARK_APP_SECRET as string,
    timeoutMs: env.LARK_TIMEOUT_MS,
    meetings: { appToken: LARK_MEETING_APP_TOKEN, tableId: LARK_MEETING_TABLE_ID, keyField: env.LARK_MEETING_KEY_FIELD },
  }
}

const toTencentMeetingSettings = (env: Environment) => {
  requireUrl('TENCENT_MEETING_BASE_URL', env.TENCENT_MEETING_BASE_URL, ['http:', 'https:'])
  const { TENCENT_MEETING_SECRET_ID, TENCENT_MEETING_SECRET_KEY, TENCENT_MEETING_APP_ID } = env
  if (!areTogether('TENCENT_MEETING_', { TENCENT_MEETING_SECRET_ID, TENCENT_MEETING_SECRET_KEY, TENCENT_MEETING_APP_ID })) return undefined
  return {
    baseUrl: env.TENCENT_MEETING_BASE_URL,
    secretId: TENCENT_MEETING_SECRET_ID as string,
    secretKey: TENCENT_MEETING_SECRET_KEY as string,
    appId: TENCENT_MEETING_APP_ID as string,
    sdkId: env.TENCENT_MEETING_SDK_ID,
    userId: env.TENCENT_MEETING_USER_ID,
    instanceId: env.TENCENT_MEETING_INSTANCE_ID,
    timeoutMs: env.TENCENT_MEETING_TIMEOUT_MS,
  }
}

const toTencentCallbackSettings = (env: Environment) => {
  const { TENCENT_MEETING_WEBHOOK_TOKEN, TENCENT_MEETING_ENCODING_AES_KEY } = env
  if (TENCENT_MEETING_ENCODING_AES_KEY !== undefined) {
    areTogether('The webhook of TENCENT_MEETING_', { TENCENT_MEETING_WEBHOOK_TOKEN, TENCENT_MEETING_ENCODING_AES_KEY })
    if (!/^[A-Za-z0-9+/]{43}$/.test(TENCENT_MEETING_ENCODING_AES_KEY)) {
      throw new Error('Configuration: TENCENT_MEETING_ENCODING_AES_KEY has 43 characters: letters, digits, + and /')
    }
  }
  return TENCENT_MEETING_WEBHOOK_TOKEN === undefined
    ? undefined
    : { token: TENCENT_MEETING_WEBHOOK_TOKEN, encodingAesKey: TENCENT_MEETING_ENCODING_AES_KEY }
}

const toAliyunSmsSettings = (env: Environment) => {
  requireUrl('ALIYUN_SMS_ENDPOINT', env.ALIYUN_SMS_ENDPOINT, ['http:', 'https:'])
  const { ALIYUN_SMS_ACCESS_KEY_ID, ALIYUN_SMS_ACCESS_KEY_SECRET } = env
  const templates = env.ALIYUN_SMS_TEMPLATES.map((entry) => entry.trim())
  const settings = {
    ALIYUN_SMS_ACCESS_KEY_ID,
    ALIYUN_SMS_ACCESS_KEY_SECRET,
    ALIYUN_SMS_TEMPLATES: templates.length > 0 ? templates : undefined,
  }
  const perNumberLimits = env.ALIYUN_SMS_PER_NUMBER_LIMITS.map(toNumberLimit)
  if (!areTogether('ALIYUN_SMS_', settings)) return undefined
  return {
    endpoint: env.ALIYUN_SMS_ENDPOINT,
    accessKeyId: ALIYUN_SMS_ACCESS_KEY_ID as string,
    accessKeySecret: ALIYUN_SMS_ACCESS_KEY_SECRET as string,
    signName: env.ALIYUN_SMS_SIGN_NAME,
    templates,
    timeoutMs: env.ALIYUN_SMS_TIMEOUT_MS,
    perNumberLimits,
    rememberMs: env.JOB_RETENTION_FAILED_MS,
  }
}

const toNumberLimit = (entry: string) => {
  const [, messages, seconds] = /^\s*([1-9]\d{0,4})\/([1-9]\d{0,6})\s*$/.exec(entry) ?? []
  if (messages === undefined) throw new Error(`Configuration: ALIYUN_SMS_PER_NUMBER_LIMITS is a list of count/seconds, "${entry}" is not`)
  return { count: Number(messages), windowMs: Number(seconds) * 1000 }
}

const requireUrl = (name: string, value: string, protocols: string[]): string => {
  let url: URL
  try {
    url = new URL(value)
  } catch {
    // The value may hold a password: it is not repeated.
    throw new Error(`Configuration: ${name} is not an address`)
  }
  if (!protocols.includes(url.protocol)) throw new Error(`Configuration: ${name} has to start with ${protocols.join(' or ')}//`)
  return value
}

const requireAdminKey = (key: string | undefined): string | undefined => {
  if (key !== undefined && !/^[\x21-\x7e]{8,512}$/.test(key)) {
    throw new Error('Configuration: ADMIN_API_KEY needs 8 to 512 visible ASCII characters')
  }
  return key
}

const toEncryptionKeys = (value: string | undefined): Buffer[] =>
  (value ?? '')
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const key = Buffer.from(part.trim(), 'base64')
      if (key.length !== 32) throw new Error('Configuration: DATA_ENCRYPTION_KEY holds keys of 32 bytes in base64')
      return key
    })
