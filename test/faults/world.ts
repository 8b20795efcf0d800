// One run of one row: what it starts and cleans up, what it saw, and what it concludes.

import { cpSync, readdirSync, rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Cluster, Redis } from 'ioredis'
import { createRunLog } from '../helpers/run-log.js'
import { type ProbeProcess, startProbeGateway, startProbeWorker, startUnreadyProbeGateway } from '../helpers/start-probe-process.js'
import { until } from '../helpers/until.js'
import { type Call, judge, type Verdict, violationKinds } from './checker.js'
import { createHistory, type Send } from './history.js'
import { createRandom } from './random.js'
import type { LeaseLoss } from './reruns.js'
import { readStoredJobs, untilDrained } from './stored-jobs.js'

const violationsShown = 5
/** Of the keys that were accepted, this share is sent again when all has healed, and at most so many, so many at once. */
const replayShare = 1 / 3
const replaysMax = 500
const replaysAtOnce = 16
/** The promise is 1.2 s; the rest is for this client, which shares two cores with all it tests. */
export const answerLimitMs = 1500
/** From the end of a fault to the first accepted submission. */
export const recoveryLimitMs = 2000

export interface WorldOptions {
  readonly row: string
  readonly seed: number
  /** The form for every change: smaller loads, fewer faults. */
  readonly short: boolean
  /** How long rows that have a duration take. */
  readonly durationMs: number | undefined
  /** How many jobs wait where it is about many. */
  readonly backlog: number | undefined
}

/** `dispose` ends everything it started, in reverse order. */
export const createWorld = async ({ row, seed, short, durationMs, backlog }: WorldOptions) => {
  const cleanups: (() => unknown)[] = []
  const scope = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) }
  const dataDir = await mkdtemp(join(tmpdir(), 'jg-'))
  scope.after(() => rm(dataDir, { recursive: true, force: true, maxRetries: 20 }))
  const history = createHistory(scope, join(dataDir, 'history.ndjson'))
  const runs = createRunLog(join(dataDir, 'runs.ndjson'))
  const random = createRandom(seed)
  const losses: LeaseLoss[] = []
  const removed = new Set<string>()
  const mayFail = new Set<string>()
  const cancelled = new Map<string, number>()
  const failures: string[] = []
  const notes: string[] = []
  let verdict: Verdict | undefined
  let gapMs: number | undefined
  const stops: (() => Promise<void>)[] = []
  /** When a load ran: only then does a time without `ok` mean anything. */
  const loads: { from: number; to: number }[] = []

  /** Writes down a failure; the row goes on, since the whole history is judged at its end. */
  const check = (what: string, holds: boolean) => {
    if (!holds) failures.push(what)
  }
  const env = (more: Record<string, string> = {}) => ({
    QUEUE_CONCURRENCY_EXTERNAL_API: '10',
    QUEUE_CONCURRENCY_MEETING: '10',
    ...more,
  })

  return {
    seed,
    short,
    durationMs,
    backlog,
    scope,
    dataDir,
    history,
    runs,
    random,
    removed,
    mayFail,
    cancelled,
    failures,
    notes,
    check,
    note: (text: string) => void notes.push(text),
    get verdict() {
      return verdict
    },
    get gapMs() {
      return gapMs
    },

    gateway: (more: Record<string, string>) => startProbeGateway(scope, { dataDir, env: env(more), isHasty: true }),
    unreadyGateway: (more: Record<string, string>) => startUnreadyProbeGateway(scope, { dataDir, env: env(more), isHasty: true }),
    worker: (more: Record<string, string>) => startProbeWorker(scope, { dataDir, env: env(more), isHasty: true }),

    /** From here until the returned function is called, leases may be lost: those of one process, or all. */
    loseLeases(pid?: number, from = Date.now()) {
      const loss = { ...(pid === undefined ? {} : { pid }), from, to: Number.MAX_SAFE_INTEGER }
      losses.push(loss)
      return (afterMs = 0) => {
        loss.to = Date.now() + afterMs
      }
    },

    /** Keeps sending new keys through whatever `url` names at the moment, until `stop`; `left` are the keys without an `ok`. */
    startLoad({ url, senders = 8, pauseMs = 10, name = 'k', typeOf = () => 'echo' }: LoadOptions) {
      const window = { from: Date.now(), to: Number.MAX_SAFE_INTEGER }
      loads.push(window)
      let stopped = false
      let count = 0
      const left: Send[] = []
      const run = async () => {
        while (!stopped) {
          const send = { key: `${name}${seed}-${count}`, type: typeOf(count) }
          count++
          let { outcome } = await history.submit(url(), send)
          // Half of the clients send again at once, half leave it to later.
          for (let tries = 0; outcome !== 'ok' && tries < 3 && !stopped && random.chance(0.5); tries++) {
            await pause(50)
            outcome = (await history.submit(url(), send)).outcome
          }
          if (outcome !== 'ok') left.push(send)
          await pause(pauseMs)
        }
      }
      const done = Promise.all(Array.from({ length: senders }, run))
      const stop = async () => {
        if (!stopped) window.to = Date.now()
        stopped = true
        await done
      }
      stops.push(stop)
      return { left, stop }
    },

    /**
     * When everything has healed: sends half of the keys again that were not accepted, which must be now, while the other half
     * stays as it is and must be sound as well; and a sample of those that were, which must get the id they have.
     */
    async sendAgain(url: string, left: readonly Send[]) {
      const known = [...history.accepted.values()]
      const replays = random.sample(known, Math.min(replaysMax, Math.ceil(known.length * replayShare)))
      const send = async (each: Send) => {
        const accepted = async () => {
          const { outcome, status } = await history.submit(url, each)
          return outcome === 'ok' && status === 202
        }
        await until(`${each.key} is accepted after everything has healed`, accepted, recoveryLimitMs).catch((error: Error) =>
          failures.push(error.message),
        )
      }
      for (const each of left) if (!random.chance(0.5)) await send(each)
      for (let at = 0; at < replays.length; at += replaysAtOnce) await Promise.all(replays.slice(at, at + replaysAtOnce).map(send))
    },

    /**
     * Waits for the drain, reads what is there, and judges it all. `mayLose`: a failover may cost jobs, which are counted.
     * `labelsAreIds`: jobs are told by their ids, since many share one payload.
     */
    async conclude(client: Redis | Cluster, { mayLose = false, labelsAreIds = false }: { mayLose?: boolean; labelsAreIds?: boolean } = {}) {
      await until('every call has settled', () => history.open === 0)
      await untilDrained(client).catch((error: Error) => failures.push(error.message))
      const stored = await readStoredJobs(client)
      const lines = await runs.read()
      verdict = judge({
        calls: history.calls,
        runs: labelsAreIds ? lines.map((line) => ({ ...line, label: line.jobId })) : lines,
        stored: labelsAreIds ? stored.map((job) => ({ ...job, label: job.id })) : stored,
        losses,
        removed,
        mayFail,
        cancelled,
        mayLose,
      })
      gapMs = Math.max(0, ...loads.map((load) => longestGap(history.calls, load)))
      // What is worst comes first.
      const violations = verdict.violations.toSorted((a, b) => violationKinds.indexOf(a.kind) - violationKinds.indexOf(b.kind))
      for (const { kind, what } of violations.slice(0, violationsShown)) failures.push(`${kind}: ${what}`)
      if (violations.length > violationsShown) failures.push(`and ${violations.length - violationsShown} violations more`)
      return verdict
    },

    /** Longest time of a call that was under way in this window, which must stay within the limit of a 503. */
    slowest(from: number, to = Number.MAX_SAFE_INTEGER): number {
      const slowest = Math.max(
        0,
        ...history.calls.filter(({ start, end }) => end >= from && start < to).map(({ start, end }) => end - start),
      )
      check(`a call took ${slowest} ms, promised are 1200`, slowest <= answerLimitMs)
      return slowest
    },

    async dispose() {
      await Promise.all(stops.map((stop) => stop()))
      if (failures.length > 0) {
        // What happened can be read afterwards.
        const kept = join(tmpdir(), `jobgate-faults-${row}-${seed}`)
        rmSync(kept, { recursive: true, force: true })
        for (const name of readdirSync(dataDir)) if (name.endsWith('.ndjson')) cpSync(join(dataDir, name), join(kept, name))
        failures.push(`history and runs: ${kept}`)
      }
      for (const cleanup of cleanups.reverse()) await cleanup()
    },
  }
}

interface LoadOptions {
  readonly url: () => string
  readonly senders?: number
  readonly pauseMs?: number
  /** Begins every key. */
  readonly name?: string
  /** The job type of the n-th key, from 0. */
  readonly typeOf?: (count: number) => string
}

export type World = Awaited<ReturnType<typeof createWorld>>

/** One row of the matrix. */
export interface Row {
  readonly id: string
  readonly fault: string
  /** Part of the form for every change. The others are too slow for it, or `test/e2e` has them. */
  readonly short?: boolean
  /** One seed will do, however many are asked for. */
  readonly once?: true
  /** Runs beside no other row: it measures times that a neighbour would change. */
  readonly alone?: true
  run(world: World): Promise<void>
}

/** Longest time without any `ok` in a window, from the first to the last one. */
const longestGap = (calls: readonly Call[], { from, to }: { from: number; to: number }): number => {
  const ends = calls
    .filter(({ outcome, end }) => outcome === 'ok' && end >= from && end <= to)
    .map(({ end }) => end)
    .sort((a, b) => a - b)
  return Math.max(0, ...ends.slice(1).map((end, index) => end - (ends[index] as number)))
}

/** Kills without a word; whatever it ran may run again. */
export const killWorker = async (world: World, worker: ProbeProcess): Promise<void> => {
  world.loseLeases(worker.pid)
  await worker.kill()
}
