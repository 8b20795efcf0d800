// Stores accepted submissions: idempotency key, depth, jobs, index and record in one atomic step in Redis.

import type { RedisClient } from '../redis/connect.js'
import type { Durability } from '../redis/durability.js'
import { classifyRedisError, refusesWrites, unconfirmed } from '../redis/failures.js'
import { defineScript } from '../redis/script.js'
import { createCoalescer } from '../runtime/coalesce.js'
import type { Durations } from '../telemetry/histogram.js'
import type { QueueName } from '../types/queue-name.js'
import type { Partition } from './partitions.js'
import type { QueueKeys } from './queue-keys.js'
import type { QueuePlaces } from './queues.js'
import { acceptScript } from './scripts/accept-script.js'

/** One job to add. */
export interface NewJob {
  readonly id: string
  readonly name: string
  /** Milliseconds since 1970. */
  readonly timestamp: number
  /** The envelope as JSON. */
  readonly data: string
  /** BullMQ's options as JSON. */
  readonly options: string
  readonly kind: 'prioritized' | 'delayed' | 'parent'
}

/** One submission: its first job is the one that clients get; further ones are its children. */
export interface Acceptance {
  readonly queue: QueueName
  /** Of a type that may be removed at any time: the queue takes the jobs only as long as the type is there that was registered so. */
  readonly registration?: string | undefined
  /** Where its jobs, its index entry and its claim lie: the partition that the ids of its jobs name. */
  readonly partition: Partition
  readonly jobs: readonly [NewJob, ...NewJob[]]
  readonly tenant: string
  /** What the index of the tenant's jobs gets. */
  readonly indexMember: string
  /** Absent when the client sent no idempotency key. */
  readonly claim?:
    | {
        /** Of tenant and key. */
        readonly digest: string
        /** 43 characters, base64url. */
        readonly fingerprint: string
        /** What a replay is answered from; does not contain the fingerprint. */
        readonly record: string
      }
    | undefined
}

export type AcceptanceOutcome =
  | { readonly kind: 'created' }
  /** The key was used for the same payload: `record` is that of the first submission. */
  | { readonly kind: 'replayed'; readonly record: string }
  /** The key was used for another payload. */
  | { readonly kind: 'reused' }
  /** QUEUE_MAX_DEPTH is reached; nothing was stored. */
  | { readonly kind: 'full' }
  /** The job type was removed; nothing was stored. */
  | { readonly kind: 'gone' }

/** Once this many submissions are there they go off, and Redis stores them while the next ones are still being read. */
const jobsAtOnce = 16
/** At most this many jobs go into one script, so that it blocks Redis for about two milliseconds. */
const jobsPerScript = 64
/** And about this many characters of data. */
const charactersPerScript = 1_000_000

/**
 * `accept` stores one submission; those that arrive together share one script call.
 * Rejects with the error of Redis: whether anything was written is then told by `classifyRedisError`.
 * With `durability` it resolves only once Redis confirms; too few confirmations reject as unknown.
 */
export const createAcceptance = ({
  redis,
  maxDepth,
  claimTtlMs,
  durability,
  durations,
  queues,
}: {
  redis: RedisClient
  maxDepth: number
  /** How long an idempotency key is remembered. */
  claimTtlMs: number
  /** For writes that have to be safer than in memory. */
  durability?: Durability | undefined
  /** Told how long every call took that Redis answered. */
  durations?: Durations
  queues: Pick<QueuePlaces, 'in' | 'partitions'>
}) => {
  const depthMax = queues.partitions.share(maxDepth)
  const runAcceptScript = defineScript<string[]>(redis, acceptScript, durability?.confirmed)

  const send = async (queue: QueueKeys, acceptances: readonly Acceptance[]): Promise<(AcceptanceOutcome | Error)[]> => {
    const keys = [
      queue.marker,
      queue.meta,
      queue.id,
      queue.prioritized,
      queue.delayed,
      queue.completed,
      queue.active,
      queue.events,
      queue.pc,
      queue.wait,
      queue.waitingChildren,
    ]
    const partitionKeys = queue.partition.keys
    // All are of one queue, and of one registration of its type.
    const registration = acceptances[0]?.registration ?? ''
    const kinds: JobKind[] = []
    const submissions: (string | number)[] = []
    for (const acceptance of acceptances) {
      const indexKey = partitionKeys.jobIndex(acceptance.tenant)
      keys.push(indexKey, acceptance.claim ? partitionKeys.idempotency(acceptance.claim.digest) : indexKey)
      appendSubmission(submissions, kinds, acceptance)
    }
    const values = [queue.base, depthMax, durability ? '1' : '0', queue.qualifiedName, claimTtlMs, registration, kinds.length]
    for (const { kind, name, options } of kinds) values.push(kind, name, options)
    for (const value of submissions) values.push(value)
    const start = performance.now()
    const results = await runAcceptScript(keys, values)
    durations?.observe((performance.now() - start) / 1000)
    return results.map(toOutcome)
  }

  // An error that is not one of Redis's availability may be the fault of one submission; ids make a second try harmless.
  // And where no writes are taken, a replay among new submissions must not be told that it was not stored.
  const isolate = (error: unknown) => classifyRedisError(error) === null || refusesWrites(error)
  const coalesced = createCoalescer({ send, most: jobsAtOnce, split: inScripts, isolate })
  return (acceptance: Acceptance): Promise<AcceptanceOutcome> => coalesced(queues.in(acceptance.queue, acceptance.partition), acceptance)
}

export type Accept = ReturnType<typeof createAcceptance>

/** Splits into groups that one script call can take. A single submission is never split, however large. */
function* inScripts(all: readonly Acceptance[]): Generator<readonly Acceptance[]> {
  let start = 0
  let jobs = 0
  let characters = 0
  for (const [index, acceptance] of all.entries()) {
    const more = acceptance.jobs.reduce((sum, job) => sum + job.data.length, 0)
    const isOther = acceptance.registration !== all[start]?.registration
    const isTooMuch = jobs + acceptance.jobs.length > jobsPerScript || characters + more > charactersPerScript
    if (index > start && (isOther || isTooMuch)) {
      yield all.slice(start, index)
      start = index
      jobs = 0
      characters = 0
    }
    jobs += acceptance.jobs.length
    characters += more
  }
  yield start === 0 ? all : all.slice(start)
}

/** What jobs have in common that are added alike. */
type JobKind = Pick<NewJob, 'kind' | 'name' | 'options'>

/** Appends what the script has to know of a submission; `kinds` grows by each kind that was not there yet. */
const appendSubmission = (values: (string | number)[], kinds: JobKind[], { claim, indexMember, jobs }: Acceptance) => {
  values.push(claim ? claim.fingerprint + claim.record : '', indexMember, jobs.length)
  for (const job of jobs) values.push(kindNumber(kinds, job), job.id, job.timestamp, job.data)
}

/** The place, from 1, of the jobs that are added like this one. From the end, where those of the same fan-out are. */
const kindNumber = (kinds: JobKind[], { kind, name, options }: NewJob): number => {
  const found = kinds.findLastIndex((each) => each.kind === kind && each.name === name && each.options === options)
  return found === -1 ? kinds.push({ kind, name, options }) : found + 1
}

const toOutcome = (result: string): AcceptanceOutcome | Error => {
  switch (result[0]) {
    case 'c':
      return { kind: 'created' }
    case 'r':
      return { kind: 'replayed', record: result.slice(1) }
    case 'u':
      return unconfirmed(result.slice(1))
    case 'x':
      return { kind: 'reused' }
    case 'g':
      return { kind: 'gone' }
    default:
      return { kind: 'full' }
  }
}
