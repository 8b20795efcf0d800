// The event stream of one job, resumable, from its present state to its last event.

import { compareIds, type JobEvents, type StreamedEvent } from '../bullmq/job-events.js'
import { finishedStates, type JobEventName, type JobState } from '../types/job-schema.js'
import type { JobSnapshot, ReadSnapshot } from './snapshot.js'

/** One event as clients get it. `data` is the whole job in the first and the last one. */
export interface JobStreamEvent {
  readonly id: string
  readonly event: JobEventName
  readonly data: unknown
}

/** An event can be lost (a full stream, a failover): the state is looked at this often besides. */
const lookIntervalMs = 5000
/** What may wait for a slow reader; beyond it the oldest progress is dropped first. */
const pendingMax = 256

const eventOfState: Readonly<Record<JobState, JobEventName>> = {
  waiting: 'waiting',
  delayed: 'waiting',
  'waiting-children': 'waiting',
  active: 'active',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
}

export const createEventStreams = ({ events, readSnapshot }: { events: JobEvents; readSnapshot: ReadSnapshot }) => {
  const toJobStreamEvent = (id: string, { view }: JobSnapshot): JobStreamEvent => ({ id, event: eventOfState[view.state], data: view })

  return {
    /** Whether a reader that knows `lastEventId` has already seen the end of this finished job. */
    async isOver(id: string, lastEventId: string): Promise<boolean> {
      return (await events.replay(id, lastEventId))?.length === 0
    },

    /**
     * Events after `lastEventId`; without one, or when it is no longer known, first an event for the present state.
     * Ends with the last event, when the job is removed, or when `signal` fires. Rejects with the error of Redis.
     */
    async *open(id: string, lastEventId: string | undefined, signal: AbortSignal): AsyncGenerator<JobStreamEvent> {
      const pending: StreamedEvent[] = []
      let wake = () => {}
      const unfollow = await events.follow(id, (event) => {
        if (pending.length >= pendingMax) dropOldestProgress(pending)
        pending.push(event)
        wake()
      })
      const stop = () => wake()
      signal.addEventListener('abort', stop)
      try {
        let cursor = events.position(id)
        const known = lastEventId === undefined ? null : await events.replay(id, lastEventId)
        const first = await readSnapshot(id)
        if (!first) return
        if (known) {
          cursor = lastEventId as string
          pending.unshift(...known)
        } else {
          yield toJobStreamEvent(cursor, first)
          if (finishedStates.has(first.view.state)) return
        }
        let hasStarted = first.view.startedAt !== null
        while (!signal.aborted) {
          for (let event = pending.shift(); event; event = pending.shift()) {
            if (compareIds(event.id, cursor) <= 0) continue
            cursor = event.id
            if (event.name === 'removed') return
            if (event.name === 'active') hasStarted = true
            const isFinal = finishedStates.has(event.state as JobState)
            const current = isFinal ? await readSnapshot(id) : null
            yield current ? { id: event.id, event: event.name, data: current.view } : toLightEvent(id, event, hasStarted)
            if (isFinal) return
          }
          await new Promise<void>((resolve) => {
            const timer = setTimeout(resolve, lookIntervalMs)
            wake = () => {
              clearTimeout(timer)
              resolve()
            }
            if (pending.length > 0 || signal.aborted) wake()
          })
          if (pending.length > 0 || signal.aborted) continue
          const now = await readSnapshot(id)
          if (!now) return
          if (finishedStates.has(now.view.state)) {
            yield toJobStreamEvent(events.position(id), now)
            return
          }
        }
      } finally {
        signal.removeEventListener('abort', stop)
        unfollow()
      }
    },
  }
}

export type EventStreams = ReturnType<typeof createEventStreams>

/** An event without the whole job. A delay after a start is the wait for another attempt. */
const toLightEvent = (jobId: string, { id, name, state, progress }: StreamedEvent, hasStarted: boolean): JobStreamEvent => ({
  id,
  event: name === 'waiting' && state === 'delayed' && hasStarted ? 'retrying' : (name as JobEventName),
  data: { id: jobId, state, at: new Date(Number(id.split('-')[0])).toISOString(), ...(progress === undefined ? {} : { progress }) },
})

const dropOldestProgress = (pending: StreamedEvent[]): void => {
  const at = pending.findIndex(({ name }) => name === 'progress')
  pending.splice(at === -1 ? 0 : at, 1)
}
