// The variables of Jobgate itself: name, bounds, default, and one line on what each does. Subjects state their own.

import { type Static, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'
import { choice, count, flag, list, text, textOr } from './variables.js'

/** No default of its own: QUEUE_CONCURRENCY_DEFAULT stands in. */
const concurrency = (what: string) =>
  Type.Integer({ minimum: 1, maximum: 1000, description: `${what}. Defaults to QUEUE_CONCURRENCY_DEFAULT.` })
/** A number without a default: unset means no cap. */
const cap = (description: string) => Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000_000, description }))

/** What gateways and workers read, whatever job types they know. */
export const Environment = Type.Object({
  HOST: textOr('127.0.0.1', 'Address to listen on. The container image sets 0.0.0.0.'),
  PORT: count(3000, 0, 65535, 'Port to listen on. 0 picks a free port.'),
  LOG_LEVEL: choice('info', ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], 'Minimum log level.'),
  ADMIN_API_KEY: text(
    'The first API key, with every scope. If unset, it is generated at first start, stored in DATA_DIR and printed once.',
  ),
  WORKERS_ENABLED: flag(false, 'Also run jobs in this process.'),
  DATA_DIR: textOr('.jobgate', "Folder for the embedded Redis's data and the generated API key."),
  JOB_TYPES_DIR: text('Folder of JavaScript or TypeScript modules, one job type in each; see docs/own-job-types.md.'),

  REDIS_URL: text('redis://, rediss:// or unix:// URL of Redis. Without any REDIS_ variable, Jobgate starts an embedded Redis.'),
  REDIS_HOST: text('Redis host, instead of REDIS_URL.'),
  REDIS_PORT: count(6379, 1, 65535, 'Redis port for REDIS_HOST.'),
  REDIS_USERNAME: text('Redis ACL user, in every mode except embedded.'),
  REDIS_PASSWORD: text('Redis password, in every mode except embedded.'),
  REDIS_DB: count(0, 0, 1_000_000, 'Database number for REDIS_HOST or REDIS_SENTINELS.'),
  REDIS_CLUSTER_NODES: list('Comma-separated host:port list of Redis Cluster nodes.'),
  REDIS_SENTINELS: list('Comma-separated host:port list of Sentinels.'),
  REDIS_SENTINEL_NAME: textOr('mymaster', 'Name of the master that the Sentinels monitor.'),
  REDIS_SENTINEL_PASSWORD: text('Password of the Sentinels themselves.'),
  REDIS_TLS: flag(false, 'Use TLS for REDIS_HOST, REDIS_CLUSTER_NODES or REDIS_SENTINELS; rediss:// implies it.'),
  REDIS_TLS_CA_FILE: text("PEM file of the certificate authority that signed Redis's certificate."),
  REDIS_SERVER_BINARY: text('Path of redis-server or valkey-server for the embedded Redis. If unset, it is looked up in PATH.'),
  QUEUE_PREFIX: Type.String({
    default: 'jobgate',
    pattern: '^[A-Za-z0-9_-]{1,64}$',
    description: 'Prefix of every Redis key. Gateways and workers that belong together must share it.',
  }),

  QUEUE_REMOVE_ON_COMPLETE: cap('Maximum number of completed jobs retained per queue, in addition to the age limit.'),
  QUEUE_REMOVE_ON_FAIL: cap('Maximum number of failed jobs retained per queue, in addition to the age limit.'),
  JOB_RETENTION_COMPLETED_MS: count(day, 1000, 366 * day, 'How long completed jobs are retained, in milliseconds.'),
  JOB_RETENTION_FAILED_MS: count(7 * day, 1000, 366 * day, 'How long failed and cancelled jobs are retained, in milliseconds.'),
  QUEUE_DEFAULT_ATTEMPTS: count(3, 1, 25, 'Number of attempts, unless the job type sets its own.'),
  QUEUE_BACKOFF_DELAY: count(5000, 0, day, 'Backoff in milliseconds, unless the job type sets its own.'),
  QUEUE_CONCURRENCY_DEFAULT: count(1, 1, 1000, 'Concurrent jobs per worker and queue, unless another variable applies.'),
  QUEUE_CONCURRENCY_EMAIL: count(2, 1, 1000, 'Concurrent e-mail jobs per worker.'),
  QUEUE_CONCURRENCY_MEETING: Type.Optional(concurrency('Concurrent meeting jobs per worker')),
  QUEUE_CONCURRENCY_EXTERNAL_API: Type.Optional(
    concurrency('Concurrent external API jobs per worker; with 1, an upload blocks the jobs behind it'),
  ),
  WORKER_LOCK_MS: count(
    30_000,
    1000,
    3_600_000,
    'A worker that does not renew its lock on a job for this many milliseconds loses the job.',
  ),
  WORKER_STALLED_INTERVAL_MS: count(
    15_000,
    500,
    3_600_000,
    'How often workers check for jobs that other workers have lost, in milliseconds.',
  ),
  QUEUE_IDEMPOTENCY_TTL: count(86_400, 1, 31_622_400, 'How long an idempotency key is remembered, in seconds.'),
  QUEUE_MAX_JOB_AGE_HOURS: count(24, 1, 8784, 'A job that was due more than this many hours before it starts fails with too_old.'),
  QUEUE_MAX_WAITING_JOBS: count(100, 0, 1_000_000_000, 'A queue with more waiting jobs than this is unhealthy.'),
  QUEUE_MAX_FAILED_JOBS: count(50, 0, 1_000_000_000, 'A queue with more failed jobs than this is unhealthy.'),
  QUEUE_MAX_DEPTH: count(1_000_000, 1, 1_000_000_000, 'Submissions are refused when a queue has more unfinished jobs than this.'),
  JOB_TYPES_MAX: count(500, 0, 10_000, 'Maximum number of job types registered at run time.'),
  SCHEDULES_MAX: count(1000, 0, 1_000_000, 'Maximum number of schedules per tenant.'),
  DURABILITY: choice(
    'memory',
    ['memory', 'fsync', 'replicated'],
    'What a 2xx guarantees: stored in Redis, on its disk (Redis 7.2, Valkey, or appendfsync always), or also on a replica.',
  ),
  IDEMPOTENCY_REQUIRED: flag(false, 'Refuse submissions without an Idempotency-Key.'),
  IDEMPOTENCY_STRICT: flag(false, 'Accept only the quoted form of the Idempotency-Key.'),

  MAX_WAIT_MS: count(30_000, 0, 600_000, 'Longest wait a client can request, in milliseconds.'),
  MAX_WAITERS: count(1000, 0, 1_000_000, 'Maximum concurrent long polls per tenant and instance. Further requests do not wait.'),
  MAX_STREAMS: count(1000, 0, 1_000_000, 'Maximum concurrent event streams per tenant and instance.'),
  BOARD_READ_ONLY: flag(
    true,
    'Whether the dashboard at /admin/board is read-only; false also allows it to pause, resume, retry and remove.',
  ),
  MAX_IN_FLIGHT: count(
    1000,
    0,
    1_000_000,
    'Maximum submissions that wait for Redis at once. Further ones get 503 before their body is read. 0 sets no limit.',
  ),
  MAX_EVENT_LOOP_DELAY_MS: count(
    250,
    0,
    60_000,
    'How long one turn of the event loop accepts submissions, in milliseconds. Further ones get 503. 0 sets no limit.',
  ),
  SHUTDOWN_DRAIN_MS: count(
    5000,
    0,
    600_000,
    'How long a gateway stays up but unready before it stops accepting connections, in milliseconds.',
  ),
  SHUTDOWN_GRACE_MS: count(30_000, 0, 3_600_000, 'How long running jobs may go on at shutdown before they are released to the queue.'),
  TRUST_TRACE: flag(true, "Whether to continue the caller's trace (traceparent); false starts a new one."),
  OTEL_TRACES_EXPORTER: Type.Optional(
    Type.Unsafe<'otlp' | 'none'>({
      type: 'string',
      enum: ['otlp', 'none'],
      description: 'otlp sends traces, none does not. If unset, traces are sent if one of the endpoints below is set.',
    }),
  ),
  OTEL_SDK_DISABLED: flag(false, 'Turn off traces, whatever else is set.'),
  OTEL_EXPORTER_OTLP_ENDPOINT: text('URL of a collector, such as http://collector:4318; /v1/traces is appended.'),
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: text('Full URL of the collector for traces; takes precedence over the other.'),
  OTEL_EXPORTER_OTLP_PROTOCOL: choice('http/protobuf', ['http/protobuf', 'http/json'], 'Protocol for sending spans.'),
  OTEL_EXPORTER_OTLP_HEADERS: list('Comma-separated name=value list of headers for the collector, with percent-encoded values.'),
  OTEL_SERVICE_NAME: textOr('jobgate', 'Name of this service in traces.'),
  OTEL_RESOURCE_ATTRIBUTES: list('Comma-separated name=value list of attributes for every span, with percent-encoded values.'),
  OTEL_TRACES_SAMPLER: choice(
    'parentbased_always_on',
    ['always_on', 'always_off', 'traceidratio', 'parentbased_always_on', 'parentbased_always_off', 'parentbased_traceidratio'],
    "Which traces are recorded; parentbased_ samplers follow the caller's decision.",
  ),
  OTEL_TRACES_SAMPLER_ARG: Type.Number({
    default: 1,
    minimum: 0,
    maximum: 1,
    description: 'Share of traces recorded by traceidratio, from 0 to 1.',
  }),
  METRICS_TOKEN: Type.Optional(
    Type.String({
      pattern: '^[\\x21-\\x7e]{16,512}$',
      description: 'Bearer token required for /metrics. If unset, /metrics is public, like the probes.',
    }),
  ),
  WORKER_METRICS_PORT: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 65535,
      description: 'Port on which a worker serves /metrics and /livez, at HOST. If unset, it serves neither.',
    }),
  ),
  TRUST_PROXY: list('Addresses or CIDR ranges of proxies whose X-Forwarded-For is trusted.'),
  RATE_LIMIT_MAX: count(
    600,
    1,
    1_000_000_000,
    'Maximum requests per window and API key, and requests without a key per window and client address.',
  ),
  RATE_LIMIT_WINDOW_MS: count(1000, 100, 86_400_000, 'Length of that window in milliseconds.'),
  BODY_LIMIT_BYTES: count(1_048_576, 1024, 16_777_216, 'Maximum size of a JSON body, in bytes.'),
  BODY_TIMEOUT_MS: count(10_000, 100, 600_000, 'How long a JSON body may take to arrive, in milliseconds.'),
  NDJSON_LINE_BYTES: count(262_144, 1024, 1_048_576, 'Maximum length of a line in an NDJSON batch, in bytes.'),
  NDJSON_IDLE_MS: count(
    30_000,
    100,
    600_000,
    'How long an NDJSON batch may pause between two chunks, and a client leave a response unread, in milliseconds.',
  ),
  DATA_ENCRYPTION_KEY: text(
    'Encrypts sensitive members of job data at rest: 32 bytes in base64. With several, comma-separated, the first encrypts and all decrypt.',
  ),
})
export type Environment = Static<typeof Environment>

/** What the commands that talk to a gateway read. */
export const ClientEnvironment = Type.Object({
  JOBGATE_URL: textOr('http://127.0.0.1:3000', 'URL of the gateway for commands such as submit.'),
  JOBGATE_API_KEY: text('API key for these commands.'),
})
