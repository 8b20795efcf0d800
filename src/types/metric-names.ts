// The names of job types and queues in metrics: however many come and go, the number of series has a bound.

import type { Metrics } from '../telemetry/metrics.js'
import { isBuiltinQueue } from './queue-name.js'
import type { JobTypes } from './registry.js'

/** Names besides the built-in ones that have series of their own. */
const ownNamesMax = 100
/** Stands for all further names, and for types that are not registered. */
const other = 'other'

type Followed = Pick<JobTypes, 'all' | 'isBuiltin' | 'queues' | 'revision'>

/** Built-in names, and the first others in the order in which they were registered; they follow the registry. */
export const createMetricNames = (jobTypes: Followed) => {
  let revision = -1
  let types: ReadonlySet<string> = new Set()
  let queues: ReadonlySet<string> = new Set()

  const follow = () => {
    if (revision === jobTypes.revision) return
    revision = jobTypes.revision
    types = someOf(
      jobTypes.all.map(({ name }) => name),
      jobTypes.isBuiltin,
    )
    queues = someOf(jobTypes.queues, isBuiltinQueue)
  }

  return {
    /** Types that have series of their own; another set after every change of the registry. */
    types(): ReadonlySet<string> {
      follow()
      return types
    },
    /** The same of queues. */
    queues(): ReadonlySet<string> {
      follow()
      return queues
    },
    /** How metrics call a type. */
    ofType(name: string): string {
      follow()
      return types.has(name) ? name : other
    },
    /** How metrics call a queue. */
    ofQueue(name: string): string {
      follow()
      return queues.has(name) ? name : other
    },
  }
}

export type MetricNames = ReturnType<typeof createMetricNames>

const someOf = (names: readonly string[], isBuiltin: (name: string) => boolean): ReadonlySet<string> =>
  new Set([...names.filter(isBuiltin), ...names.filter((name) => !isBuiltin(name)).slice(0, ownNamesMax)])

/** Forgets, with the next rendering, the series of types and queues that are no longer there. */
export const forgetGoneNames = (metrics: Pick<Metrics, 'forget' | 'onRender'>, jobTypes: Followed): void => {
  const names = createMetricNames(jobTypes)
  let { revision } = jobTypes
  metrics.onRender(async () => {
    if (revision === jobTypes.revision) return
    revision = jobTypes.revision
    await metrics.forget('type', (name) => name !== other && !names.types().has(name))
    await metrics.forget('queue', (name) => name !== other && !names.queues().has(name))
  })
}
