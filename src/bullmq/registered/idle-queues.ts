// Watches queues in which nothing happens, all of a partition on one connection, and tells when one of them needs a worker.

import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import { withDeadline } from '../../runtime/deadline.js'
import { openDuty } from '../../runtime/duty.js'
import type { QueueName } from '../../types/queue-name.js'
import { delayedScoresPerMs, metaFields } from '../facts.js'
import type { QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'

/** A blocking read returns at least this often, so that a stopped watch ends. */
const blockSeconds = 5
/** Before 7.0.8, Redis may take a shorter time for none at all and block for ever. */
const blockMsMin = 2
/** A marker may be lost with the process that took it: queues are looked at this often besides. BullMQ's own workers do the same. */
const lookMs = 5000
/** Pause after a failed read; the connection itself reconnects by its own rules. */
const retryMs = 200
/** Closing waits this long for the read under way. */
const closeMsMax = 1000
/** The entry that ends a blocking read may go once that would have ended anyway. */
const wakeMs = 60_000
/** Queues that one script looks at. */
const queuesPerScript = 200

/**
 * Finds queues that need a worker: something waits in them, is due or, where that counts, runs. What runs may have lost its worker.
 * KEYS: for each queue wait, prioritized, active, delayed; then for each its meta. ARGV: 1 score of delayed jobs that are due now,
 * 2 '1' if what runs counts.
 * Returns the places of those queues.
 */
const needyScript = `
local found = {}
local count = #KEYS / 5
if redis.call('EXISTS', unpack(KEYS, 1, 4 * count)) == 0 then return found end
for at = 1, count do
  local first = 4 * at - 3
  local isPaused = redis.call('HEXISTS', KEYS[4 * count + at], '${metaFields.paused}') == 1
  if ARGV[2] == '1' and redis.call('LLEN', KEYS[first + 2]) > 0 or not isPaused and (redis.call('LLEN', KEYS[first]) > 0
    or redis.call('ZCARD', KEYS[first + 1]) > 0 or redis.call('ZCOUNT', KEYS[first + 3], '-inf', ARGV[1]) > 0) then
    found[#found + 1] = at
  end
end
return found
`

interface WatchDeps {
  /** Opens the connection that waits. */
  readonly connect: () => RedisClient
  readonly redis: RedisClient
  readonly log: Logger
}

/**
 * Waits for the markers by which BullMQ wakes workers. One that is for a later moment is kept until then; given back when the queue is
 * left to others. `wakeKey` is a sorted set of the watch's own: an entry ends its blocking read, so that it goes on with other queues.
 */
const createMarkerWatch = ({ connect, redis, log, wakeKey, found }: WatchDeps & { wakeKey: string; found: (name: QueueName) => void }) => {
  const watched = new Map<string, QueueName>()
  /** Markers that were taken, by key, and when their jobs are due. */
  const taken = new Map<string, { readonly member: string; readonly dueAt: number }>()
  let client: RedisClient | undefined
  let loop: Promise<void> | undefined
  let isWaiting = false
  let isClosed = false

  const giveBack = (marker: string, member: string, score: number | string): void => {
    redis.zadd(marker, 'LT', score, member).catch((error: Error) => log.debug({ error: error.message }, 'a marker was not given back'))
  }

  const take = ([key, member, score]: [string, string, string]): void => {
    const name = watched.get(key)
    if (name === undefined) {
      if (key !== wakeKey) giveBack(key, member, score)
      return
    }
    const dueAt = Number(score)
    if (dueAt <= Date.now()) found(name)
    else if (dueAt < (taken.get(key)?.dueAt ?? Number.POSITIVE_INFINITY)) taken.set(key, { member, dueAt })
  }

  /** Tells of those that are due; gives how long there is to wait for the next. */
  const tellDue = (): number => {
    const now = Date.now()
    for (const [key, { dueAt }] of [...taken]) if (dueAt <= now) found(watched.get(key) as QueueName)
    const next = Math.min(...[...taken.values()].map(({ dueAt }) => dueAt))
    return Math.min(blockSeconds, Math.max(blockMsMin, next - now) / 1000)
  }

  const waitLoop = async (reader: RedisClient): Promise<void> => {
    while (!isClosed) {
      const seconds = tellDue()
      if (watched.size === 0) break
      try {
        isWaiting = true
        const reply = await reader.bzpopmin(wakeKey, ...watched.keys(), seconds)
        isWaiting = false
        if (reply) take(reply as [string, string, string])
      } catch (error) {
        isWaiting = false
        if (isClosed) break
        log.warn({ error: (error as Error).message }, 'waiting for jobs in idle queues failed; looking again')
        await pause(retryMs)
      }
    }
    loop = undefined
  }

  const endRead = (): void => {
    if (!isWaiting) return
    // Once is enough, however many queues come and go before it has ended.
    isWaiting = false
    const entry = redis.pipeline().zadd(wakeKey, 0, 'wake').pexpire(wakeKey, wakeMs)
    // Without it the read ends when its time is over.
    entry.exec().catch((error: Error) => log.debug({ error: error.message }, 'the watch of idle queues was not woken'))
  }

  /** Makes the read go on with the queues that are watched now. */
  const restart = (): void => {
    if (isClosed) return
    if (loop) {
      endRead()
      return
    }
    if (watched.size === 0) return
    client ??= connect()
    loop = waitLoop(client)
  }

  return {
    watch(places: readonly QueueKeys[]): void {
      for (const { marker, queue } of places) watched.set(marker, queue)
      restart()
    },
    /** `isLeft`: nobody here takes its jobs from now on. */
    unwatch({ marker }: QueueKeys, { isLeft }: { isLeft: boolean }): void {
      if (!watched.delete(marker)) return
      const held = taken.get(marker)
      taken.delete(marker)
      if (held && isLeft) giveBack(marker, held.member, held.dueAt)
      restart()
    },
    async close(): Promise<void> {
      isClosed = true
      if (redis.status === 'ready') {
        // Before anything is given back: a read that is still open at the server would take it again.
        endRead()
        if (loop) await withDeadline(loop, closeMsMax, undefined)
        for (const [marker, { member, dueAt }] of taken) giveBack(marker, member, dueAt)
      }
      client?.disconnect()
    },
  }
}

interface Deps extends WatchDeps {
  readonly queues: Pick<QueuePlaces, 'has' | 'in' | 'partitions'>
  /** Names this process. */
  readonly instanceId: string
  /** Whether a queue needs a worker while jobs of it run, since these may have lost theirs; true unless given. */
  readonly countsRunning?: boolean
  /** A queue that is watched needs a worker; it is watched no longer. */
  readonly needsWorker: (name: QueueName) => void
}

/** Idle queues cost one connection and a few commands every five seconds for all of them together, in each partition. */
export const openIdleQueues = ({ queues, instanceId, needsWorker, countsRunning = true, ...deps }: Deps) => {
  const { redis, log } = deps
  const runNeedyScript = defineScript<number[]>(redis, needyScript)
  const watched = new Set<QueueName>()

  const found = (name: QueueName): void => {
    if (!watched.has(name)) return
    stopWatching(name, { isLeft: false })
    needsWorker(name)
  }
  const watches = queues.partitions.all.map((partition) => ({
    partition,
    watch: createMarkerWatch({ ...deps, wakeKey: partition.keys.wakeWatch(instanceId), found }),
  }))
  const placesOf = new Map<QueueName, QueueKeys[]>()

  const stopWatching = (name: QueueName, how: { isLeft: boolean }): void => {
    if (!watched.delete(name)) return
    for (const [at, { watch }] of watches.entries()) watch.unwatch(placesOf.get(name)?.[at] as QueueKeys, how)
    placesOf.delete(name)
  }

  const findNeedy = async (places: readonly QueueKeys[]): Promise<QueueName[]> => {
    const keys = places.flatMap(({ wait, prioritized, active, delayed }) => [wait, prioritized, active, delayed])
    const rows = await runNeedyScript(
      [...keys, ...places.map(({ meta }) => meta)],
      [Date.now() * delayedScoresPerMs, countsRunning ? 1 : 0],
    )
    return rows.map((place) => places[place - 1]?.queue as QueueName)
  }

  /** Those of the queues, which are there, that need a worker now. */
  const needy = async (names: readonly QueueName[]): Promise<ReadonlySet<QueueName>> => {
    const all = new Set<QueueName>()
    for (const partition of queues.partitions.all) {
      const places = names.filter(queues.has).map((name) => queues.in(name, partition))
      for (let at = 0; at < places.length; at += queuesPerScript) {
        for (const name of await findNeedy(places.slice(at, at + queuesPerScript))) all.add(name)
      }
    }
    return all
  }

  const duty = openDuty(
    {
      name: 'idle-queues',
      everyMs: lookMs,
      run: async () => {
        for (const name of await needy([...watched])) found(name)
      },
      failure: 'looking at idle queues failed',
      canEnd: () => redis.status === 'ready',
    },
    { log },
  )

  return {
    needy,

    /** Watches queues from now on; what happened in them before is noticed too. */
    watch(names: readonly QueueName[]): void {
      const added = names.filter((name) => !watched.has(name))
      for (const name of added) {
        watched.add(name)
        placesOf.set(
          name,
          watches.map(({ partition }) => queues.in(name, partition)),
        )
      }
      if (added.length === 0) return
      for (const [at, { watch }] of watches.entries()) watch.watch(added.map((name) => placesOf.get(name)?.[at] as QueueKeys))
      void duty.trigger()
    },

    /** Leaves a queue to others; of one that is gone nothing is given back, since nobody would take that away. */
    leave: (name: QueueName): void => stopWatching(name, { isLeft: queues.has(name) }),

    async close(): Promise<void> {
      watched.clear()
      await Promise.all([duty.close(), ...watches.map(({ watch }) => watch.close())])
    },
  }
}

export type IdleQueues = ReturnType<typeof openIdleQueues>
