// The record of a long operation in Redis: begun once, told to stop, finished once, whichever instance runs it.

import { randomUUID } from 'node:crypto'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { defineScript } from '../redis/script.js'
import { day } from '../runtime/durations.js'
import type { QueueName } from '../types/queue-name.js'
import { auditKept, toAuditFields } from './audit.js'
import type { DeadLetterFilter } from './dead-letters.js'

export const operationKinds = ['drain', 'retry-failed', 'promote-delayed', 'obliterate', 'redrive', 'purge'] as const
export type OperationKind = (typeof operationKinds)[number]
export const operationStates = ['running', 'completed', 'cancelled', 'failed'] as const
export type OperationState = (typeof operationStates)[number]

/** What an operation was asked to do besides its kind. */
export interface OperationRequest {
  /** Only these jobs. */
  readonly ids?: readonly string[] | undefined
  /** Only dead letters that fit. */
  readonly filter?: DeadLetterFilter | undefined
  /** Jobs changed per second at most. */
  readonly ratePerSecond?: number | undefined
}

/** Times are milliseconds since 1970. */
export interface Operation {
  readonly id: string
  readonly kind: OperationKind
  readonly queue: QueueName
  /** Id of the API key that asked for it. */
  readonly by: string
  readonly request: OperationRequest
  readonly state: OperationState
  readonly createdAt: number
  readonly finishedAt: number | null
  /** Jobs to look at, as counted when it began. */
  readonly total: number
  readonly scanned: number
  readonly affected: number
  readonly cancelRequested: boolean
  /** Where it has come to, for whoever goes on. */
  readonly cursor: string | null
  /** It paused the queue and has to resume it. */
  readonly resumes: boolean
  /** Attempts to run it that failed for another reason than Redis. */
  readonly faults: number
}

export interface OperationPage {
  readonly items: readonly Operation[]
  /** Id of the last one; null at the end. */
  readonly next: string | null
}

/** An instance that runs an operation and is not heard of for this long counts as gone. */
export const operationLeaseMs = 15_000
const keptMs = 7 * day
export const operationIdPattern = '^op_[0-9a-f]{32}$'

/** Operations that can be listed; older ones can be read by their id as long as they are kept. */
const listedMax = 1000

/**
 * Begins an operation unless another one holds its slot.
 * KEYS: 1 open operations, 2 operation, 3 audit, 4 latest operations. ARGV: 1 slot, 2 id, 3 now in ms, 4 operations listed,
 * 5 entries of the audit kept, 6 number of values of the record, the record, the audit entry.
 * Returns the id of the operation that holds the slot.
 */
const beginScript = `
if redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2]) == 0 then return redis.call('HGET', KEYS[1], ARGV[1]) end
local values = tonumber(ARGV[6])
redis.call('HSET', KEYS[2], unpack(ARGV, 7, 6 + values))
redis.call('ZADD', KEYS[4], ARGV[3], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[4], 0, -1 - ARGV[4])
redis.call('XADD', KEYS[3], 'MAXLEN', '~', ARGV[5], '*', unpack(ARGV, 7 + values))
return ARGV[2]
`

/**
 * Tells an operation to stop.
 * KEYS: 1 operation, 2 audit. ARGV: 1 entries of the audit kept, then the audit entry.
 * Returns `missing`, `finished` or `stopping`.
 */
const cancelScript = `
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 'missing' end
if state ~= 'running' then return 'finished' end
if redis.call('HSETNX', KEYS[1], 'cancel', '1') == 1 then
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, 2))
end
return 'stopping'
`

/**
 * Writes down how an operation ended.
 * KEYS: 1 operation, 2 open operations, 3 lease, 4 audit.
 * ARGV: 1 token of the lease, 2 slot, 3 state, 4 now in ms, 5 how long the record is kept in ms, 6 entries of the audit kept,
 * then the audit entry. Returns 1, or 0 when the lease is lost.
 */
const finishScript = `
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[3], 'finishedAt', ARGV[4])
redis.call('PEXPIRE', KEYS[1], ARGV[5])
redis.call('HDEL', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[3])
redis.call('XADD', KEYS[4], 'MAXLEN', '~', ARGV[6], '*', unpack(ARGV, 7))
return 1
`

/** Deletes a lease if it is still the caller's own. KEYS: lease. ARGV: token. Returns 1 when deleted, else 0. */
const releaseScript = `
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
`

export type CancelOperationOutcome = 'missing' | 'finished' | 'stopping'

/** All reject with the error of Redis, and all may be repeated. */
export const createOperationRecords = ({ redis, keys }: { redis: RedisClient; keys: Keys }) => {
  const runBeginScript = defineScript<string>(redis, beginScript)
  const runCancelScript = defineScript<CancelOperationOutcome>(redis, cancelScript)
  const runFinishScript = defineScript<number>(redis, finishScript)
  const runReleaseScript = defineScript<number>(redis, releaseScript)

  return {
    /** Stores a new operation; `isNew` is false when one of its kind is open in this queue, whose id it then is. */
    async begin(wanted: Pick<Operation, 'by' | 'kind' | 'queue' | 'request' | 'total'>): Promise<{ id: string; isNew: boolean }> {
      const { by, kind, queue, request, total } = wanted
      const id = `op_${randomUUID().replaceAll('-', '')}`
      const record = ['kind', kind, 'queue', queue, 'by', by, 'request', JSON.stringify(request), 'total', total, 'state', 'running']
      const createdAt = Date.now()
      const values = [...record, 'createdAt', createdAt]
      const audit = toAuditFields({ by, act: 'operation.requested', queue, details: { operationId: id, kind, ...toAuditRequest(request) } })
      const slot = toSlot(queue, kind)
      const holder = await runBeginScript(
        [keys.operationsOpen, keys.operation(id), keys.audit, keys.operations],
        [slot, id, createdAt, listedMax, auditKept, values.length, ...values, ...audit],
      )
      return { id: holder, isNew: holder === id }
    },

    async read(id: string): Promise<Operation | null> {
      const fields = await redis.hgetall(keys.operation(id))
      return fields.kind === undefined ? null : toOperation(id, fields)
    },

    /**
     * Operations before the one called `before` (absent: from the newest), newest first, at most `limit` of the latest 1,000.
     * `next` is null at the end. The outcome `unknown`: `before` is not among them.
     */
    async list({ before, limit }: { before?: string | undefined; limit: number }): Promise<OperationPage | 'unknown'> {
      const rank = before === undefined ? -1 : await redis.zrevrank(keys.operations, before)
      if (rank === null) return 'unknown'
      const ids = await redis.zrevrange(keys.operations, rank + 1, rank + 1 + limit)
      const wanted = ids.slice(0, limit)
      const found = await Promise.all(wanted.map((id) => redis.hgetall(keys.operation(id))))
      // The record of a finished one ends before its place in the list.
      const items = found.flatMap((fields, index) => (fields.kind === undefined ? [] : [toOperation(wanted[index] as string, fields)]))
      return { items, next: ids.length > limit ? (wanted.at(-1) ?? null) : null }
    },

    /** Tells an operation to stop after the step it is at. */
    cancel({ id, kind, queue }: Operation, by: string): Promise<CancelOperationOutcome> {
      const audit = toAuditFields({ by, act: 'operation.cancel-requested', queue, details: { operationId: id, kind } })
      return runCancelScript([keys.operation(id), keys.audit], [auditKept, ...audit])
    },

    /** Slots and ids of the operations that are not finished. */
    open: (): Promise<Record<string, string>> => redis.hgetall(keys.operationsOpen),

    /** Frees the slot of an operation whose record is gone. */
    async forget(slot: string): Promise<void> {
      await redis.hdel(keys.operationsOpen, slot)
    },

    /** The right to run an operation, or null while another instance has it. */
    async lease(id: string): Promise<string | null> {
      const token = randomUUID()
      return (await redis.set(keys.operationLease(id), token, 'PX', operationLeaseMs, 'NX')) === 'OK' ? token : null
    },

    async release(id: string, token: string): Promise<void> {
      await runReleaseScript([keys.operationLease(id)], [token])
    },

    /** Notes once whether the operation has to resume the queue in the end; says what holds. */
    async noteResumes(id: string, resumes: boolean): Promise<boolean> {
      await redis.hsetnx(keys.operation(id), 'resumes', resumes ? '1' : '0')
      return (await redis.hget(keys.operation(id), 'resumes')) === '1'
    },

    /** Counts a failure to run the operation; says how many there were. */
    noteFault: (id: string): Promise<number> => redis.hincrby(keys.operation(id), 'faults', 1),

    /** False when the lease is lost. */
    async finish(operation: Operation, token: string, state: OperationState): Promise<boolean> {
      const { id, kind, queue, by } = operation
      const affected = Number((await redis.hget(keys.operation(id), 'affected')) ?? 0)
      const audit = toAuditFields({ by, act: 'operation.finished', queue, details: { operationId: id, kind, state, affected } })
      const done = await runFinishScript(
        [keys.operation(id), keys.operationsOpen, keys.operationLease(id), keys.audit],
        [token, toSlot(queue, kind), state, Date.now(), keptMs, auditKept, ...audit],
      )
      return done === 1
    },
  }
}

export type OperationRecords = ReturnType<typeof createOperationRecords>

/** One operation of a kind at a time in a queue: a second would only get in the way of the first. */
const toSlot = (queue: QueueName, kind: OperationKind): string => `${queue}:${kind}`

/** A thousand ids say less than their number. */
const toAuditRequest = ({ ids, ...rest }: OperationRequest): Record<string, unknown> => ({ ...rest, ...(ids ? { ids: ids.length } : {}) })

const toOperation = (id: string, fields: Readonly<Record<string, string>>): Operation => ({
  id,
  kind: fields.kind as OperationKind,
  queue: fields.queue as QueueName,
  by: fields.by as string,
  request: JSON.parse(fields.request ?? '{}') as OperationRequest,
  state: fields.state as OperationState,
  createdAt: Number(fields.createdAt),
  finishedAt: fields.finishedAt === undefined ? null : Number(fields.finishedAt),
  total: Number(fields.total ?? 0),
  scanned: Number(fields.scanned ?? 0),
  affected: Number(fields.affected ?? 0),
  cancelRequested: fields.cancel !== undefined,
  cursor: fields.cursor ?? null,
  resumes: fields.resumes === '1',
  faults: Number(fields.faults ?? 0),
})
