// Who waits for jobs, and the one loop that fetches for all of them: first parked, first served, whatever the type.

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Logger } from 'pino'
import type { IdleQueues } from '../bullmq/registered/idle-queues.js'
import type { QueueName } from '../types/queue-name.js'
import type { HandOut, Poll, PollOutcome } from './hand-out.js'

/** Jobs that one step fetches at most. */
const jobsPerFetch = 100
/** A queue whose jobs cannot be had although some wait is tried again later and later, in milliseconds. */
const quickMs = 100
const quickMax = 3
const restMsMin = 50
const restMsMax = 1000

const nothing: PollOutcome = { kind: 'leases', leases: [] }

interface Parked {
  readonly poll: Poll
  readonly finish: (outcome: PollOutcome) => void
  readonly reject: (error: unknown) => void
  /** Queues that have not been looked into for it yet. */
  readonly untried: Set<QueueName>
  /** Something is being fetched for it. */
  isAssigned: boolean
  /** Its time is over, or its client has left: `isGone`. */
  isOver: boolean
  isGone: boolean
  /** An operator drains its worker: it waits its time and gets nothing. */
  isDrained: boolean
}

interface Deps {
  readonly handOut: Pick<HandOut, 'fetch' | 'release'>
  /** The polls whose workers are drained. */
  readonly drained: (polls: readonly Poll[]) => Promise<readonly boolean[]>
  /** Whether jobs of the queue are leased: its type may go, or be run by others from now on. */
  readonly has: (queue: QueueName) => boolean
  readonly log: Logger
  readonly openIdle: (needsWorker: (queue: QueueName) => void) => Pick<IdleQueues, 'watch' | 'leave' | 'close'>
  /** Lets others look into a queue. */
  readonly wake: (queue: QueueName) => Promise<void>
}

/**
 * Queues for which somebody waits are either looked into, one step at a time, or watched with all others on one connection: what waits
 * costs nothing until a job comes.
 */
export const openPolls = ({ handOut, drained, has, log, openIdle, wake }: Deps) => {
  const parked = new Map<QueueName, Set<Parked>>()
  /** Those of them for whom the queue has not been looked into. */
  const impatient = new Map<QueueName, Set<Parked>>()
  /** Queues that are to be looked into. */
  const hot = new Set<QueueName>()
  /** Queues that are looked into, watched or left alone for a moment. */
  const attended = new Set<QueueName>()
  /** Hot ones that the watch told of. */
  const told = new Set<QueueName>()
  const resting = new Map<QueueName, NodeJS.Timeout>()
  /** Since when a queue is watched, and how often in a row it was found at once and held nothing. */
  const watched = new Map<QueueName, { readonly at: number; readonly quick: number }>()
  let waiting = 0
  let running: Promise<void> | undefined
  let isClosed = false

  const idle = openIdle((queue) => {
    told.add(queue)
    look(queue)
  })

  const look = (queue: QueueName): void => {
    hot.add(queue)
    attended.add(queue)
    running ??= run()
  }

  /** Each round looks into every hot queue once, for different polls. Polls that come together are served together. */
  const run = async (): Promise<void> => {
    await nextTurn()
    while (hot.size > 0) await Promise.all(inRandomOrder([...hot]).map(lookInto))
    // In the same turn as the last look at what is hot: nothing gets hot in between.
    running = undefined
  }

  /** `isWaitedFor`: by somebody for whom another queue is looked into, too. */
  const choose = (queue: QueueName): { chosen: Parked[]; isWaitedFor: boolean } => {
    const chosen: Parked[] = []
    let jobs = 0
    let isWaitedFor = false
    for (const each of parked.get(queue) ?? []) {
      if (each.isDrained) continue
      isWaitedFor = true
      if (jobs >= jobsPerFetch) break
      if (each.isAssigned) continue
      each.isAssigned = true
      chosen.push(each)
      jobs += each.poll.max
    }
    return { chosen, isWaitedFor }
  }

  const lookInto = async (queue: QueueName): Promise<void> => {
    if (!has(queue)) {
      hot.delete(queue)
      for (const each of [...(impatient.get(queue) ?? [])]) tried(each, queue)
      follow()
      return passOn(queue)
    }
    const { chosen, isWaitedFor } = choose(queue)
    if (chosen.length === 0 && isWaitedFor) return
    hot.delete(queue)
    if (chosen.length === 0) return passOn(queue)
    try {
      await serve(queue, chosen)
    } catch (error) {
      for (const each of chosen) {
        each.isAssigned = false
        leave(each)
        each.reject(error)
      }
      rest(queue, restMsMax)
    }
  }

  /** Nobody here waits for it any longer, and its marker may have been taken. */
  const passOn = async (queue: QueueName): Promise<void> => {
    neglect(queue)
    await wake(queue).catch((error: Error) => log.debug({ queue, error: error.message }, 'nobody was woken'))
  }

  const serve = async (queue: QueueName, chosen: readonly Parked[]): Promise<void> => {
    const areDrained = await drained(chosen.map(({ poll }) => poll))
    for (const [at, each] of chosen.entries()) if (areDrained[at]) each.isDrained = true
    const served = chosen.filter(({ isDrained }) => !isDrained)
    const { isEmpty, outcomes } =
      served.length === 0
        ? { isEmpty: false, outcomes: [] }
        : await handOut.fetch(
            queue,
            served.map(({ poll }) => poll),
          )
    for (const each of chosen) each.isAssigned = false
    const isFruitless = outcomes.every(isNothing)
    for (const [at, each] of served.entries()) end(each, queue, outcomes[at] as PollOutcome)
    for (const each of chosen) if (each.isDrained) tried(each, queue)
    if (!isEmpty) {
      if (parked.has(queue)) hot.add(queue)
      return
    }
    for (const each of [...(impatient.get(queue) ?? [])]) tried(each, queue)
    watchAgain(queue, isFruitless)
    // It went meanwhile.
    if (!has(queue)) follow()
  }

  const end = (each: Parked, queue: QueueName, outcome: PollOutcome): void => {
    if (isNothing(outcome)) {
      tried(each, queue)
      if (each.isOver) leaveWith(each, nothing)
    } else if (each.isGone && outcome.kind === 'leases') {
      leaveWith(each, nothing)
      handOut.release(each.poll.tenant, outcome.leases).catch((error: Error) => {
        log.warn({ queue, error: error.message }, 'jobs that nobody waited for were not released; they come back when their leases expire')
      })
    } else leaveWith(each, outcome)
  }

  const tried = (each: Parked, queue: QueueName): void => {
    each.untried.delete(queue)
    removeFrom(impatient, queue, each)
    if (each.isOver && !each.isAssigned && each.untried.size === 0) leaveWith(each, nothing)
  }

  const watchAgain = (queue: QueueName, isFruitless: boolean): void => {
    const before = watched.get(queue)
    const isQuick = isFruitless && told.delete(queue) && before !== undefined && performance.now() - before.at < quickMs
    const quick = isQuick ? before.quick + 1 : 0
    watched.set(queue, { at: performance.now(), quick })
    if (quick < quickMax) watch(queue)
    else rest(queue, Math.min(restMsMax, restMsMin * 2 ** (quick - quickMax)))
  }

  const watch = (queue: QueueName): void => {
    if (isClosed || !parked.has(queue) || hot.has(queue) || !has(queue)) return
    watched.set(queue, { at: performance.now(), quick: watched.get(queue)?.quick ?? 0 })
    idle.watch([queue])
  }

  const stopResting = (queue: QueueName): void => {
    clearTimeout(resting.get(queue))
    resting.delete(queue)
  }

  const rest = (queue: QueueName, ms: number): void => {
    stopResting(queue)
    const timer = setTimeout(() => {
      resting.delete(queue)
      watch(queue)
    }, ms)
    resting.set(queue, timer)
  }

  const neglect = (queue: QueueName): void => {
    attended.delete(queue)
    told.delete(queue)
    watched.delete(queue)
    stopResting(queue)
    idle.leave(queue)
  }

  const leave = (each: Parked): void => {
    for (const queue of each.poll.queues) {
      removeFrom(impatient, queue, each)
      // One that is hot may have lost its marker to this process: whoever looks into it next passes it on.
      if (removeFrom(parked, queue, each) && !hot.has(queue)) neglect(queue)
    }
  }

  const leaveWith = (each: Parked, outcome: PollOutcome): void => {
    leave(each)
    each.finish(outcome)
  }

  const over = (each: Parked, isGone: boolean): void => {
    each.isOver = true
    if (isGone) each.isGone = true
    // What is being fetched for it is still its own.
    if (!each.isAssigned && (isGone || each.untried.size === 0)) leaveWith(each, nothing)
  }

  /** Ends the waits for queues that went, and leaves these to others; one that is back is looked into. */
  const follow = (): void => {
    for (const [queue, set] of [...parked]) {
      if (has(queue)) {
        if (!attended.has(queue)) look(queue)
        continue
      }
      if (!hot.has(queue)) neglect(queue)
      for (const each of [...set]) if (!each.isAssigned && !each.poll.queues.some(has)) leaveWith(each, nothing)
    }
  }

  return {
    /**
     * Waits until there are jobs, until `waitMs` is over, or until `signal` fires, which is when nobody is there to take them. Every queue
     * is looked into once at least. Rejects with the error of Redis: what was handed out then is not known.
     */
    async park(poll: Poll, waitMs: number, signal?: AbortSignal): Promise<PollOutcome> {
      if (isClosed || signal?.aborted) return nothing
      let timer: NodeJS.Timeout | undefined
      let stop = () => {}
      waiting++
      try {
        return await new Promise<PollOutcome>((resolve, reject) => {
          const state = { isAssigned: false, isOver: waitMs === 0, isGone: false, isDrained: false }
          const each: Parked = { poll, finish: resolve, reject, untried: new Set(poll.queues), ...state }
          for (const queue of poll.queues) {
            addTo(parked, queue, each)
            // Where others wait already there is nothing, or it is being looked for.
            if (attended.has(queue) && waitMs > 0) each.untried.delete(queue)
            else {
              addTo(impatient, queue, each)
              look(queue)
            }
          }
          if (waitMs > 0) timer = setTimeout(() => over(each, false), waitMs)
          stop = () => over(each, true)
          signal?.addEventListener('abort', stop, { once: true })
        })
      } finally {
        waiting--
        clearTimeout(timer)
        signal?.removeEventListener('abort', stop)
      }
    },

    follow,

    /** How many wait: a gauge. */
    waiting: (): number => waiting,

    async close(): Promise<void> {
      isClosed = true
      for (const set of [...parked.values()]) for (const each of [...set]) over(each, true)
      for (const queue of [...resting.keys()]) stopResting(queue)
      await running
      await idle.close()
    },
  }
}

export type Polls = ReturnType<typeof openPolls>

const isNothing = (outcome: PollOutcome): boolean => outcome.kind === 'leases' && outcome.leases.length === 0

const addTo = (sets: Map<QueueName, Set<Parked>>, queue: QueueName, each: Parked): void => {
  const set = sets.get(queue)
  if (set) set.add(each)
  else sets.set(queue, new Set([each]))
}

/** Whether it was the last one. */
const removeFrom = (sets: Map<QueueName, Set<Parked>>, queue: QueueName, each: Parked): boolean => {
  const set = sets.get(queue)
  if (!set?.delete(each) || set.size > 0) return false
  sets.delete(queue)
  return true
}

/** So that no type is always served before another. */
const inRandomOrder = <T>(items: T[]): T[] => {
  for (let at = items.length - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1))
    const moved = items[at] as T
    items[at] = items[other] as T
    items[other] = moved
  }
  return items
}
