// Changes very many jobs in steps that each block Redis for a moment only: looks at some, acts on those that were chosen.

import type { RedisClient } from '../redis/connect.js'
import { defineScript } from '../redis/script.js'
import type { QueueName } from '../types/queue-name.js'
import type { QueueKeys } from './queue-keys.js'
import type { QueuePlaces } from './queues.js'
import { actScript, scanScript } from './scripts/bulk-scripts.js'

/** `retry` sends a failed job back with all its attempts; `promote` lets a delayed one run now. */
export type BulkAct = 'remove' | 'retry' | 'promote'
export type BulkSet = 'delayed' | 'prioritized' | 'wait' | 'paused' | 'active' | 'waitingChildren' | 'completed' | 'failed'

/** Jobs that one step looks at: removing as many blocks Redis for some 8 ms. */
export const jobsPerStep = 100

/** Where in a set a walk has come to: a score, and how many of the jobs from there on it has left behind. Lists have no scores. */
export interface BulkPosition {
  /** Absent for the first. */
  readonly partition?: number
  readonly score: string
  readonly skip: number
}

/** What a walk has found. `next` says where it goes on when those in `taken` have left the set; null at the end of the set. */
export interface BulkWalk {
  readonly jobs: ScannedJob[]
  next(taken: ReadonlySet<string>): BulkPosition | null
}

/** What a choice is made by. Times are milliseconds since 1970. */
export interface ScannedJob {
  readonly id: string
  readonly partition: number
  readonly score: string
  readonly type: string
  readonly createdAt: number
  readonly processedAt: number | null
  readonly finishedAt: number | null
  readonly failedReason: string | null
  readonly attemptsMade: number
  /** BullMQ's options as JSON. */
  readonly options: string
  /** How often an operator sent it back. */
  readonly sentBack: number
  /** When it was last sent back, by an operator or a client. */
  readonly retriedAt: number | null
  /** The next run of a schedule: without it the schedule would end. */
  readonly isNextOfSchedule: boolean
}

type ActedOn = Pick<ScannedJob, 'id' | 'partition'>

/** A step goes on only for the holder of the operation's lease; what it did is counted in the same step. */
export interface BulkStep {
  readonly leaseKey: string
  readonly leaseToken: string
  readonly leaseMs: number
  readonly operationKey: string
  /** Stored with the count, for whoever takes over. */
  readonly cursor: string
  readonly scanned: number
}

export type BulkOutcome =
  /** `affected` counts all steps of the operation so far. */
  { readonly kind: 'done'; readonly affected: number } | { readonly kind: 'cancel-requested' } | { readonly kind: 'lease-lost' }

const isList = (set: BulkSet): boolean => set === 'wait' || set === 'paused' || set === 'active'

/**
 * All reject with the error of Redis, and all may be repeated: a job is changed and counted once.
 * They go through the partitions of a queue one after the other; only this folder tells them apart.
 */
export const createBulkJobs = ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'holding' | 'partitionsOf'> }) => {
  const runScanScript = defineScript<(string | null)[][]>(redis, scanScript)
  const runActScript = defineScript<number>(redis, actScript)

  const scan = async (queue: QueueKeys, set: BulkSet, ...values: (string | number)[]): Promise<ScannedJob[]> =>
    (await runScanScript([queue[set], queue.repeat], [queue.base, ...values])).map((row) => toScannedJob(row, queue.partition.number))

  const actInPartition = (queue: QueueKeys, set: BulkSet, act: BulkAct, ids: readonly string[], step: BulkStep): Promise<number> =>
    runActScript(
      [
        step.leaseKey,
        step.operationKey,
        queue[set],
        queue.events,
        queue.wait,
        queue.meta,
        queue.active,
        queue.marker,
        queue.prioritized,
        queue.pc,
        queue.paused,
      ],
      [step.leaseToken, step.leaseMs, act, isList(set) ? 'list' : 'set', queue.base, Date.now(), step.cursor, step.scanned, ...ids],
    )

  return {
    /** The next `count` jobs of a set, oldest first in each partition, up to the score `to`; fewer at the end of a partition. */
    async walk(name: QueueName, set: BulkSet, position: BulkPosition, to: number | '+inf', count: number): Promise<BulkWalk> {
      const { partition = 0, score, skip } = position
      const all = queues.partitionsOf(name)
      const mode = isList(set) ? 'list' : 'up'
      const jobs = await scan(all[partition] as QueueKeys, set, mode, score || '-inf', to, skip, count)
      const isLast = jobs.length < count && partition + 1 >= all.length
      const next = (taken: ReadonlySet<string>): BulkPosition | null => {
        if (isLast) return null
        return jobs.length < count ? { partition: partition + 1, score: '', skip: 0 } : advance(position, jobs, taken)
      }
      return { jobs, next }
    },

    /** The jobs of a set from the newest back, down to the score `to`. Not for lists. */
    async walkBack(name: QueueName, set: BulkSet, position: BulkPosition, to: number | '-inf', count: number): Promise<ScannedJob[]> {
      const { score, skip } = position
      const all = queues.partitionsOf(name)
      if (all.length === 1) return scan(all[0] as QueueKeys, set, 'down', score || '+inf', to, skip, count)
      const rows = await Promise.all(all.map((queue) => scan(queue, set, 'down', score || '+inf', to, 0, skip + count)))
      return rows
        .flat()
        .sort((a, b) => Number(b.score) - Number(a.score) || (a.id < b.id ? 1 : -1))
        .slice(skip, skip + count)
    },

    /** Those of the ids that are in the set. */
    async find(name: QueueName, set: BulkSet, ids: readonly string[]): Promise<ScannedJob[]> {
      const found = await Promise.all(
        [...groupBy(ids, (id) => queues.holding(name, id))].map(async ([queue, some]) =>
          queue ? scan(queue, set, 'ids', '', '', 0, 0, ...some) : [],
        ),
      )
      return found.flat()
    },

    /**
     * Acts on those of the jobs that are in the set; at most `jobsPerStep`. Lease and record lie under the tag of partition 0:
     * more partitions will want them under each tag.
     */
    async act(name: QueueName, set: BulkSet, act: BulkAct, jobs: readonly ActedOn[], step: BulkStep): Promise<BulkOutcome> {
      const all = queues.partitionsOf(name)
      // A step that has chosen none moves the cursor all the same.
      const groups = jobs.length === 0 ? [[0, jobs] as const] : [...groupBy(jobs, ({ partition }) => partition)]
      let affected = 0
      for (const [at, [partition, some]] of groups.entries()) {
        const ids = some.map(({ id }) => id)
        affected = await actInPartition(all[partition] as QueueKeys, set, act, ids, { ...step, scanned: at === 0 ? step.scanned : 0 })
        if (affected === -1) return { kind: 'lease-lost' }
        if (affected === -2) return { kind: 'cancel-requested' }
      }
      return { kind: 'done', affected }
    },

    /** How many jobs the sets hold together. */
    async size(name: QueueName, sets: readonly BulkSet[]): Promise<number> {
      const places = queues.partitionsOf(name).flatMap((queue) => sets.map((set) => ({ key: queue[set], set })))
      const sizes = await Promise.all(places.map(({ key, set }) => (isList(set) ? redis.llen(key) : redis.zcard(key))))
      return sizes.reduce((sum, each) => sum + each, 0)
    },

    /** Ids of the jobs that run now. */
    async active(name: QueueName): Promise<string[]> {
      return (await Promise.all(queues.partitionsOf(name).map(({ active }) => redis.lrange(active, 0, -1)))).flat()
    },
  }
}

export type BulkJobs = ReturnType<typeof createBulkJobs>

/** Where a walk goes on after `scanned`, of which those in `taken` are no longer in the set. */
export const advance = (from: BulkPosition, scanned: readonly ScannedJob[], taken: ReadonlySet<string>): BulkPosition => {
  const last = scanned.at(-1)
  if (!last) return from
  const left = scanned.filter(({ id, score }) => score === last.score && !taken.has(id)).length
  return { ...from, score: last.score, skip: last.score === from.score ? from.skip + left : left }
}

const groupBy = <T, Key>(items: readonly T[], keyOf: (item: T) => Key): Map<Key, T[]> => {
  const groups = new Map<Key, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}

const toScannedJob = (row: readonly (string | null)[], partition: number): ScannedJob => ({
  id: row[0] as string,
  partition,
  score: row[1] as string,
  type: row[2] ?? '',
  createdAt: Number(row[3] ?? 0),
  processedAt: row[4] ? Number(row[4]) : null,
  finishedAt: row[5] ? Number(row[5]) : null,
  failedReason: row[6] ?? null,
  attemptsMade: Number(row[7] ?? 0),
  options: row[8] ?? '{}',
  sentBack: Number(row[9] ?? 0),
  retriedAt: row[10] ? Number(row[10]) : null,
  isNextOfSchedule: row[11] === '1',
})
