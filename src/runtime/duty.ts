// A background duty: rounds of work at intervals or at once, one at a time, until it is closed.

import type { Logger } from 'pino'
import { withDeadline } from './deadline.js'
import type { Scope } from './scope.js'
import { createThrottledLog } from './throttled-log.js'

/** Takes the named lock for `ttlMs`; null while somebody else holds it. */
export type TakeLock = (name: string, ttlMs: number) => Promise<unknown>

/** A duty and how it is done. It begins when it is opened. */
export interface Duty {
  /** Names its lock. */
  readonly name: string
  /** From the beginning of one round to that of the next; a round that takes longer skips those that it runs into. */
  readonly everyMs: number
  /** One round. `signal` fires when the duty is closed: a long round ends at its next step. */
  readonly run: (signal: AbortSignal) => unknown
  /** What the log says of a round that failed, as in `removing finished jobs failed`. */
  readonly failure: string
  /** `warn` unless given; `debug` where the cause is told elsewhere. */
  readonly failureLevel?: 'warn' | 'debug'
  /** The first round begins at once, not after an interval. */
  readonly startsAtOnce?: boolean
  /** One round in an interval for all instances together: the others find the lock taken. */
  readonly isShared?: boolean
  /** Each wait is longer by a random part of this share of it, so that instances do not all come at once. */
  readonly jitter?: number
  /** Waits double after each failure in a row, up to this. */
  readonly backoffMsMax?: number
  /** Does not keep the process alive. */
  readonly unref?: boolean
  /** Whether a round under way is going to end: closing waits for no other. Without Redis a patient command does not end. */
  readonly canEnd?: () => boolean
  /** Closing waits this long for the round under way: what it calls may have stopped answering. */
  readonly closeMsMax?: number
}

/** Longer than any command of the request side may take. */
const defaultCloseMsMax = 5000
/** Of an interval: a lock is not released, so it has to be free again for the next round. */
const lockShare = 0.9

export interface OpenDuty {
  /** Begins a round now, or right after the one under way. Resolves when it has ended, however it did. */
  trigger(): Promise<void>
  /** Begins no more rounds; resolves after the one under way, or when that takes too long. */
  close(): Promise<void>
}

interface Tools {
  readonly log: Pick<Logger, 'warn' | 'debug'>
  /** For duties that are shared. */
  readonly lock?: TakeLock
}

export const openDuty = (duty: Duty, { log, lock }: Tools): OpenDuty => {
  const {
    name,
    everyMs,
    run,
    failure,
    failureLevel = 'warn',
    isShared = false,
    jitter = 0,
    canEnd = () => true,
    closeMsMax = defaultCloseMsMax,
  } = duty
  if (isShared && !lock) throw new Error(`The duty ${name} is shared by all instances and needs a lock`)
  const stop = new AbortController()
  const logFailure = createThrottledLog((error: unknown, unlogged) => {
    log[failureLevel]({ error: (error as Error).message, unlogged }, `${failure}; retrying`)
  })
  let timer: NodeJS.Timeout | undefined
  let running: Promise<void> | undefined
  let next: Promise<void> | undefined
  let failures = 0

  const runOnce = async (): Promise<void> => {
    try {
      if (isShared && !(await lock?.(name, Math.floor(everyMs * lockShare)))) return
      if (stop.signal.aborted) return
      await run(stop.signal)
      failures = 0
    } catch (error) {
      failures++
      if (!stop.signal.aborted) logFailure(error)
    }
  }

  const schedule = (tookMs: number): void => {
    if (stop.signal.aborted) return
    const backoffMs = Math.min(everyMs * 2 ** failures, Math.max(everyMs, duty.backoffMsMax ?? 0))
    const waitMs = backoffMs - (tookMs % everyMs)
    timer = setTimeout(begin, waitMs * (1 + Math.random() * jitter))
    if (duty.unref) timer.unref()
  }

  const round = async (): Promise<void> => {
    clearTimeout(timer)
    const startedAt = performance.now()
    await runOnce()
    running = undefined
    schedule(performance.now() - startedAt)
  }

  const begin = (): Promise<void> => {
    if (stop.signal.aborted) return Promise.resolve()
    running ??= round()
    return running
  }

  if (duty.startsAtOnce) void begin()
  else schedule(0)

  return {
    trigger() {
      if (!running) return begin()
      next ??= running.then(() => {
        next = undefined
        return begin()
      })
      return next
    },
    async close() {
      stop.abort()
      clearTimeout(timer)
      if (running && canEnd()) await withDeadline(running, closeMsMax, undefined)
    },
  }
}

/** Opens one after another; closed with `scope`. */
export const openDuties = async (duties: readonly Duty[], tools: Tools, scope: Scope): Promise<void> => {
  for (const duty of duties) await scope.open(`duty ${duty.name}`, () => openDuty(duty, tools))
}
