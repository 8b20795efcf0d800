// Judges a whole history after everything has healed and drained: what was promised against what happened.

import type { RunLine } from '../helpers/run-log.js'

/** `ok`: accepted, with an id. `refused`: nothing was stored. `unknown`: nobody can tell. */
export type CallOutcome = 'ok' | 'refused' | 'unknown'

/** One request that submits a job. Times are milliseconds since 1970. */
export interface Call {
  readonly key: string
  /** Stands for the payload and is its `label`: belongs to one key, while a key may come with several. */
  readonly label: string
  readonly start: number
  readonly end: number
  readonly outcome: CallOutcome
  /** null when no answer came. */
  readonly status: number | null
  readonly id: string | null
  /** What is wrong with the answer itself, such as a 503 without Retry-After. */
  readonly fault?: string
}

/** A job as Redis holds it. `limbo`: its record exists, and no list or set of the queue knows it. */
export interface StoredJob {
  readonly id: string
  readonly label: string
  readonly state: 'waiting' | 'active' | 'delayed' | 'completed' | 'failed' | 'limbo'
  readonly attemptsMade: number
}

/** A time in which leases may be lost: those of one process that was killed or frozen, or all, when Redis was away. */
export interface LeaseLoss {
  readonly pid?: number
  readonly from: number
  readonly to: number
}

export interface Evidence {
  readonly calls: readonly Call[]
  readonly runs: readonly RunLine[]
  readonly stored: readonly StoredJob[]
  readonly losses?: readonly LeaseLoss[]
  /** Ids of jobs that the test itself removed or cancelled: no longer readable, and not lost. */
  readonly removed?: ReadonlySet<string>
}

export const violationKinds = [
  'lost',
  'double-id',
  'doubled',
  'refused-stored',
  'rerun',
  'stranger',
  'unfinished',
  'counts',
  'answer',
] as const
export type ViolationKind = (typeof violationKinds)[number]

export interface Violation {
  readonly kind: ViolationKind
  readonly what: string
}

export interface Verdict {
  /** Different job ids in answers. */
  readonly acknowledged: number
  /** Of these, neither run nor readable. */
  readonly lost: number
  /** Jobs that were started more than once, for whatever reason. */
  readonly ranTwice: number
  /** Requests. */
  readonly refused: number
  readonly unknown: number
  /** Keys without any `ok` whose job exists all the same. */
  readonly unknownStored: number
  readonly violations: readonly Violation[]
}

/**
 * Holds all of it against the promises. Pure; the order of the evidence does not matter.
 * A second start is excused only if a lease was lost: Redis was away between the two, or the process of the first died or froze,
 * or that of the second froze with the job in its hands and started it when it woke, after the first had taken it over.
 */
export const judge = ({ calls, runs, stored, losses = [], removed = new Set() }: Evidence): Verdict => {
  const violations: Violation[] = []
  const report = (kind: ViolationKind, what: string) => violations.push({ kind, what })

  const jobsOfLabel = groupIds([
    ...stored.map(({ id, label }) => ({ id, group: label })),
    ...runs.map((run) => ({ id: run.jobId, group: run.label })),
  ])
  const states = new Map(stored.map((job) => [job.id, job.state]))
  const startsOf = groupBy(
    runs.filter(({ what }) => what === 'start'),
    ({ jobId }) => jobId,
  )
  const ended = new Set(runs.filter(({ what }) => what === 'end').map(({ jobId }) => jobId))

  const acknowledged = new Map<string, Call>()
  const lost = new Set<string>()
  let unknownStored = 0
  let keysWithJob = 0
  const keyOfLabel = new Map<string, string>()
  for (const [key, ofKey] of groupBy(calls, (call) => call.key)) {
    const ids = new Set<string>()
    const jobs = new Set<string>()
    for (const [label, ofLabel] of groupBy(ofKey, (call) => call.label)) {
      const other = keyOfLabel.get(label)
      if (other !== undefined) report('counts', `label ${label} came under the keys ${other} and ${key}: the history is no history`)
      keyOfLabel.set(label, key)
      const found = jobsOfLabel.get(label) ?? new Set()
      for (const id of found) jobs.add(id)
      if (found.size > 0 && ofLabel.every(({ outcome }) => outcome === 'refused')) {
        report('refused-stored', `${label} was refused each time, and job ${[...found]} exists`)
      }
      for (const call of ofLabel) {
        if (call.outcome !== 'ok') continue
        if (call.id === null) {
          report('answer', `${label} was accepted without an id`)
          continue
        }
        ids.add(call.id)
        acknowledged.set(call.id, call)
        if (!found.has(call.id) && !removed.has(call.id)) lost.add(call.id)
      }
    }
    if (ids.size > 1) report('double-id', `key ${key} was answered with ${[...ids].join(' and ')}`)
    if (jobs.size > 1) report('doubled', `key ${key} has the jobs ${[...jobs].join(' and ')}`)
    if (jobs.size > 0) keysWithJob++
    if (ids.size === 0 && jobs.size > 0) unknownStored++
  }

  for (const [id, state] of states) if (state === 'limbo') lost.add(id)
  for (const id of lost) report('lost', `job ${id} of ${acknowledged.get(id)?.label ?? 'an unknown call'} was accepted and is gone`)
  for (const [id, state] of states) {
    if (state === 'waiting' || state === 'active' || state === 'delayed')
      report('unfinished', `job ${id} is still ${state} after the drain`)
    if (state === 'completed' && !ended.has(id)) report('counts', `job ${id} counts as completed, and no handler ended it`)
  }
  for (const label of jobsOfLabel.keys()) if (!keyOfLabel.has(label)) report('stranger', `a job ${label} exists that nobody submitted`)

  let ranTwice = 0
  for (const [id, starts] of startsOf) {
    if (starts.length > 1) ranTwice++
    const inOrder = starts.toSorted((a, b) => a.at - b.at)
    for (const [index, next] of inOrder.slice(1).entries()) {
      const first = inOrder[index] as RunLine
      const isExcused = losses.some(
        ({ pid, from, to }) => (pid === undefined || pid === first.pid || pid === next.pid) && from <= next.at && to >= first.at,
      )
      if (!isExcused) report('rerun', `job ${id} was started again after ${next.at - first.at} ms although its lease was kept`)
    }
  }

  for (const { label, status, fault, start, end } of calls) {
    if (status !== null && status >= 500 && status !== 503) report('answer', `${label} was answered with ${status}`)
    if (fault !== undefined) report('answer', `${label}: ${fault}`)
    if (end < start) report('counts', `${label} ended before it began`)
  }
  const count = (outcome: CallOutcome) => calls.filter((call) => call.outcome === outcome).length
  const jobs = new Set([...jobsOfLabel.values()].flatMap((ids) => [...ids]))
  // Each of these would make the sum wrong for a reason that is reported already.
  const explained = violations.some(({ kind }) => kind === 'doubled' || kind === 'stranger')
  if (!explained && jobs.size !== keysWithJob) report('counts', `${jobs.size} jobs stand for ${keysWithJob} keys`)
  return {
    acknowledged: acknowledged.size,
    lost: lost.size,
    ranTwice,
    refused: count('refused'),
    unknown: count('unknown'),
    unknownStored,
    violations,
  }
}

const groupIds = (pairs: readonly { id: string; group: string }[]): Map<string, Set<string>> =>
  new Map([...groupBy(pairs, ({ group }) => group)].map(([group, members]) => [group, new Set(members.map(({ id }) => id))]))

/** Node 20 has no Map.groupBy. */
const groupBy = <T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group) group.push(item)
    else groups.set(keyOf(item), [item])
  }
  return groups
}
