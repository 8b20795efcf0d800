// Keeps the registry of this process in line with the job types in Redis.

import { randomUUID } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { TypeHead, TypeVersion } from '../bullmq/registered/type-records.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { withDeadline } from '../runtime/deadline.js'
import { openDuty } from '../runtime/duty.js'
import { toJobType } from '../types/contracts/own-type.js'
import type { JobType } from '../types/definition.js'
import type { JobTypes } from '../types/registry.js'

/** A change is seen after at most this, and the time that it takes to read it. */
const everyMs = 500
/** Who asks for a type that is not known may make this process look, this often at most; and waits for it no longer than that. */
const missEveryMs = 100
const missMsMax = 500
/** Definitions that are read in one round trip. */
const typesAtOnce = 50

interface Deps {
  readonly redis: RedisClient
  readonly keys: Keys
  readonly jobTypes: JobTypes
  readonly log: Logger
  /** What this process adds to a type: its run, where it has a module for it. */
  readonly complete?: (type: JobType) => JobType
}

/** Another text for every change: a number might come twice when a failover loses the last change. */
export const mintRevision = (): string => randomUUID()

/**
 * Looks for changes twice a second. `load` does so now; it rejects with the error of Redis, and what was known stays.
 * Idle, it costs one GET a look, however many types there are.
 */
export const openTypeFollower = ({ redis, keys, jobTypes, log, complete = (type) => type }: Deps) => {
  /** What the registry was given, by name: the text of its head. */
  const known = new Map<string, string>()
  let revision: string | null | undefined
  let loading: Promise<void> | undefined
  /** When the last look began. */
  let lookedAt = Number.NEGATIVE_INFINITY
  /** A look that has not begun. */
  let next: Promise<void> | undefined

  const readDefinitions = async (wanted: readonly (readonly [name: string, text: string])[]): Promise<(string | null)[]> => {
    const pipeline = redis.pipeline()
    for (const [name, text] of wanted) pipeline.hget(keys.jobType(name), String((JSON.parse(text) as TypeHead).version))
    return ((await pipeline.exec()) ?? []).map(([error, found]) => {
      if (error) throw error
      return found as string | null
    })
  }

  /** False when a type changed while it was read. */
  const loadHeads = async (heads: Readonly<Record<string, string>>): Promise<boolean> => {
    const changed = Object.entries(heads).filter(([name, text]) => known.get(name) !== text && !jobTypes.isBuiltin(name))
    const loaded: { type: JobType; version: number; text: string; createdAt: number }[] = []
    for (let at = 0; at < changed.length; at += typesAtOnce) {
      const wanted = changed.slice(at, at + typesAtOnce)
      for (const [index, found] of (await readDefinitions(wanted)).entries()) {
        const [name, text] = wanted[index] as [string, string]
        if (found === null) return false
        const head = JSON.parse(text) as TypeHead
        const { definition } = JSON.parse(found) as TypeVersion
        loaded.push({
          type: complete(toJobType(name, definition, head.sensitive, head.registration)),
          version: head.version,
          text,
          createdAt: head.createdAt,
        })
      }
    }
    const gone = [...known.keys()].filter((name) => !Object.hasOwn(heads, name))
    if (loaded.length + gone.length === 0) return true
    // In the same order on every instance: metrics name the first.
    loaded.sort((one, other) => one.createdAt - other.createdAt || (one.type.name < other.type.name ? -1 : 1))
    for (const { type, text } of loaded) known.set(type.name, text)
    for (const name of gone) known.delete(name)
    jobTypes.replace(loaded, gone)
    log.info({ changed: loaded.length, gone: gone.length, own: known.size }, 'job types changed')
    return true
  }

  const look = async (): Promise<void> => {
    lookedAt = performance.now()
    const present = await redis.get(keys.jobTypesRevision)
    if (present === revision) return
    if (await loadHeads(await redis.hgetall(keys.jobTypes))) revision = present
  }

  /** One at a time: an older state must not come on top of a newer one. */
  const load = (): Promise<void> => {
    loading = (loading ?? Promise.resolve()).catch(() => {}).then(look)
    return loading
  }

  const duty = openDuty(
    {
      name: 'job-types',
      everyMs,
      run: load,
      failure: 'reading the job types failed',
      failureLevel: 'debug',
      startsAtOnce: true,
      jitter: 0.1,
      unref: true,
      canEnd: () => redis.status === 'ready',
    },
    { log },
  )

  /** As `load`, but waits for a Redis that is not there yet, `ms` at most; whether it was read. Never rejects. */
  const loadWithin = async (ms: number): Promise<boolean> => {
    const isLoaded = () => revision !== undefined
    const tryNow = () => load().then(isLoaded, isLoaded)
    if (redis.status === 'ready' && (await tryNow())) return true
    const ready = new Promise<void>((resolve) => redis.once('ready', () => resolve()))
    return withDeadline(ready.then(tryNow), ms, false)
  }

  /**
   * Looks for a type that is not known: it may have been registered elsewhere a moment ago. All who ask before a look begins share it, so
   * that names that nobody has registered cost Redis ten small reads a second, however many are asked for. Never rejects.
   */
  const lookAgain = (): Promise<void> => {
    const begin = async (): Promise<void> => {
      // At least a turn, in which `next` is set.
      await pause(Math.max(0, lookedAt + missEveryMs - performance.now()))
      next = undefined
      // It counts even when Redis is away and no look begins.
      lookedAt = performance.now()
      await withDeadline(
        load().catch(() => {}),
        missMsMax,
        undefined,
      )
    }
    next ??= begin()
    return next
  }

  return {
    load,
    lookAgain,
    loadWithin,
    /** Whether the types of Redis have ever been read: until then an unknown one may be registered. */
    isLoaded: (): boolean => revision !== undefined,
    /** Whether Redis had no trace of any registration at the last look: it is new, or has lost all that it held. */
    isBlank: (): boolean => revision === null,
    close: duty.close,
  }
}

export type TypeFollower = Awaited<ReturnType<typeof openTypeFollower>>
