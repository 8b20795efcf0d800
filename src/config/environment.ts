// Every variable that Jobgate reads: name, bounds, default, and one line on what it does.

import { type Static, Type } from '@sinclair/typebox'
import { day } from '../runtime/durations.js'

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
    'Size of one part of an upload; about five parts are held in memory per upload.',
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
export type Environment = Static<typeof Environment>
