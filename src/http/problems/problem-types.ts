// The table of problems: everything an HTTP answer can fail with, and what the caller does next.

import type { FieldProblem } from '../../types/field-problems.js'

/** One kind of HTTP failure. `title` is constant for a kind; `remedy` tells the caller what to do next. */
export interface ProblemKind {
  readonly status: number
  readonly title: string
  readonly remedy: string
  /** Registered elsewhere: the full URI stands in for `/problems/{name}`. */
  readonly type?: string
}

/** Every problem Jobgate answers with. The key is the name in `/problems/{name}`. */
export const problems = {
  'validation-failed': {
    status: 400,
    title: 'The request does not match its schema',
    remedy: 'Fix the members listed in `errors`; the schema is in /openapi.json.',
  },
  'malformed-body': {
    status: 400,
    title: 'The body cannot be read',
    remedy: 'Send one complete UTF-8 JSON value, at most 64 levels deep, without `__proto__` or `constructor` members.',
  },
  'bad-request': {
    status: 400,
    title: 'The request is malformed',
    remedy: 'Fix the request line, headers or query as described in `detail`.',
  },
  'idempotency-key-invalid': {
    status: 400,
    title: 'The Idempotency-Key is not valid',
    remedy: 'Send one Idempotency-Key header with 1 to 255 printable ASCII characters, preferably as a quoted string.',
  },
  'idempotency-key-missing': {
    status: 400,
    title: 'An Idempotency-Key is required',
    remedy: 'Send an Idempotency-Key header that is unique to this piece of work, such as a UUID, and reuse it when you retry.',
  },
  'cursor-invalid': {
    status: 400,
    title: 'The cursor is not valid here',
    remedy: 'Send `next` of the previous page unchanged and with the same filters, or start over without a cursor.',
  },
  unauthorized: {
    status: 401,
    title: 'An API key is required',
    remedy: 'Send `Authorization: Bearer <key>` with a valid key that has not expired or been revoked.',
  },
  forbidden: {
    status: 403,
    title: 'The API key does not allow this',
    remedy: 'Use a key with the scope or grant named in `detail`.',
  },
  'signature-refused': {
    status: 403,
    title: 'The signature of the event is not valid',
    remedy: 'Check the secrets on both sides and the clock; events are accepted only from the vendor and only while they are fresh.',
  },
  'not-found': {
    status: 404,
    title: 'Not found',
    remedy: 'Check the URL and the ID; finished jobs are removed after their retention.',
  },
  'method-not-allowed': {
    status: 405,
    title: 'The method is not allowed here',
    remedy: 'Use one of the methods in the Allow header.',
  },
  'not-acceptable': {
    status: 406,
    title: 'None of the accepted media types can be served',
    remedy: 'Accept a media type that this route documents.',
  },
  'request-timeout': {
    status: 408,
    title: 'The request took too long to arrive',
    remedy: 'Send headers and body without long pauses; it is safe to retry with the same Idempotency-Key.',
  },
  'job-finished': {
    status: 409,
    title: 'The job has already finished',
    remedy: 'Read the job; a finished job can no longer be cancelled.',
  },
  'job-state-conflict': {
    status: 409,
    title: 'The state of the job does not allow this',
    remedy: 'Read the job and act on the state it is in now.',
  },
  'operation-running': {
    status: 409,
    title: 'An operation of this kind is already running',
    remedy: 'Follow the operation in the Location header, or cancel it; then retry.',
  },
  'operation-finished': {
    status: 409,
    title: 'The operation has already finished',
    remedy: 'Read the operation; a finished operation can no longer be stopped.',
  },
  'schedules-full': {
    status: 409,
    title: 'The maximum number of schedules has been reached',
    remedy: 'Delete schedules that are over or no longer needed, or ask the operator to raise SCHEDULES_MAX.',
  },
  'schedule-refused': {
    status: 409,
    title: 'The schedule no longer matches its job type',
    remedy: 'Fix the members listed in `errors` and PUT the schedule again.',
  },
  'contract-incompatible': {
    status: 409,
    title: 'The contract is not compatible with an earlier version',
    remedy:
      'Keep what `errors` lists as it was, or give new required members a default. Otherwise register the type under a new name, or with `"compatibility": "none"` once no job or schedule needs the earlier versions.',
  },
  'job-type-in-use': {
    status: 409,
    title: 'Jobs or schedules still need the job type',
    remedy: 'Wait until its jobs have finished, or cancel them; delete its schedules. Then retry.',
  },
  'job-types-full': {
    status: 409,
    title: 'The maximum number of job types has been reached',
    remedy: 'Delete job types that are no longer needed, or ask the operator to raise JOB_TYPES_MAX.',
  },
  'precondition-failed': {
    status: 412,
    title: 'The resource is not the version that the request names',
    remedy: 'Read the resource again, apply your change to it, and send the request with the new ETag.',
  },
  'queue-busy': {
    status: 409,
    title: 'Jobs of this queue are running',
    remedy: 'Pause the queue and wait until no job is active, or retry with force=true to stop them.',
  },
  'lease-lost': {
    status: 409,
    title: 'The lease is over',
    remedy:
      'Stop working on the job and discard the outcome; another worker may have it. Send heartbeats more often, or ask for longer leases.',
  },
  'lease-settled': {
    status: 409,
    title: 'The lease was already settled with another outcome',
    remedy: 'Read the job to see how it ended; settle each lease once, and repeat only the same settlement.',
  },
  'payload-too-large': {
    status: 413,
    title: 'The body is too large',
    remedy: 'Send less at once, or JSON that consists of less, as `detail` says. To submit many jobs, send NDJSON to /v1/jobs/batch.',
  },
  'unsupported-media-type': {
    status: 415,
    title: 'The media type is not supported here',
    remedy: 'Send a media type that this route documents, in UTF-8 and without content encoding.',
  },
  'idempotency-key-reused': {
    status: 422,
    title: 'The Idempotency-Key was used for another payload',
    remedy: 'Use a new key for new work; a retry must repeat its payload exactly.',
  },
  'result-invalid': {
    status: 422,
    title: 'The result does not match the result schema of the job type',
    remedy: 'Fix the members listed in `errors` and settle the lease again, or fail it; the lease goes on until it expires.',
  },
  'headers-too-large': {
    status: 431,
    title: 'The headers are too large',
    remedy: 'Send fewer or shorter headers, or a shorter URL; the limit is 16 KiB.',
  },
  'quota-exceeded': {
    status: 429,
    title: 'Too many requests',
    type: 'https://iana.org/assignments/http-problem-types#quota-exceeded',
    remedy: 'Wait for the number of seconds in Retry-After; RateLimit shows what is left.',
  },
  'internal-error': {
    status: 500,
    title: 'Internal error',
    remedy: 'Retry the request with the same Idempotency-Key; if it keeps failing, report the requestId.',
  },
  'queue-full': {
    status: 503,
    title: 'The queue is full',
    remedy: 'Nothing was stored. Retry after the number of seconds in Retry-After.',
  },
  'redis-unavailable': {
    status: 503,
    title: 'The job store is unavailable',
    remedy: 'The outcome may be unknown. Retry with the same Idempotency-Key after the number of seconds in Retry-After.',
  },
  overloaded: {
    status: 503,
    title: 'Jobgate is overloaded',
    remedy: 'Nothing was stored. Retry after the number of seconds in Retry-After.',
  },
  'shutting-down': {
    status: 503,
    title: 'This instance is shutting down',
    remedy: 'Retry after the number of seconds in Retry-After; another instance will respond.',
  },
} as const satisfies Record<string, ProblemKind>

export type ProblemName = keyof typeof problems

/** A failure that a client is to see: thrown by routes and guards, written by `http/problem-json`. */
export interface ProblemDetails {
  readonly problem: ProblemName
  /** What happened and what to do, in public words: no internals, no secrets. */
  readonly detail: string
  /** One entry for every invalid member. */
  readonly errors?: readonly FieldProblem[]
  readonly retryAfterSeconds?: number
  readonly headers?: Readonly<Record<string, string>>
  /** Further members of the problem document. */
  readonly extensions?: Readonly<Record<string, unknown>>
}
