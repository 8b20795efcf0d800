// Counts submissions by job type and by what became of them.

import { classifyRedisError } from '../redis/failures.js'
import { type Count, type Metrics, startedAtZero } from '../telemetry/metrics.js'
import { createMetricNames } from '../types/metric-names.js'
import type { JobTypes } from '../types/registry.js'
import type { Accept, AcceptOutcome } from './accept.js'

const countedOutcomes = ['created', 'replayed', 'conflict', 'refused', 'unknown'] as const
type Counts = Readonly<Record<(typeof countedOutcomes)[number], Count>>

interface Deps {
  readonly jobTypes: JobTypes
  readonly metrics: Pick<Metrics, 'onRender' | 'submissions'>
}

/** `accept`, with every outcome and error counted. */
export const countSubmissions = (accept: Accept, { jobTypes, metrics }: Deps): Accept => {
  const names = createMetricNames(jobTypes)
  const byName = new Map<string, Counts>()
  let { revision } = jobTypes
  const openCounts = (name: string): Counts => {
    const made = byName.get(name) ?? countsOf(metrics, name)
    byName.set(name, made)
    return made
  }
  const toCounts = (type: string): Counts => {
    if (revision !== jobTypes.revision) {
      // Series of types that went are forgotten.
      byName.clear()
      revision = jobTypes.revision
    }
    return byName.get(type) ?? openCounts(names.ofType(type))
  }
  // A rate needs the zero before the first one.
  metrics.onRender(() => {
    for (const name of names.types()) toCounts(name)
  })

  return async (submission, context) => {
    const counts = toCounts(submission.type)
    try {
      const outcome = await accept(submission, context)
      counts[toCounted(outcome)].inc()
      return outcome
    } catch (error) {
      counts[classifyRedisError(error) === 'refused' ? 'refused' : 'unknown'].inc()
      throw error
    }
  }
}

const countsOf = ({ submissions }: Deps['metrics'], type: string) =>
  Object.fromEntries(countedOutcomes.map((outcome) => [outcome, startedAtZero(submissions.labels(type, outcome))])) as Counts

const toCounted = (outcome: AcceptOutcome): keyof Counts => {
  switch (outcome.kind) {
    case 'accepted':
      return outcome.replayed ? 'replayed' : 'created'
    case 'reused':
      return 'conflict'
    case 'full':
    case 'invalid':
      return 'refused'
  }
}
