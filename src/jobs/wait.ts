// Waits until a job is finished: events first, a look at its state as net.

import type { JobEvents } from '../bullmq/job-events.js'
import { finishedStates } from '../types/job-schema.js'
import type { JobSnapshot, ReadSnapshot } from './snapshot.js'

/** An event can be lost (a full stream, a failover): the state is looked at this often besides. */
const lookIntervalMs = 1000

export const createAwaitFinish = ({ events, readSnapshot }: { events: JobEvents; readSnapshot: ReadSnapshot }) => {
  /**
   * Resolves with the job once it is finished, and with its current state when `waitMs` is over or `signal` fires;
   * null when there is no such job. Rejects with the error of Redis when the first look fails.
   */
  return async (id: string, waitMs: number, signal: AbortSignal): Promise<JobSnapshot | null> => {
    const deadline = Date.now() + waitMs
    let wake = () => {}
    // Followed before the first look: what finishes in between is noticed.
    const unfollow = await events.follow(id, ({ state }) => {
      if (state === 'completed' || state === 'failed' || state === 'cancelled' || state === 'removed') wake()
    })
    const stop = () => wake()
    signal.addEventListener('abort', stop)
    try {
      for (;;) {
        let woken = false
        const event = new Promise<void>((resolve) => {
          wake = () => {
            woken = true
            resolve()
          }
        })
        const found = await readSnapshot(id)
        const left = deadline - Date.now()
        if (!found || finishedStates.has(found.view.state) || left <= 0 || signal.aborted) return found
        if (woken) continue
        const timer = setTimeout(() => wake(), Math.min(left, lookIntervalMs))
        await event
        clearTimeout(timer)
      }
    } finally {
      signal.removeEventListener('abort', stop)
      unfollow()
    }
  }
}

export type AwaitFinish = ReturnType<typeof createAwaitFinish>
