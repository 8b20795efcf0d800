// Judges a whole history after everything has healed and drained: what was promised against what happened.

import type { RunLine } from '../helpers/run-log.js'
import { findReruns, type LeaseLoss } from './reruns.js'

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
  /** Why it failed, as it is stored. */
  readonly reason?: string
}

export interface Evidence {
  readonly calls: readonly Call[]
  readonly runs: readonly RunLine[]
  readonly stored: readonly StoredJob[]
  readonly losses?: readonly LeaseLoss[]
  /** Ids of jobs that the test itself removed: no longer readable, and not lost. */
  readonly removed?: ReadonlySet<string>
  /** Labels of jobs that are meant to fail, or that were told to. */
  readonly mayFail?: ReadonlySet<string>
  /** By id: when the answer came that the job had not started and never would. */
  readonly cancelled?: ReadonlyMap<string, number>
  /**
   * A master may have taken along what its replica did not have yet. Then jobs may be lost, and leases and completions with them;
   * a key may get another job, but only if Redis does not hold the one it had.
   */
  readonly mayLose?: boolean
}

export const violationKinds = [
  'lost',
  'double-id',
  'doubled',
  'refused-stored',
  'rerun',
  'failed-unexpectedly',
  'cancelled-run',
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
  /** Of these, neither run to an end nor readable. */
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

/** Holds all of it against the promises. Pure; the order of the evidence does not matter. When a rerun is excused, `reruns.ts` says. */
export const judge = (evidence: Evidence): Verdict => {
  const { calls, runs, stored, losses = [], removed = new Set(), mayFail = new Set(), mayLose = false } = evidence
  const violations: Violation[] = []
  const report = (kind: ViolationKind, what: string) => violations.push({ kind, what })

  const jobsOfLabel = groupIds([
    ...stored.map(({ id, label }) => ({ id, group: label })),
    ...runs.map((run) => ({ id: run.jobId, group: run.label })),
  ])
  const states = new Map(stored.map((job) => [job.id, job.state]))
  const endsOf = (kind: RunLine['outcome']) => runs.filter(({ what, outcome }) => what === 'end' && outcome === kind)
  const ended = new Set(endsOf('done').map(({ jobId }) => jobId))
  const refused = endsOf('fail')
  // A start is no end: whoever took the job may have died with it.
  const kept = new Set([...states.keys(), ...ended, ...refused.map(({ jobId }) => jobId), ...removed])

  const acknowledged = new Map<string, Call>()
  const lost = new Set<string>()
  let unknownStored = 0
  let keysWithJob = 0
  /** Jobs beyond the first of a key, where that is allowed. */
  let replaced = 0
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
      for (const call of ofLabel.toSorted((a, b) => a.end - b.end)) {
        if (call.outcome !== 'ok') continue
        if (call.id === null) {
          report('answer', `${label} was accepted without an id`)
          continue
        }
        ids.add(call.id)
        acknowledged.set(call.id, call)
        if (!kept.has(call.id)) lost.add(call.id)
      }
    }
    const isForgotten = (id: string) => mayLose && !states.has(id)
    if (![...ids].slice(0, -1).every(isForgotten)) report('double-id', `key ${key} was answered with ${[...ids].join(' and ')}`)
    if ([...jobs].filter((id) => !isForgotten(id)).length > 1) report('doubled', `key ${key} has the jobs ${[...jobs].join(' and ')}`)
    else if (mayLose) replaced += Math.max(0, jobs.size - 1)
    if (jobs.size > 0) keysWithJob++
    if (ids.size === 0 && jobs.size > 0) unknownStored++
  }

  for (const [id, state] of states) if (state === 'limbo') lost.add(id)
  for (const id of lost) {
    if (mayLose && !states.has(id)) continue
    report('lost', `job ${id} of ${acknowledged.get(id)?.label ?? 'an unknown call'} was accepted and is gone`)
  }
  for (const { id, label, state, reason } of stored) {
    if (state === 'waiting' || state === 'active' || state === 'delayed')
      report('unfinished', `job ${id} is still ${state} after the drain`)
    if (state === 'completed' && !ended.has(id)) report('counts', `job ${id} counts as completed, and no handler ended it`)
    if (state === 'failed' && !mayFail.has(label)) report('failed-unexpectedly', `job ${id} of ${label} failed: ${reason}`)
  }
  for (const { jobId, label } of refused) {
    if (!mayFail.has(label) && !states.has(jobId)) report('failed-unexpectedly', `job ${jobId} of ${label} failed and is gone`)
  }
  for (const label of jobsOfLabel.keys()) if (!keyOfLabel.has(label)) report('stranger', `a job ${label} exists that nobody submitted`)

  const { ranTwice, reruns } = findReruns(runs, losses)
  if (!mayLose) for (const what of reruns) report('rerun', what)
  for (const { what, jobId, at } of runs) {
    const cancelledAt = evidence.cancelled?.get(jobId)
    if (what === 'start' && cancelledAt !== undefined && at > cancelledAt)
      report('cancelled-run', `job ${jobId} was started ${at - cancelledAt} ms after the answer that it never would be`)
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
  if (!explained && jobs.size !== keysWithJob + replaced) report('counts', `${jobs.size} jobs stand for ${keysWithJob} keys`)
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
