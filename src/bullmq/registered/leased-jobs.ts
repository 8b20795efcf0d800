// Jobs that programs elsewhere hold: handed out, held, ended and taken over, each step fenced by the token of the job's lock.

import type { Config } from '../../config/config.js'
import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import { createCoalescer } from '../../runtime/coalesce.js'
import { day } from '../../runtime/durations.js'
import type { QueueName } from '../../types/queue-name.js'
import { cancelledReason, marksCancelled } from '../cancelled.js'
import { marker } from '../facts.js'
import { toFinishedKept } from '../finished-kept.js'
import type { QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'
import type { StoredJob } from '../read-jobs.js'
import { activeScript, endScript, fetchScript, heartbeatScript, readScript, takeOverScript } from '../scripts/lease-scripts.js'
import { historyMinutesMax } from '../statistics/queue-history.js'
import { decodeJobError } from '../stored-job-error.js'

export { digestChars, tokenChars } from '../scripts/lease-scripts.js'

/** Names one hold on a job: only who has both may end it. */
export interface Hold {
  readonly id: string
  readonly token: string
}

/** A job that is held. Times are milliseconds. */
export interface LeasedJob {
  readonly stored: StoredJob
  /** Where it lies, for the attempt. */
  readonly key: string
  readonly markerKey: string
  readonly queue: QueueName
  readonly token: string
  readonly attemptsStarted: number
  readonly processedOn: number
  /** For how long it is held from when it was read. */
  readonly lockMs: number
  /** When its attempt is over, however often it is extended; milliseconds since 1970. */
  readonly endsAt: number
  readonly isCancelled: boolean
  /** Workers of another kind lost it too often. */
  readonly isPoison: boolean
  /** As the last attempt left it; null for none. JSON. */
  readonly checkpoint: string | null
  /** Who it was handed to. */
  readonly holder: string
}

/** Somebody who waits for jobs of a queue: how many at most, and under which claim. */
export interface FetchWanted {
  readonly holder: string
  readonly leaseMs: number
  /** `token` locks the job; `secret` stands behind the id of the job in the value of the claim. */
  readonly slots: readonly { readonly token: string; readonly secret: string }[]
  /** `start` is what the value begins with. */
  readonly claim?: { readonly digest: string; readonly start: string } | undefined
}

/** What was fetched for one: its jobs, or what its claim holds already. */
export type Fetched = { readonly kind: 'jobs'; readonly jobs: readonly LeasedJob[] } | { readonly kind: 'claimed'; readonly value: string }

export interface HoldBeat extends Hold {
  /** As before when undefined. */
  readonly leaseMs?: number | undefined
  /** JSON; undefined leaves them as they are. */
  readonly progress?: string | undefined
  readonly checkpoint?: string | undefined
  readonly log?: readonly string[] | undefined
}

/** `null`: the hold is over. */
export type HoldStatus = { readonly status: 'held' | 'cancelled'; readonly lockMs: number; readonly holder: string } | null

/** What became of a job when its hold ended. */
export type EndState = 'completed' | 'failed' | 'retrying' | 'deferred' | 'released' | 'cancelled'
const endStates: Readonly<Record<string, EndState>> = {
  c: 'completed',
  f: 'failed',
  r: 'retrying',
  d: 'deferred',
  w: 'released',
  x: 'cancelled',
}

/** With which digest a hold was ended, and what became of the job. */
export interface Settled {
  readonly digest: string
  readonly state: EndState
}

/** What a hold turns out to be: held, ended with a settlement, or over. */
export type HoldRead =
  | { readonly kind: 'held'; readonly job: LeasedJob }
  | ({ readonly kind: 'settled' } & Settled)
  | { readonly kind: 'lost' }

/** How a hold ends. `value` is a result as JSON, or a failedReason; `delayMs` is from now. */
export interface HoldEnd extends Hold {
  readonly act: 'complete' | 'fail' | 'retry' | 'delay' | 'release' | 'lost'
  readonly value?: string
  readonly delayMs?: number
  readonly attemptsMax: number
  /** Known again by it; '' to remember nothing. */
  readonly digest: string
  readonly progress?: string | undefined
  readonly log?: readonly string[]
}

/** Data of so many characters are handed out in one step; who waits gets at least one job, however large. */
const dataCharsMax = 4_000_000
/** Holds that one script reads or extends, and that one ends: each blocks Redis for a few milliseconds. */
const holdsPerScript = 200
const endsPerScript = 50
/** What was said when a lease was settled is remembered at least this long, whatever becomes of the job. */
const rememberMs = day
/** A job that was taken over is settled within this time, or taken over again. */
const takeOverMs = 15_000
const takenOverAtOnce = 100
/** Places that one script looks at. */
const placesPerScript = 1000

/** All reject with the error of Redis. A queue that is not there has no jobs. */
export const createLeasedJobs = ({
  config,
  queues,
  redis,
}: {
  config: Pick<Config, 'queues'>
  queues: Pick<QueuePlaces, 'has' | 'in' | 'ofJob' | 'partitions'>
  redis: RedisClient
}) => {
  const runFetch = defineScript<[number, (string | string[][])[]]>(redis, fetchScript)
  const runRead = defineScript<(string[] | string | null)[]>(redis, readScript)
  const runHeartbeat = defineScript<([number, 'held' | 'cancelled', string] | null)[]>(redis, heartbeatScript)
  const runEnd = defineScript<(string | null)[]>(redis, endScript)
  const runTakeOver = defineScript<string[][]>(redis, takeOverScript)
  const runActive = defineScript<number[]>(redis, activeScript)
  const kept = toFinishedKept(config.queues, queues.partitions)
  const keptCompleted = JSON.stringify(kept.completed)
  const keptFailed = JSON.stringify(kept.failed)

  /** In: holds of any queues. Out: what `act` gives for those of one queue, in the order of the holds; `missing` for what is nowhere. */
  const inQueues = async <H extends Hold, T>(
    holds: readonly H[],
    missing: T,
    act: (queue: QueueKeys, some: readonly H[]) => Promise<readonly T[]>,
  ): Promise<T[]> => {
    const results = holds.map(() => missing)
    const places = new Map<QueueKeys, number[]>()
    for (const [at, { id }] of holds.entries()) {
      const queue = queues.ofJob(id)
      if (queue) places.set(queue, [...(places.get(queue) ?? []), at])
    }
    const work = async (queue: QueueKeys, some: readonly number[]) => {
      const given = await act(
        queue,
        some.map((at) => holds[at] as H),
      )
      for (const [index, at] of some.entries()) results[at] = given[index] as T
    }
    const all: Promise<void>[] = []
    for (const [queue, some] of places) {
      for (let at = 0; at < some.length; at += holdsPerScript) all.push(work(queue, some.slice(at, at + holdsPerScript)))
    }
    await Promise.all(all)
    return results
  }

  const settledKeys = ({ partition }: QueueKeys, holds: readonly Hold[]) => holds.map(({ token }) => partition.keys.settledLease(token))

  const end = createCoalescer({
    most: endsPerScript,
    send: async (queue: QueueKeys, ends: readonly HoldEnd[]): Promise<readonly (Settled | null)[]> => {
      const { wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, completed, failed } = queue
      const { metricsCompleted, metricsFailed } = queue
      const keys = [wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, completed, failed]
      const values = ends.flatMap(({ id, token, digest, act, value = '', delayMs = 0, attemptsMax, progress = '', log = [] }) => [
        ...[id, token, digest, act, value, Math.round(delayMs), attemptsMax, progress, log.length, ...log],
      ])
      const marks = await runEnd(
        [...keys, metricsCompleted, metricsFailed, queue.marker, ...settledKeys(queue, ends)],
        [queue.base, Date.now(), cancelledReason, keptCompleted, keptFailed, historyMinutesMax, rememberMs, ...values],
      )
      return marks.map((mark) => (mark === null ? null : toSettled(mark)))
    },
  })

  const fetchFrom = async (queue: QueueKeys, wanted: readonly FetchWanted[]): Promise<{ isEmpty: boolean; fetched: Fetched[] }> => {
    const { wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, partition } = queue
    const [isEmpty, results] = await runFetch(
      [
        ...[wait, active, prioritized, events, stalled, limiter, delayed, paused, meta, pc, queue.marker],
        ...wanted.map(({ claim }) => (claim ? partition.keys.leaseClaim(claim.digest) : queue.marker)),
      ],
      [
        ...[queue.base, Date.now(), dataCharsMax],
        ...wanted.flatMap(({ holder, leaseMs, slots, claim }) => [
          ...[holder, leaseMs, claim?.start ?? '', slots.length],
          ...slots.flatMap(({ token, secret }) => [token, secret]),
        ]),
      ],
    )
    const fetched = results.map((result, at): Fetched => {
      if (typeof result === 'string') return { kind: 'claimed', value: result }
      const { slots } = wanted[at] as FetchWanted
      return { kind: 'jobs', jobs: result.map((row, index) => toLeasedJob(queue, row, slots[index]?.token as string)) }
    })
    return { isEmpty: isEmpty === 1, fetched }
  }

  return {
    /**
     * Hands out jobs of one queue, in one step for each of its partitions. `isEmpty`: nothing was left that may be handed out now.
     * Not safe to repeat: what was handed out before comes back when its time is over.
     */
    async fetch(name: QueueName, wanted: readonly FetchWanted[]): Promise<{ isEmpty: boolean; fetched: readonly Fetched[] }> {
      const fetched: Fetched[] = wanted.map(() => ({ kind: 'jobs', jobs: [] }))
      let isEmpty = true
      for (const partition of queues.partitions.all) {
        const open = [...fetched.keys()].filter((at) => isNone(fetched[at] as Fetched))
        if (open.length === 0) return { isEmpty: false, fetched }
        if (!queues.has(name)) break
        const some = await fetchFrom(
          queues.in(name, partition),
          open.map((at) => wanted[at] as FetchWanted),
        )
        for (const [index, at] of open.entries()) fetched[at] = some.fetched[index] as Fetched
        isEmpty &&= some.isEmpty
      }
      return { isEmpty, fetched }
    },

    /** Lets the next one who waits for the queue look, after a marker was taken and nobody fetched. */
    async wake(name: QueueName): Promise<void> {
      if (!queues.has(name)) return
      await Promise.all(
        queues.partitions.all.map((partition) => redis.zadd(queues.in(name, partition).marker, marker.score, marker.member)),
      )
    },

    /** What the claim of this digest holds; null for nothing. */
    async claimed(digest: string): Promise<string | null> {
      const held = await Promise.all(queues.partitions.all.map(({ keys }) => redis.get(keys.leaseClaim(digest))))
      return held.find((value) => value !== null) ?? null
    },

    async unclaim(digest: string): Promise<void> {
      await Promise.all(queues.partitions.all.map(({ keys }) => redis.del(keys.leaseClaim(digest))))
    },

    read: (holds: readonly Hold[]): Promise<HoldRead[]> =>
      inQueues<Hold, HoldRead>(holds, { kind: 'lost' }, async (queue, some) => {
        const results = await runRead(settledKeys(queue, some), [queue.base, ...some.flatMap(({ id, token }) => [id, token])])
        return results.map((result, at): HoldRead => {
          if (result === null) return { kind: 'lost' }
          if (typeof result === 'string') return { kind: 'settled', ...toSettled(result) }
          return { kind: 'held', job: toLeasedJob(queue, result, some[at]?.token as string) }
        })
      }),

    /** Extends from now, and notes what comes with it; what is over is left alone. */
    heartbeat: (beats: readonly HoldBeat[]): Promise<HoldStatus[]> =>
      inQueues<HoldBeat, HoldStatus>(beats, null, async (queue, some) => {
        const values = some.flatMap(({ id, token, leaseMs = '', progress = '', checkpoint = '', log = [] }) => [
          ...[id, token, leaseMs, progress, checkpoint, log.length, ...log],
        ])
        const results = await runHeartbeat([queue.events, queue.meta], [queue.base, Date.now(), cancelledReason, ...values])
        return results.map((result) => result && { lockMs: result[0], status: result[1], holder: result[2] })
      }),

    /** Null: it is over, and nothing was said when it was. */
    async end(hold: HoldEnd): Promise<Settled | null> {
      const queue = queues.ofJob(hold.id)
      return queue ? end(queue, hold) : null
    },

    /**
     * Takes over jobs of these queues that nobody holds any longer, some at a time until `act`, which is to end each, has had all of them.
     * Each is held under `token` by then.
     */
    async takeOver(names: readonly QueueName[], token: string, act: (job: LeasedJob) => Promise<unknown>): Promise<void> {
      for (const partition of queues.partitions.all) {
        const places = names.filter(queues.has).map((name) => queues.in(name, partition))
        const counts =
          places.length === 0
            ? []
            : await runActive(
                places.map(({ active }) => active),
                [],
              )
        for (const [at, queue] of places.entries()) {
          for (let from = 0; from < (counts[at] ?? 0); from += placesPerScript) {
            const rows = await runTakeOver(
              [queue.active],
              [queue.base, from, from + placesPerScript - 1, token, takeOverMs, takenOverAtOnce],
            )
            await Promise.all(rows.map((row) => act(toLeasedJob(queue, row, token))))
            // Those that were not taken for their number are still there.
            if (rows.length === takenOverAtOnce) from -= placesPerScript
          }
        }
      }
    },
  }
}

export type LeasedJobs = ReturnType<typeof createLeasedJobs>

const isNone = (fetched: Fetched): boolean => fetched.kind === 'jobs' && fetched.jobs.length === 0

const toSettled = (mark: string): Settled => ({
  digest: mark.slice(0, -1),
  state: endStates[mark.slice(-1)] as EndState,
})

/** `row` is as `toRow` of the scripts made it. */
const toLeasedJob = (queue: QueueKeys, row: readonly string[], token: string): LeasedJob => {
  const [id = '', lockMs, name = '', data = '', options = '', timestamp = '', priority, progress, attemptsMade, attemptsStarted] = row
  const [deferredFailure, checkpoint, parentKey, failedReason, processedOn, holder = '', lease = ''] = row.slice(10)
  const mark = deferredFailure || null
  return {
    stored: {
      ...{ id, name, data, options, timestamp, state: 'active' as const },
      priority: priority || null,
      processedOn: processedOn || null,
      finishedOn: null,
      failedReason: failedReason || null,
      returnvalue: null,
      progress: progress || null,
      attemptsMade: attemptsMade || null,
      parentKey: parentKey || null,
      retriedOn: null,
      dueAt: null,
    },
    key: queue.job(id),
    markerKey: queue.partition.keys.marker(id),
    queue: queue.queue,
    token,
    attemptsStarted: Number(attemptsStarted || 1),
    processedOn: Number(processedOn || 0),
    lockMs: Number(lockMs),
    endsAt: Number(lease.split(' ')[0] || 0),
    isCancelled: marksCancelled(mark),
    isPoison: mark !== null && decodeJobError(mark).code === 'worker_lost',
    checkpoint: checkpoint || null,
    holder,
  }
}
