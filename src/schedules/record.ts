// What is stored of a schedule: the truth that the clock is brought in line with.

import { hash } from 'node:crypto'
import type { RedisClient } from '../redis/connect.js'
import type { Durability } from '../redis/durability.js'
import type { Keys } from '../redis/redis-keys.js'
import { defineScript } from '../redis/script.js'
import type { FollowUp } from '../types/follow-up.js'
import type { Metadata } from '../types/job-schema.js'
import type { QueueName } from '../types/queue-name.js'
import type { ScheduleOptions } from './schema.js'
import { type Timing, toTiming } from './timing.js'

/** What a client put. Times are milliseconds since 1970; sensitive members of data are sealed. */
export interface ScheduleRecord {
  readonly id: string
  readonly tenant: string
  readonly type: string
  /** Of the type, under which the data were accepted; absent: 1. */
  readonly typeVersion?: number
  /** That of the type, for the day on which the type is no longer known. */
  readonly queue: QueueName
  readonly data: unknown
  readonly options?: ScheduleOptions
  readonly userId?: string
  readonly correlationId?: string
  readonly metadata?: Metadata
  readonly followUps?: readonly FollowUp[]
  /** Id of the API key that put it. */
  readonly putBy?: string
  readonly cron?: string
  readonly timezone?: string
  readonly everyMs?: number
  readonly startAt?: number
  readonly endAt?: number
  readonly limit?: number
}

/** A schedule and what became of it. */
export interface StoredSchedule {
  readonly record: ScheduleRecord
  /** The record as it is stored, to tell whether it is still the same. */
  readonly text: string
  readonly timing: Timing
  readonly createdAt: number
  readonly updatedAt: number
  readonly runs: number
  readonly skipped: number
  readonly lastRun: { readonly jobId: string; readonly dueAt: number } | null
}

/** Names a schedule among all tenants: no string of a client enters a key name. 43 characters, base64url. */
export const scheduleKey = (tenant: string, id: string): string => hash('sha256', JSON.stringify([tenant, id]), 'base64url')

/** Latest runs of a schedule that are remembered: more than can be due while one of them is being submitted, even at one a second. */
const ticksKept = 200

/**
 * Puts a schedule, new or in place of the one before.
 * KEYS: 1 schedule, 2 ids of the tenant's schedules, 3 keys of all schedules.
 * ARGV: 1 id, 2 record, 3 now in ms, 4 most schedules of a tenant, 5 key, 6 step, 7 anchor in ms, 8 the record that it may
 * replace ('' for none), which is left out when it may replace any.
 * Returns `created`, `updated`, `full`, or `changed` when there is another record than that.
 *
 * The anchor of a step that was there before stays: putting the same again makes nothing due.
 */
const putScript = `
local isNew = redis.call('EXISTS', KEYS[1]) == 0
if ARGV[8] and (redis.call('HGET', KEYS[1], 'record') or '') ~= ARGV[8] then return 'changed' end
if isNew and redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 'full' end
redis.call('HSET', KEYS[1], 'record', ARGV[2], 'updatedAt', ARGV[3])
redis.call('HSETNX', KEYS[1], 'createdAt', ARGV[3])
if redis.call('HGET', KEYS[1], 'step') ~= ARGV[6] then redis.call('HSET', KEYS[1], 'step', ARGV[6], 'anchor', ARGV[7]) end
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('SADD', KEYS[3], ARGV[5])
return isNew and 'created' or 'updated'
`

/**
 * Removes a schedule with all that is kept of it.
 * KEYS: 1 schedule, 2 its ticks, 3 ids of the tenant's schedules, 4 keys of all schedules.
 * ARGV: 1 id, 2 key, 3 the record that it may remove, which is left out when it may remove any.
 * Returns 1, 0 when there was none, or -1 when it is another record.
 */
const removeScript = `
local record = redis.call('HGET', KEYS[1], 'record')
if record and ARGV[3] and record ~= ARGV[3] then return -1 end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[2])
redis.call('DEL', KEYS[2])
return redis.call('DEL', KEYS[1])
`

/**
 * Counts a run before it is submitted, once however often it is tried.
 * KEYS: 1 schedule, 2 its ticks. ARGV: 1 when it is due, 2 id of its job, 3 most runs ('' for no limit), 4 ticks to keep.
 * Returns `claimed`, `again`, `over` when the limit is reached, or `gone`.
 */
const claimScript = `
if redis.call('EXISTS', KEYS[1]) == 0 then return 'gone' end
if redis.call('ZCOUNT', KEYS[2], ARGV[1], ARGV[1]) > 0 then return 'again' end
local state = redis.call('HMGET', KEYS[1], 'runs', 'lastDueAt')
if ARGV[3] ~= '' and tonumber(state[1] or 0) >= tonumber(ARGV[3]) then return 'over' end
redis.call('ZADD', KEYS[2], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[4]))
redis.call('HINCRBY', KEYS[1], 'runs', 1)
if tonumber(state[2] or 0) < tonumber(ARGV[1]) then redis.call('HSET', KEYS[1], 'lastDueAt', ARGV[1], 'lastJobId', ARGV[2]) end
return 'claimed'
`

/**
 * Takes back a run that was counted and then not submitted.
 * KEYS: 1 schedule, 2 its ticks. ARGV: 1 when it was due. Returns 1, or 0 when it was not counted.
 */
const unclaimScript = `
if redis.call('ZREMRANGEBYSCORE', KEYS[2], ARGV[1], ARGV[1]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'runs', -1)
local latest = redis.call('ZRANGE', KEYS[2], -1, -1, 'WITHSCORES')
if latest[1] then
  redis.call('HSET', KEYS[1], 'lastJobId', latest[1], 'lastDueAt', latest[2])
else
  redis.call('HDEL', KEYS[1], 'lastJobId', 'lastDueAt')
end
return 1
`

export type PutOutcome = 'created' | 'updated' | 'full' | 'changed'
export type RemoveOutcome = 'removed' | 'missing' | 'changed'
export type ClaimOutcome = 'claimed' | 'again' | 'over' | 'gone'

const stateFields = ['record', 'createdAt', 'updatedAt', 'runs', 'skipped', 'lastJobId', 'lastDueAt', 'anchor'] as const

/**
 * Every call rejects with the error of Redis, and may be repeated.
 * `writing` is the connection of what clients change, and `durability` what waits on it for writes that have to be safer than in memory.
 */
export const createScheduleRecords = ({
  redis,
  writing,
  keys,
  durability,
}: {
  redis: RedisClient
  writing: RedisClient
  keys: Keys
  durability?: Durability | undefined
}) => {
  const runPutScript = defineScript<PutOutcome>(writing, putScript, durability?.confirmed)
  const runRemoveScript = defineScript<number>(writing, removeScript, durability?.confirmed)
  const runClaimScript = defineScript<ClaimOutcome>(redis, claimScript)
  const runUnclaimScript = defineScript<number>(redis, unclaimScript)

  const read = async (key: string): Promise<StoredSchedule | null> => toStored(await redis.hmget(keys.schedule(key), ...stateFields))

  return {
    read,

    /** At most `max` schedules a tenant. `replaced` is the text of the record that may be replaced, null for none; undefined: any. */
    put(record: ScheduleRecord, max: number, replaced?: string | null): Promise<PutOutcome> {
      const { tenant, id, everyMs, startAt } = record
      const key = scheduleKey(tenant, id)
      const now = Date.now()
      return runPutScript(
        [keys.schedule(key), keys.scheduleIds(tenant), keys.schedules],
        [
          ...[id, JSON.stringify(record), now, max, key, `${everyMs ?? ''}|${startAt ?? ''}`, startAt ?? now],
          ...(replaced === undefined ? [] : [replaced ?? '']),
        ],
      )
    },

    /** `removed` is the text of the record that may be removed; undefined: any. */
    async remove(tenant: string, id: string, removed?: string): Promise<RemoveOutcome> {
      const key = scheduleKey(tenant, id)
      const ofSchedule = [keys.schedule(key), keys.scheduleTicks(key), keys.scheduleIds(tenant), keys.schedules]
      const count = await runRemoveScript(ofSchedule, [id, key, ...(removed === undefined ? [] : [removed])])
      return count === 1 ? 'removed' : count === 0 ? 'missing' : 'changed'
    },

    /** Schedules of a tenant in the order of their ids, after `after` (exclusive). `last` is the last id looked at; null at the end. */
    async page(tenant: string, after: string | undefined, count: number): Promise<{ schedules: StoredSchedule[]; last: string | null }> {
      const ids = await redis.zrange(keys.scheduleIds(tenant), after === undefined ? '-' : `(${after}`, '+', 'BYLEX', 'LIMIT', 0, count)
      const found = await Promise.all(ids.map((id) => read(scheduleKey(tenant, id))))
      return { schedules: found.filter((each) => each !== null), last: ids.length < count ? null : (ids.at(-1) as string) }
    },

    /** Keys of all schedules of all tenants, some at a time. */
    async *all(): AsyncGenerator<readonly string[]> {
      let cursor = '0'
      do {
        const [next, found] = await redis.sscan(keys.schedules, cursor, 'COUNT', 200)
        yield found
        cursor = next
      } while (cursor !== '0')
    },

    /** The schedules that submit jobs of a type, or follow-ups of it, and the versions under which their data were accepted. */
    async usesOf(type: string): Promise<{ count: number; versions: ReadonlySet<number> }> {
      const versions = new Set<number>()
      let count = 0
      for await (const found of this.all()) {
        const texts = await Promise.all(found.map((key) => redis.hget(keys.schedule(key), 'record')))
        for (const text of texts) {
          const record = text === null ? null : (JSON.parse(text) as ScheduleRecord)
          const isOwn = record?.type === type
          if (!isOwn && !record?.followUps?.some((each) => each.type === type)) continue
          count++
          // What follows is of any version: it is checked once its turn comes.
          if (isOwn) versions.add(record.typeVersion ?? 1)
        }
      }
      return { count, versions }
    },

    /** Counts the run that is due at `dueAt` as one of at most `limit`. */
    claim: (key: string, dueAt: number, jobId: string, limit: number | undefined): Promise<ClaimOutcome> =>
      runClaimScript([keys.schedule(key), keys.scheduleTicks(key)], [dueAt, jobId, limit ?? '', ticksKept]),

    async unclaim(key: string, dueAt: number): Promise<void> {
      await runUnclaimScript([keys.schedule(key), keys.scheduleTicks(key)], [dueAt])
    },

    /** The job of the latest run that was due at `until` or before, of those remembered. */
    async jobDueBefore(key: string, until: number): Promise<string | undefined> {
      const [jobId] = await redis.zrange(keys.scheduleTicks(key), until, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1)
      return jobId
    },

    async noteSkipped(key: string): Promise<void> {
      await redis.hincrby(keys.schedule(key), 'skipped', 1)
    },
  }
}

export type ScheduleRecords = ReturnType<typeof createScheduleRecords>

const toStored = ([text, createdAt, updatedAt, runs, skipped, jobId, dueAt, anchor]: (string | null)[]): StoredSchedule | null => {
  if (!text) return null
  const record = JSON.parse(text) as ScheduleRecord
  return {
    record,
    text,
    timing: toTiming(record, Number(anchor)),
    createdAt: Number(createdAt),
    updatedAt: Number(updatedAt),
    runs: Number(runs ?? 0),
    skipped: Number(skipped ?? 0),
    lastRun: jobId ? { jobId, dueAt: Number(dueAt) } : null,
  }
}

/** Whether the run that is due at `dueAt` is no longer one of the schedule, nor any after it. */
export const isOver = ({ record: { endAt, limit }, runs }: StoredSchedule, dueAt: number): boolean =>
  (limit !== undefined && runs >= limit) || (endAt !== undefined && dueAt > endAt)
