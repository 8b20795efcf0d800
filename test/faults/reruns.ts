// Which second starts of a job are excused: only those whose first attempt was to be repeated, or lost its lease.

import type { RunLine } from '../helpers/run-log.js'

/** A time in which leases may be lost: those of one process that was killed or frozen, or all, when Redis was away. */
export interface LeaseLoss {
  readonly pid?: number
  readonly from: number
  readonly to: number
}

/** From the end of a handler until Redis has certainly taken its completion, on a busy machine: a fault in between may undo it. */
export const completionMarginMs = 1000

/** `ranTwice` counts jobs that were started more than once, for whatever reason; `reruns` tells the starts that nothing excuses. */
export const findReruns = (runs: readonly RunLine[], losses: readonly LeaseLoss[]): { ranTwice: number; reruns: string[] } => {
  const linesOf = new Map<string, RunLine[]>()
  for (const line of runs) {
    const lines = linesOf.get(line.jobId)
    if (lines) lines.push(line)
    else linesOf.set(line.jobId, [line])
  }
  let ranTwice = 0
  const reruns: string[] = []
  for (const [id, lines] of linesOf) {
    const starts = lines.filter(({ what }) => what === 'start').toSorted((a, b) => a.at - b.at)
    if (starts.length > 1) ranTwice++
    for (const [index, next] of starts.slice(1).entries()) {
      const first = starts[index] as RunLine
      const end = endOf(first, lines)
      if (end?.outcome === 'retry' || end?.outcome === 'defer') continue
      if (losses.some((loss) => hasLost(loss, { first, end, next }))) continue
      reruns.push(`job ${id} was started again after ${next.at - first.at} ms although its lease was kept`)
    }
  }
  return { ranTwice, reruns }
}

/** Undefined when its worker died with it, or goes on. */
const endOf = (start: RunLine, lines: readonly RunLine[]): RunLine | undefined =>
  lines
    .filter(({ what, pid, at }) => what === 'end' && pid === start.pid && at >= start.at)
    .toSorted((a, b) => a.at - b.at)
    .at(0)

/**
 * The lease of the first attempt was lost while it ran, or before its completion had arrived; or the second worker froze with the
 * job in its hands before the first took it over, and started it when it woke.
 */
const hasLost = (
  { pid, from, to }: LeaseLoss,
  { first, end, next }: { first: RunLine; end: RunLine | undefined; next: RunLine },
): boolean => {
  const heldUntil = Math.min(next.at, end ? end.at + completionMarginMs : next.at)
  if (pid === undefined || pid === first.pid) return from <= heldUntil && to >= first.at
  return pid === next.pid && from <= first.at && to >= next.at
}
