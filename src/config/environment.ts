// The variables of Jobgate itself: name, bounds, default, and one line on what each does. Subjects state their own.

import { type Static, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import { choice, count, flag, list, text, textOr } from './variables.js'

/** No default of its own: QUEUE_CONCURRENCY_DEFAULT stands in. */
const concurrency = (what: string) => Type.Integer({ minimum: 1, maximum: 1000, description: `${what}; unset: QUEUE_CONCURRENCY_DEFAULT.` })
/** A number without a default: unset means no cap. */
const cap = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000_000, description }))

/** What gateways and workers read, whatever job types they know. */
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
  QUEUE_CONCURRENCY_EXTERNAL_API: Type.Optional(
    concurrency('External API jobs at once per worker; with 1, an upload holds up what is behind it'),
  ),
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
    'What a 2xx stands for: in Redis, on its disk (Redis 7.2, Valkey, or appendfsync always), or on a replica too.',
  ),
  IDEMPOTENCY_REQUIRED: flag(false, 'Refuse submissions without an Idempotency-Key.'),
  IDEMPOTENCY_STRICT: flag(false, 'Accept only the quoted form of the Idempotency-Key.'),

  MAX_WAIT_MS: count(30_000, 0, 600_000, 'The longest wait that is granted, in milliseconds.'),
  MAX_WAITERS: count(1000, 0, 1_000_000, 'Long polls at once per tenant and instance; beyond them the wait is not granted.'),
  MAX_STREAMS: count(1000, 0, 1_000_000, 'Event streams at once per tenant and instance.'),
  BOARD_READ_ONLY: flag(true, 'The dashboard at /admin/board only shows; false lets it pause, resume, retry and remove too.'),
  MAX_IN_FLIGHT: count(
    1000,
    0,
    1_000_000,
    'Submissions that may wait for Redis at once; beyond them 503 before the body is read. 0: no limit.',
  ),
  MAX_EVENT_LOOP_DELAY_MS: count(
    250,
    0,
    60_000,
    'One turn of the event loop takes in submissions for this long; the rest is answered 503. 0: no limit.',
  ),
  SHUTDOWN_DRAIN_MS: count(5000, 0, 600_000, 'How long it stays up but unready before it stops accepting.'),
  SHUTDOWN_GRACE_MS: count(30_000, 0, 3_600_000, 'How long running jobs may go on at shutdown before they are released to the queue.'),
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
    Type.Integer({ minimum: 0, maximum: 65535, description: 'Port at HOST at which a worker serves /metrics and /livez; unset: nowhere.' }),
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
})
export type Environment = Static<typeof Environment>

/** What the commands that talk to a gateway read. */
export const ClientEnvironment = Type.Object({
  JOBGATE_URL: textOr('http://127.0.0.1:3000', 'Address of the gateway that commands such as submit talk to.'),
  JOBGATE_API_KEY: text('API key that these commands send.'),
})
