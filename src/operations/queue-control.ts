// Pauses, resumes and cleans queues for operators.

import { type FinishedJobs, type FinishedState, finishedStates } from '../bullmq/finished-jobs.js'
import type { Queues } from '../bullmq/queues.js'
import type { QueueName } from '../types/queue-name.js'
import type { Audit } from './audit.js'

/** What `clean` takes away. Ages are milliseconds since a job ended. */
export interface CleanLimits {
  readonly completedMaxAge: number
  readonly failedMaxAge: number
  /** Jobs removed at most, of each queue and state. */
  readonly limit: number
}

type Removed = Record<QueueName, Record<FinishedState, number>>

/** `by` is the id of the API key that asks; it goes to the audit trail. All reject with the error of Redis. */
export const createQueueControl = ({ audit, finished, queues }: { audit: Audit; finished: FinishedJobs; queues: Queues }) => {
  const toAll = async (act: (name: QueueName) => Promise<void>): Promise<readonly QueueName[]> => {
    const names = queues.names()
    await Promise.all(names.map(act))
    return names
  }

  return {
    /** Workers take no more jobs from this queue; running ones go on. Harmless when paused already. */
    async pause(queue: QueueName, by: string): Promise<void> {
      await queues.pause(queue)
      await audit.note({ by, act: 'queue.paused', queue, details: {} })
    },

    async resume(queue: QueueName, by: string): Promise<void> {
      await queues.resume(queue)
      await audit.note({ by, act: 'queue.resumed', queue, details: {} })
    },

    /** Every queue that is there now; says which. */
    async pauseAll(by: string): Promise<readonly QueueName[]> {
      const names = await toAll(queues.pause)
      await audit.note({ by, act: 'queue.paused', queue: null, details: { queues: names.length } })
      return names
    },

    async resumeAll(by: string): Promise<readonly QueueName[]> {
      const names = await toAll(queues.resume)
      await audit.note({ by, act: 'queue.resumed', queue: null, details: { queues: names.length } })
      return names
    },

    /** Removes finished jobs of every queue, oldest first; says how many. The audit trail names the queues that lost some. */
    async clean(limits: CleanLimits, by: string): Promise<Removed> {
      const ages = { completed: limits.completedMaxAge, failed: limits.failedMaxAge }
      const all: Removed = Object.fromEntries(queues.names().map((name) => [name, { completed: 0, failed: 0 }]))
      const found = await finished.exceeding({
        completed: { ageMs: ages.completed, count: undefined },
        failed: { ageMs: ages.failed, count: undefined },
      })
      for (const state of finishedStates) {
        for (const name of new Set(found.filter((set) => set.state === state).map(({ queue }) => queue.queue))) {
          const counts = all[name]
          if (counts && queues.has(name)) counts[state] = await finished.removeOld(name, state, ages[state], limits.limit)
        }
      }
      const removed = Object.fromEntries(Object.entries(all).filter(([, { completed, failed }]) => completed + failed > 0))
      await audit.note({ by, act: 'queue.cleaned', queue: null, details: { ...limits, removed } })
      return all
    },
  }
}

export type QueueControl = ReturnType<typeof createQueueControl>
