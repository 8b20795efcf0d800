// Programs that lease jobs: who was seen when, what each holds, and which of them an operator drains.

import { hash } from 'node:crypto'
import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { day } from '../runtime/durations.js'
import type { Duty } from '../runtime/duty.js'
import { openDuty } from '../runtime/duty.js'

/** What is kept of one, as JSON. Times are milliseconds since 1970. */
export interface SeenWorker {
  readonly tenant: string
  readonly name: string
  readonly types: readonly string[]
  readonly version: string | null
  readonly lastSeenAt: number
}

/** Names one: two tenants may have workers of the same name. */
export type WorkerId = Pick<SeenWorker, 'tenant' | 'name'>

/** Sightings are written together, so that polls cost nothing by themselves. */
const flushMs = 2000
/** Entries of one command. */
const entriesMax = 500
/** A worker that was not seen for this long is gone: longer than any wait, and than a third of most leases. */
const presentMs = 90_000
const forgetMs = 3_600_000
const workersMax = 10_000
const versionCharsMax = 200
/** No attempt takes longer. */
const drainMs = day
/** After it was told to stop, a program of the same name is a new one. */
const stopMs = 30_000

const toDigest = ({ tenant, name }: WorkerId): string => hash('sha256', JSON.stringify([tenant, name]), 'base64url')

interface Sighting {
  seen: SeenWorker
  /** Job ids, and when each lease ends; null for one that is over. */
  readonly leases: Map<string, number | null>
}

/** All but `note` reject with the error of Redis. Everybody else sees what is noted within seconds. */
export const openRemoteWorkers = ({ redis, keys, log }: { redis: RedisClient; keys: Keys; log: Logger }) => {
  let sightings = new Map<string, Sighting>()
  /** What each said last, for sightings that do not say it again. */
  const readSeen = async (digests: readonly string[]): Promise<Map<string, SeenWorker>> => {
    const texts = digests.length === 0 ? [] : await redis.hmget(keys.remoteWorkers, ...digests)
    const found = new Map<string, SeenWorker>()
    for (const [at, text] of texts.entries()) if (text) found.set(digests[at] as string, JSON.parse(text) as SeenWorker)
    return found
  }

  const flushSome = async (some: readonly (readonly [string, Sighting])[]): Promise<void> => {
    const before = await readSeen(some.filter(([, { seen }]) => seen.types.length === 0).map(([digest]) => digest))
    const pipeline = redis.pipeline()
    pipeline.hset(
      keys.remoteWorkers,
      Object.fromEntries(some.map(([digest, { seen }]) => [digest, JSON.stringify(withTypes(seen, before.get(digest)))])),
    )
    pipeline.zadd(keys.remoteWorkersSeen, ...some.flatMap(([digest, { seen }]) => [seen.lastSeenAt, digest]))
    for (const [digest, { leases }] of some) noteLeases(pipeline, keys.workerLeases(digest), leases)
    for (const [error] of (await pipeline.exec()) ?? []) if (error) throw error
  }

  const flush = async (): Promise<void> => {
    if (sightings.size === 0) return
    const noted = [...sightings]
    sightings = new Map()
    for (let at = 0; at < noted.length; at += entriesMax) await flushSome(noted.slice(at, at + entriesMax))
  }

  const duty = openDuty(
    {
      name: 'remote-workers',
      everyMs: flushMs,
      run: flush,
      failure: 'noting remote workers failed',
      canEnd: () => redis.status === 'ready',
    },
    { log },
  )

  const readPresent = async (max: number): Promise<(readonly [string, SeenWorker])[]> => {
    const digests = await redis.zrevrangebyscore(keys.remoteWorkersSeen, '+inf', Date.now() - presentMs, 'LIMIT', 0, max)
    const seen = await readSeen(digests)
    return digests.flatMap((digest) => {
      const worker = seen.get(digest)
      return worker ? [[digest, worker] as const] : []
    })
  }

  /** Forgets those that are long gone, and the oldest beyond a bound: names are what clients send. */
  const forget: Duty = {
    name: 'forget-remote-workers',
    everyMs: 60_000,
    isShared: true,
    failure: 'forgetting remote workers failed',
    run: async () => {
      const old = await redis.zrangebyscore(keys.remoteWorkersSeen, '-inf', Date.now() - forgetMs, 'LIMIT', 0, 1000)
      const tooMany = await redis.zrange(keys.remoteWorkersSeen, 0, `${-(workersMax + 1)}`)
      const digests = [...new Set([...old, ...tooMany.slice(0, 1000)])]
      if (digests.length === 0) return
      await redis
        .pipeline()
        .hdel(keys.remoteWorkers, ...digests)
        .zrem(keys.remoteWorkersSeen, ...digests)
        .del(...digests.map(keys.workerLeases))
        .exec()
    },
  }

  return {
    duties: [forget],

    /** Costs no round trip. `types` are left as they were when there are none; `leases` as in what is kept. */
    note({ tenant, name }: WorkerId, { types = [], version, leases = [] }: Noted): void {
      const digest = toDigest({ tenant, name })
      const known = sightings.get(digest)
      if (!known && sightings.size >= workersMax) return
      const seen: SeenWorker = {
        ...{ tenant, name, lastSeenAt: Date.now() },
        types: types.length > 0 ? types : (known?.seen.types ?? []),
        version: version?.slice(0, versionCharsMax) ?? known?.seen.version ?? null,
      }
      const sighting = known ?? { seen, leases: new Map() }
      sighting.seen = seen
      for (const [id, endsAt] of leases) sighting.leases.set(id, endsAt)
      sightings.set(digest, sighting)
    },

    /** Those that are there, the latest seen first, with how many leases each holds and whether it is drained. */
    async list(max: number, isMeant: (worker: SeenWorker) => boolean) {
      const present = (await readPresent(workersMax)).filter(([, worker]) => isMeant(worker)).slice(0, max)
      if (present.length === 0) return []
      const pipeline = redis.pipeline()
      for (const [digest] of present) pipeline.zcount(keys.workerLeases(digest), Date.now(), '+inf').exists(keys.drainedWorker(digest))
      const results = ((await pipeline.exec()) ?? []).map(([error, value]) => {
        if (error) throw error
        return Number(value)
      })
      return present.map(([, worker], at) => ({
        ...worker,
        leases: results[2 * at] as number,
        isDrained: results[2 * at + 1] === 1,
      }))
    },

    /** What each of those that are there asked for last. */
    present: async (): Promise<SeenWorker[]> => (await readPresent(workersMax)).map(([, worker]) => worker),

    /** Whether a worker of this name was seen within the last hour. */
    async isKnown(worker: WorkerId): Promise<boolean> {
      const digest = toDigest(worker)
      return sightings.has(digest) || (await redis.zscore(keys.remoteWorkersSeen, digest)) !== null
    },

    async drain(worker: WorkerId): Promise<void> {
      await redis.set(keys.drainedWorker(toDigest(worker)), '1', 'PX', drainMs)
    },

    /** In the order of the workers. */
    async areDrained(workers: readonly WorkerId[]): Promise<boolean[]> {
      const marks = await redis.mget(...workers.map((worker) => keys.drainedWorker(toDigest(worker))))
      return marks.map((mark) => mark !== null)
    },

    /** Told to stop: a repeat of the question is answered alike for a while. */
    async stopped(worker: WorkerId): Promise<void> {
      await redis.pexpire(keys.drainedWorker(toDigest(worker)), stopMs)
    },

    /** How many are there: a gauge. */
    count: (): Promise<number> => redis.zcount(keys.remoteWorkersSeen, Date.now() - presentMs, '+inf'),

    /** Writes what was noted. */
    flush: (): Promise<void> => duty.trigger(),

    async close(): Promise<void> {
      await duty.close()
      if (redis.status === 'ready')
        await flush().catch((error: Error) => log.debug({ error: error.message }, 'remote workers were not noted'))
    },
  }
}

export type RemoteWorkers = ReturnType<typeof openRemoteWorkers>

interface Noted {
  readonly types?: readonly string[]
  readonly version?: string | undefined
  readonly leases?: Iterable<readonly [jobId: string, endsAt: number | null]>
}

const withTypes = (seen: SeenWorker, before: SeenWorker | undefined): SeenWorker =>
  seen.types.length > 0 || !before ? seen : { ...seen, types: before.types, version: seen.version ?? before.version }

const noteLeases = (pipeline: ReturnType<RedisClient['pipeline']>, key: string, leases: ReadonlyMap<string, number | null>): void => {
  const held = [...leases].filter(([, endsAt]) => endsAt !== null)
  const over = [...leases].filter(([, endsAt]) => endsAt === null)
  for (let at = 0; at < held.length; at += entriesMax)
    pipeline.zadd(key, ...held.slice(at, at + entriesMax).flatMap(([id, endsAt]) => [endsAt as number, id]))
  for (let at = 0; at < over.length; at += entriesMax) pipeline.zrem(key, ...over.slice(at, at + entriesMax).map(([id]) => id))
  if (leases.size > 0) pipeline.zremrangebyscore(key, '-inf', Date.now() - 1).pexpire(key, 2 * drainMs)
}
