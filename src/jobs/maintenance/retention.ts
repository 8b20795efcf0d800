// Removes finished jobs when their time is over: BullMQ looks at their age only when a worker finishes another one.

import { setTimeout as pause } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { FinishedJobs, FinishedLimits, FinishedSet } from '../../bullmq/finished-jobs.js'
import type { Config } from '../../config/config.js'
import type { Duty } from '../../runtime/duty.js'

const intervalMsMin = 1000
const intervalMsMax = 60_000
/** What a slow step makes the next one wait at most. */
const restMsMax = 100

interface Deps {
  readonly limits: Pick<Config['queues'], 'removeOnComplete' | 'removeOnFail' | 'retentionCompletedMs' | 'retentionFailedMs'>
  readonly log: Logger
  readonly finished: FinishedJobs
}

/**
 * A duty: holds every queue to its limits, cancelled jobs and the last ones of an idle queue too, which no worker looks at.
 * A round lasts half an interval at most; what is left is for the next one.
 */
export const createRetention = ({ finished, limits, log }: Deps): Duty => {
  const { removeOnComplete, removeOnFail, retentionCompletedMs, retentionFailedMs } = limits
  const shortest = Math.min(retentionCompletedMs, retentionFailedMs)
  const intervalMs = Math.min(intervalMsMax, Math.max(intervalMsMin, shortest / 2))
  const kept: FinishedLimits = {
    completed: { ageMs: retentionCompletedMs, count: removeOnComplete },
    failed: { ageMs: retentionFailedMs, count: removeOnFail },
  }

  /** How many jobs were removed. */
  const removeAll = async (signal: AbortSignal): Promise<number> => {
    const end = performance.now() + intervalMs / 2
    let total = 0
    // A step of each in turn: a large backlog holds up no other queue.
    for (let open = await finished.exceeding(kept); open.length > 0; ) {
      const more: FinishedSet[] = []
      for (const each of open) {
        const start = performance.now()
        if (signal.aborted || start > end) return total
        const { removed, isMore } = await finished.removeSome(each, kept[each.state])
        total += removed
        if (isMore) more.push(each)
        // Every second moment is left to others: Redis does one thing at a time.
        if (removed > 0) await pause(Math.min(performance.now() - start, restMsMax))
      }
      open = more
    }
    return total
  }

  return {
    name: 'retention',
    everyMs: intervalMs,
    jitter: 0.1,
    backoffMsMax: intervalMsMax,
    isShared: true,
    unref: true,
    async run(signal) {
      const removed = await removeAll(signal)
      if (removed > 0) log.debug({ removed }, 'removed finished jobs past their retention')
    },
    failure: 'removing finished jobs failed',
  }
}
