// Counts submissions by job type and by what became of them.

import { classifyRedisError } from '../redis/failures.js'
import { type Count, type Metrics, startedAtZero } from '../telemetry/metrics.js'
import type { JobTypes } from '../types/registry.js'
import type { Accept, AcceptOutcome } from './accept.js'

const countedOutcomes = ['created', 'replayed', 'conflict', 'refused', 'unknown'] as const
type Counts = Readonly<Record<(typeof countedOutcomes)[number], Count>>

/** Stands for types that are not registered: a series for each name would have no bound. */
const other = 'other'

interface Deps {
  readonly jobTypes: JobTypes
  readonly metrics: Pick<Metrics, 'onRender' | 'submissions'>
}

/** `accept`, with every outcome and error counted. */
export const countSubmissions = (accept: Accept, { jobTypes, metrics }: Deps): Accept => {
  const byType = new Map<string, Counts>()
  const openCounts = (type: string): Counts => {
    const made = byType.get(type) ?? countsOf(metrics, type)
    byType.set(type, made)
    return made
  }
  const toCounts = (type: string): Counts => byType.get(type) ?? openCounts(jobTypes.find(type) ? type : other)
  // A rate needs the zero before the first one.
  metrics.onRender(() => {
    for (const { name } of jobTypes.all) toCounts(name)
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
