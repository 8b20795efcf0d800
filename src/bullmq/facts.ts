// What our Lua and our reads rely on in BullMQ 6.7.0, in one list. Loading this file checks what can be checked.

import { hash } from 'node:crypto'
import { createRequire } from 'node:module'
import { RedisConnection } from 'bullmq'

/**
 * The oldest Redis, as in `redis/check-server.ts`. Unasked BullMQ assumes Redis 5, which can wait for whole seconds only: a delayed
 * job would start up to a second late. It is not let ask, since a user without the right to INFO has to do.
 */
export const oldestRedis = '6.2.0'

/** Names of the keys behind `<prefix>:<queue>:`. A job's own hash has its id there, which is why no client's string becomes an id. */
export const keyNames = {
  wait: 'wait',
  paused: 'paused',
  active: 'active',
  prioritized: 'prioritized',
  delayed: 'delayed',
  completed: 'completed',
  failed: 'failed',
  waitingChildren: 'waiting-children',
  events: 'events',
  marker: 'marker',
  meta: 'meta',
  id: 'id',
  /** Counts what a queue with a rate limit handed out. */
  limiter: 'limiter',
  /** Ids of jobs whose worker is to show that it lives. */
  stalled: 'stalled',
  /** Counts prioritized jobs, for their order within a priority. */
  pc: 'pc',
  /** Job schedulers by when each is due next. */
  repeat: 'repeat',
  metricsCompleted: 'metrics:completed',
  metricsFailed: 'metrics:failed',
} as const

/** Behind `metrics:…`: the list of what each minute added, latest first. */
export const metricsDataEnding = ':data'

/** Behind the key of a job's hash. The lock holds the token of the worker that has the job; token `0` skips its check. */
export const jobKeyEndings = {
  dependencies: ':dependencies',
  processed: ':processed',
  failed: ':failed',
  lock: ':lock',
  logs: ':logs',
} as const

/** Members of a job's hash whose names do not say what they are; ours begin with `jg:`. */
export const jobFields = {
  attemptsMade: 'atm',
  attemptsStarted: 'ats',
  /** How often a worker died or stalled with it. */
  stalledCount: 'stc',
  /** A reason here fails the job the next time a worker takes it up or ends it. */
  deferredFailure: 'defa',
  /** Name of the worker that took it up last. */
  processedBy: 'pb',
  /** The job scheduler that made it. */
  schedulerKey: 'rjk',
} as const

/**
 * Members of `meta`. `paused` is there while the queue is paused; `concurrency` limits all workers together. `jg:openFor` is ours:
 * the queue of a type that was registered at run time takes jobs only of the registration that stands there.
 */
export const metaFields = { paused: 'paused', concurrency: 'concurrency', eventsMax: 'opts.maxLenEvents', openFor: 'jg:openFor' } as const
/** Entries of the event stream that BullMQ keeps unless `meta` says otherwise. */
export const eventsMaxDefault = 10_000

/** `delayed` is scored by the time a job is due in milliseconds, shifted by 12 bits for the order within one. */
export const delayedScoresPerMs = 0x1000
/** `prioritized` is scored by priority, shifted by 32 bits, plus a counter: within a priority the first has waited longest. */
export const scoresPerPriority = 0x100000000

/** Wakes a worker that waits: the base marker. Delayed jobs have one of their own, scored by when the first is due, in milliseconds. */
export const marker = { score: 0, member: '0', delayedMember: '1' } as const

/** Id of a job that a job scheduler made: `repeat:<key>:<milliseconds>`. */
export const schedulerJobIdStart = 'repeat:'

/** How BullMQ begins the reason of a job whose workers died or stalled with it too often. */
export const lostTooOften = /^job (stalled|started) more than allowable limit/

/** The two lines in which a script unpacks what BullMQ's client packed; ours hands over Lua tables instead. */
export const unpackedArguments = 'cmsgpack.unpack(ARGV[1])'
export const unpackedOptions = 'cmsgpack.unpack(ARGV[3])'
/** The same in the script that ends a job. */
export const unpackedFinish = 'cmsgpack.unpack(ARGV[8])'
/** A function that BullMQ's build has put into a script: it ends with the first `end` that is not indented. */
export const helperFunction = /^local function [\s\S]*?^end$/gm
/** Where the functions of `obliterate` end and its work begins. */
export const endOfObliterateFunctions = '-- 1) Check if paused'

/** Of the text of addPrioritizedJob, whose effects `scripts/accept-script.ts` writes by itself. */
const addPrioritizedDigest = 'd4652d1be004a3d7bfed76efdc706f2017f8dfd0080c51ab1f05457eeb1c3c77'

/** Texts of BullMQ's scripts by which what stands above can be told, as script, number of its keys, and text. */
const witnesses: readonly (readonly [script: string, keys: number, text: string])[] = [
  ['addDelayedJob', 6, 'local minScore = delayedTimestamp * 0x1000'],
  ['addPrioritizedJob', 9, 'return priority * 0x100000000 + prioCounter % 0x100000000'],
  ['addPrioritizedJob', 9, 'rcall("ZADD", markerKey, 0, "0")'],
  ['addPrioritizedJob', 9, '"opts.maxLenEvents"'],
  ['addDelayedJob', 6, 'rcall("ZADD", markerKey, nextTimestamp, "1")'],
  ['addJobScheduler', 11, 'local jobId = "repeat:" .. jobSchedulerId .. ":" .. nextMillis'],
  ['moveToActive', 11, 'rcall("HINCRBY", jobKey, "ats", 1)'],
  ['moveToActive', 11, 'rcall("HEXISTS", jobKey, "defa")'],
  ['moveToActive', 11, "local lockKey = jobKey .. ':lock'"],
  ['moveToActive', 11, 'table.insert(optionalValues, "pb")'],
  ['addPrioritizedJob', 9, 'table.insert(optionalValues, "rjk")'],
  ['retryJob', 11, 'rcall("HINCRBY", jobKey, "atm", 1)'],
  ['moveToDelayed', 11, 'rcall("ZADD", markerKey, nextTimestamp, "1")'],
  ['moveToDelayed', 11, 'if (ARGV[8] == "1") then'],
  ['moveToFinished', 14, 'if (ARGV[6] == "1") then'],
  ['moveToFinished', 14, 'local errorCode = removeLock(jobIdKey, KEYS[5], token, ARGV[1])'],
  ['moveJobFromActiveToWait', 9, 'local errorCode = removeLock(jobKey, KEYS[3], token, jobId)'],
  ['moveToActive', 11, 'if nextTimestamp ~= nil then return {0, 0, 0, nextTimestamp} end'],
  ['addLog', 2, 'rcall("LTRIM", KEYS[2], -keepLogs, -1)'],
  ['moveStalledJobsToWait', 9, '"job stalled more than allowable limit"'],
  ['getMetrics', 2, 'rcall("HMGET", metricsKey, "count", "prevTS", "prevCount")'],
  ['moveToFinished', 14, 'rcall("HSET", metaKey, "prevCount", count, "prevTS", timestamp)'],
]

interface Script {
  readonly name: string
  readonly content: string
}

/** BullMQ's compiled scripts have no public entry point; its exact version is pinned. */
const require = createRequire(import.meta.url)

/** One of BullMQ's scripts, by its name and the number of its keys. */
export const loadScript = (name: string, keys: number): Script => {
  const module = require(`bullmq/dist/cjs/scripts/${name}-${keys}.js`) as Record<string, Script>
  return module[name] as Script
}

/** Throws unless the scripts that `load` gives are those of which all this is true: an upgrade fails at start, and not in Redis. */
export const requireFacts = (load: typeof loadScript = loadScript): void => {
  for (const [name, keys, text] of witnesses) {
    if (!load(name, keys).content.includes(text)) {
      throw new Error(`BullMQ's script ${name} has changed: expected "${text}"; see bullmq/facts.ts`)
    }
  }
  if (hash('sha256', load('addPrioritizedJob', 9).content) !== addPrioritizedDigest) {
    throw new Error('BullMQ has changed how it adds a job: compare addPrioritizedJob with addWaitingJobs in scripts/accept-script.ts')
  }
}

requireFacts()

/** Tells BullMQ which Redis it meets at least. Call before a worker is opened: it is one setting for all of BullMQ in this process. */
export const assumeOldestRedis = (): void => {
  RedisConnection.minimumVersion = oldestRedis
}
