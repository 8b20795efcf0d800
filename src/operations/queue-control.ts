// Pauses, resumes and cleans queues for operators.

import type { FinishedJobs } from '../bullmq/finished-jobs.js'
import type { Queues } from '../bullmq/queues.js'
import type { QueueName } from '../types/job-schema.js'
import type { Audit } from './audit.js'

/** What `clean` takes away. Ages are milliseconds since a job ended. */
export interface CleanLimits {
  readonly completedMaxAge: number
  readonly failedMaxAge: number
  /** Jobs removed at most, of each queue and state. */
  readonly limit: number
}

/** `by` is the id of the API key that asks; it goes to the audit trail. All reject with the error of Redis. */
export const createQueueControl = ({ audit, finished, queues }: { audit: Audit; finished: FinishedJobs; queues: Queues }) => {
  return {
    /** Workers take no more jobs from these queues; running ones go on. Harmless when paused already. */
    async pause(names: readonly QueueName[], by: string): Promise<void> {
      await Promise.all(names.map(queues.pause))
      for (const queue of names) await audit.note({ by, act: 'queue.paused', queue, details: {} })
    },

    async resume(names: readonly QueueName[], by: string): Promise<void> {
      await Promise.all(names.map(queues.resume))
      for (const queue of names) await audit.note({ by, act: 'queue.resumed', queue, details: {} })
    },

    /** Removes finished jobs of every queue, oldest first; says how many. */
    async clean(limits: CleanLimits, by: string): Promise<Record<QueueName, { completed: number; failed: number }>> {
      const { completedMaxAge, failedMaxAge, limit } = limits
      const removed = {} as Record<QueueName, { completed: number; failed: number }>
      for (const name of queues.names) {
        removed[name] = {
          completed: await finished.removeOld(name, 'completed', completedMaxAge, limit),
          failed: await finished.removeOld(name, 'failed', failedMaxAge, limit),
        }
      }
      await audit.note({ by, act: 'queue.cleaned', queue: null, details: { ...limits, removed } })
      return removed
    },
  }
}

export type QueueControl = ReturnType<typeof createQueueControl>
