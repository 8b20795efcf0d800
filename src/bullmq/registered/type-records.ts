// Job types that are registered at run time, as Redis keeps them: every version of each, and which one counts.

import type { RedisClient } from '../../redis/connect.js'
import type { Durability } from '../../redis/durability.js'
import type { Keys } from '../../redis/redis-keys.js'
import { defineScript } from '../../redis/script.js'
import type { JobTypeDefinition } from '../../types/contracts/definition.js'
import type { SensitivePaths } from '../../types/contracts/sensitive-paths.js'
import { metaFields } from '../facts.js'
import { countUnfinishedFunction, type QueueGate, toUnfinishedKeys } from './queue-gate.js'

/** What is read of every type when one has changed. Times are milliseconds since 1970. */
export interface TypeHead {
  /** Of the latest version; counts from 1. */
  readonly version: number
  /** SHA-256 of the canonical JSON of the latest version's definition. */
  readonly digest: string
  /** Drawn when the type was registered: one that was deleted and registered again is another. */
  readonly registration: string
  /** When the type was registered. */
  readonly createdAt: number
  /** When its latest version was. */
  readonly updatedAt: number
  /** Members that this or an earlier version protects. */
  readonly sensitive: SensitivePaths
}

/** One version; it never changes. */
export interface TypeVersion {
  readonly definition: JobTypeDefinition
  /** Milliseconds since 1970. */
  readonly createdAt: number
  /** Id of the API key that registered it. */
  readonly createdBy: string
}

/** A head, and its text: what is stored has changed when the text has. */
export interface StoredHead {
  readonly head: TypeHead
  readonly text: string
}

/** What XADD takes behind the name of the audit trail; empty to note nothing. */
export type AuditNote = readonly (string | number)[]

/**
 * Stores a version of a type, new or on top of the one before, and lets its queue take jobs.
 * KEYS: 1 heads of all types, 2 versions of the type, 3 revision, 4 types whose queues are being removed, 5 meta of its queue, 6 audit trail.
 * ARGV: 1 name, 2 head as read ('' for none), 3 new head, 4 version, 5 its record, 6 new revision, 7 most types, 8 its registration; then the note.
 * Returns `stored`, `changed` when there is another head than that, `full`, or `removing`.
 */
const putScript = `
local before = redis.call('HGET', KEYS[1], ARGV[1]) or ''
if before ~= ARGV[2] then return 'changed' end
if before == '' then
  if redis.call('SISMEMBER', KEYS[4], ARGV[1]) == 1 then return 'removing' end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[7]) then return 'full' end
end
redis.call('HSET', KEYS[2], ARGV[4], ARGV[5])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('HSET', KEYS[5], '${metaFields.openFor}', ARGV[8])
redis.call('SET', KEYS[3], ARGV[6])
if #ARGV > 8 then redis.call('XADD', KEYS[6], unpack(ARGV, 9)) end
return 'stored'
`

/**
 * Removes a type whose jobs have all finished: from then on its queue takes none, whatever an instance still knows of the type.
 * KEYS: 1 heads of all types, 2 versions of the type, 3 revision, 4 types whose queues are being removed, 5 audit trail,
 * 6 meta of its queue, then those of `toUnfinishedKeys`.
 * ARGV: 1 name, 2 head as read, 3 new revision; then the note.
 * Returns -1 when it is removed, -2 when there is another head than that, else how many jobs have not finished.
 */
const removeScript = `
${countUnfinishedFunction}
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return -2 end
local unfinished = countUnfinished(7)
if unfinished > 0 then return unfinished end
redis.call('HDEL', KEYS[6], '${metaFields.openFor}')
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('DEL', KEYS[2])
redis.call('SADD', KEYS[4], ARGV[1])
redis.call('SET', KEYS[3], ARGV[3])
if #ARGV > 3 then redis.call('XADD', KEYS[5], unpack(ARGV, 4)) end
return -1
`

export type PutOutcome = 'stored' | 'changed' | 'full' | 'removing'
export type RemoveOutcome =
  | { readonly kind: 'removed' | 'changed' }
  /** `jobs` have not finished. */
  | { readonly kind: 'in-use'; readonly jobs: number }

interface Deps {
  /** For reading. */
  readonly redis: RedisClient
  /** For what is written, and what waits on it for writes that have to be safer than in memory. */
  readonly writing: RedisClient
  readonly durability?: Durability | undefined
  readonly keys: Keys
  readonly gate: Pick<QueueGate, 'firstPlace'>
}

/** Every call rejects with the error of Redis. */
export const createTypeRecords = ({ redis, writing, durability, keys, gate }: Deps) => {
  const runPutScript = defineScript<PutOutcome>(writing, putScript, durability?.confirmed)
  const runRemoveScript = defineScript<number>(writing, removeScript, durability?.confirmed)

  const readHead = async (name: string): Promise<StoredHead | null> => {
    const text = await redis.hget(keys.jobTypes, name)
    return text === null ? null : { head: JSON.parse(text) as TypeHead, text }
  }

  return {
    readHead,

    count: (): Promise<number> => redis.hlen(keys.jobTypes),

    /** Null when there is none by this name and number. */
    async readVersion(name: string, version: number): Promise<TypeVersion | null> {
      const text = await redis.hget(keys.jobType(name), String(version))
      return text === null ? null : (JSON.parse(text) as TypeVersion)
    },

    /** Numbers of the versions of a type, the latest first. */
    async readVersionNumbers(name: string): Promise<number[]> {
      return (await redis.hkeys(keys.jobType(name))).map(Number).sort((one, other) => other - one)
    },

    /** `before` is the text of the head that was read, null for none. */
    put(put: {
      name: string
      before: string | null
      head: TypeHead
      record: TypeVersion
      revision: string
      typesMax: number
      note: AuditNote
    }): Promise<PutOutcome> {
      const { name, before, head, record, revision, typesMax, note } = put
      const queue = gate.firstPlace(name)
      return runPutScript(
        [keys.jobTypes, keys.jobType(name), keys.jobTypesRevision, keys.jobTypesRemoved, queue.meta, keys.audit],
        [name, before ?? '', JSON.stringify(head), head.version, JSON.stringify(record), revision, typesMax, head.registration, ...note],
      )
    },

    /** `before` is the text of the head that was read. */
    async remove(remove: { name: string; before: string; revision: string; note: AuditNote }): Promise<RemoveOutcome> {
      const { name, before, revision, note } = remove
      const queue = gate.firstPlace(name)
      const own = [keys.jobTypes, keys.jobType(name), keys.jobTypesRevision, keys.jobTypesRemoved, keys.audit]
      const jobs = await runRemoveScript([...own, queue.meta, ...toUnfinishedKeys(queue)], [name, before, revision, ...note])
      return jobs >= 0 ? { kind: 'in-use', jobs } : { kind: jobs === -1 ? 'removed' : 'changed' }
    },

    /** Types that are gone, and whose queues still have keys. */
    readRemoved: (): Promise<string[]> => redis.smembers(keys.jobTypesRemoved),

    /** Nothing is left of the queue of this type. */
    async forgetRemoved(name: string): Promise<void> {
      await writing.srem(keys.jobTypesRemoved, name)
    },
  }
}

export type TypeRecords = ReturnType<typeof createTypeRecords>
