// Cancels, retries and promotes jobs.

import { randomUUID } from 'node:crypto'
import type { Queues } from '../bullmq/queues.js'
import { fingerprintChars } from '../bullmq/scripts/accept-script.js'
import {
  type CancelOutcome,
  createControlScripts,
  type PromoteOutcome,
  type RetryClaim,
  type RetryOutcome,
} from '../bullmq/scripts/control-scripts.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { QueueName } from '../types/queue-name.js'

export type EarlierRetry = Extract<RetryOutcome, { kind: 'replayed' | 'reused' }>

/** Children that are cancelled at once with their parent. */
const childrenAtOnce = 100

export const createJobControl = ({ redis, keys, queues }: { redis: RedisClient; keys: Keys; queues: Queues }) => {
  const scripts = createControlScripts({ redis, queues, channel: keys.cancelled })

  return {
    /**
     * `cancelled`: it had not started and never will. `running`: its handler is told to stop.
     * A parent of several jobs is marked, and those of its children that have not started are cancelled; if none runs, so is it.
     */
    async cancel(name: QueueName, id: string): Promise<CancelOutcome> {
      const act = randomUUID()
      const outcome = await scripts.cancel(name, id, act)
      if (outcome !== 'running') return outcome
      const children = await scripts.pendingChildren(name, id)
      const outcomes: CancelOutcome[] = []
      for (let start = 0; start < children.length; start += childrenAtOnce) {
        const some = children.slice(start, start + childrenAtOnce)
        outcomes.push(...(await Promise.all(some.map((child) => scripts.cancel(name, child, act)))))
      }
      // With the last of those that waited it was cancelled too.
      return children.length === 0 || outcomes.includes('running') ? outcome : scripts.cancel(name, id, act)
    },

    /** The outcome of an earlier retry of this job under this key; null when it is new. */
    async earlierRetry(id: string, { digest, fingerprint }: Pick<RetryClaim, 'digest' | 'fingerprint'>): Promise<EarlierRetry | null> {
      const held = await redis.get(queues.partitions.forSubmission(digest, id).keys.idempotency(digest))
      if (held === null) return null
      return held.startsWith(fingerprint) ? { kind: 'replayed', answer: held.slice(fingerprintChars) } : { kind: 'reused' }
    },

    /** Runs a failed job again with all its attempts. */
    retry: (name: QueueName, id: string, claim?: RetryClaim): Promise<RetryOutcome> => scripts.retry(name, id, claim),

    /** Lets a delayed job run now. */
    promote: (name: QueueName, id: string): Promise<PromoteOutcome> => scripts.promote(name, id),

    logs: scripts.logs,
    children: scripts.children,
  }
}

export type JobControl = ReturnType<typeof createJobControl>
