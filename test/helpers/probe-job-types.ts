// Job types for tests: they block, fail, report and obey on command. Nothing outside the process is called.

import { EventEmitter, once } from 'node:events'
import { Type } from '@sinclair/typebox'
import { defer, defineJobType, done, fail, type JobContext, type RunnableJobType, retry } from '../../src/types/definition.js'

const Data = Type.Object(
  {
    label: Type.String({ minLength: 1, maxLength: 100 }),
    /** Fail this many attempts first. */
    failures: Type.Optional(Type.Integer({ minimum: 0, maximum: 100 })),
    secret: Type.Optional(Type.String({ maxLength: 100, 'x-sensitive': true })),
    nested: Type.Optional(Type.Unsafe<unknown>({})),
  },
  { additionalProperties: false },
)

/** One attempt that a probe ran. */
export interface ProbeRun {
  readonly jobId: string
  readonly label: string
  readonly attempt: number
  readonly data: unknown
}

/**
 * `types`: `echo` completes at once, `flaky` fails first, `refuse` fails for good, `throw` throws,
 * `busy` defers once for an hour, `always` every time, and begins with its marker when its label says so,
 * `block` waits for its signal, `stubborn` ignores it until released, `later` defers once, `progress` reports and logs,
 * `many` fans out: a child called `bad` is refused, one called `held` blocks.
 * `runs` is everything that was run, and `started(label)` resolves when an attempt with that label has begun. Without `keepsRuns`,
 * for a process whose memory is watched, there are no runs, and `later` and `busy` know no first one.
 */
export const createProbes = ({ keepsRuns = true } = {}) => {
  const runs: ProbeRun[] = []
  const signals = new Map<string, AbortSignal>()
  const events = new EventEmitter().setMaxListeners(0)
  const release = new EventEmitter().setMaxListeners(0)
  const released = new Set<string>()
  const untilReleased = async (label: string) => {
    if (!released.has(label)) await once(release, `release ${label}`)
  }

  const untilReleasedOrStopped = async (label: string, signal: AbortSignal) => {
    if (!signal.aborted) await Promise.race([once(signal, 'abort'), untilReleased(label)])
  }

  const record = (data: { label: string }, ctx: JobContext) => {
    if (keepsRuns) {
      runs.push({ jobId: ctx.jobId, label: data.label, attempt: ctx.attempt, data })
      signals.set(ctx.jobId, ctx.signal)
    }
    events.emit(`run ${data.label}`)
  }
  const define = (
    name: string,
    run: (data: { label: string; failures?: number }, ctx: JobContext) => ReturnType<RunnableJobType['run']>,
  ): RunnableJobType =>
    defineJobType({
      name,
      queue: 'external-api',
      description: `Probe: ${name}.`,
      data: Data,
      result: Type.Unknown(),
      example: { label: 'example' },
      defaults: { attempts: 3, backoff: { type: 'fixed', delayMs: 10 }, priority: 'normal', timeoutMs: 60_000 },
      requires: [],
      run: async (data, ctx) => {
        record(data, ctx)
        return run(data, ctx)
      },
    })

  const many = defineJobType({
    name: 'many',
    queue: 'external-api',
    description: 'Probe: one job for each entry.',
    data: Type.Object(
      { labels: Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1, maxItems: 1000 })]) },
      { additionalProperties: false },
    ),
    result: Type.Unknown(),
    example: { labels: ['a', 'b'] },
    defaults: { attempts: 1, priority: 'normal', timeoutMs: 60_000 },
    requires: [],
    fanOut: ({ labels }) => (Array.isArray(labels) ? labels.map((label) => ({ labels: label })) : null),
    gather: (_data, children) => {
      const codes = children.map((child) => (child.kind === 'failed' ? child.code : null))
      return { total: children.length, failed: codes.filter((code) => code !== null).length, codes }
    },
    run: async ({ labels }, ctx) => {
      record({ label: labels as string }, ctx)
      if (labels === 'held') await untilReleasedOrStopped(labels, ctx.signal)
      return labels === 'bad' ? fail('invalid_data', 'A bad one.') : done({ label: labels })
    },
  })

  const types: RunnableJobType[] = [
    define('echo', async ({ label }) => done({ label })),
    define('flaky', async ({ label, failures = 1 }, { attempt }) =>
      attempt <= failures ? retry('handler_error', 'Not yet.') : done({ label, attempt }),
    ),
    define('refuse', async () => fail('invalid_data', 'Never.')),
    define('throw', async () => {
      throw new Error('a secret detail: hunter2')
    }),
    define('block', async ({ label }, { signal }) => {
      await untilReleasedOrStopped(label, signal)
      return signal.aborted ? retry('handler_error', 'Stopped.') : done({ label })
    }),
    define('stubborn', async ({ label }) => {
      await untilReleased(label)
      return done({ label })
    }),
    define('later', async ({ label }, { jobId }) =>
      runs.filter((run) => run.jobId === jobId).length === 1 ? defer('handler_error', 'Busy.', 20) : done({ label }),
    ),
    define('busy', async ({ label }, { jobId, marker, isExpired }) => {
      if (label.startsWith('begun')) await marker.begin()
      const isFirst = runs.filter((run) => run.jobId === jobId).length === 1
      return isFirst || label === 'always' ? defer('handler_error', 'Busy.', 3_600_000) : done({ isExpired })
    }),
    define('progress', async ({ label }, ctx) => {
      ctx.log('half way')
      await ctx.progress(50)
      await ctx.progress({ step: 'last' })
      return done({ label })
    }),
    many,
  ]

  return {
    types,
    runs,
    /** Lets a blocked attempt end well. */
    release: (label: string) => {
      released.add(label)
      release.emit(`release ${label}`)
    },
    signalOf: (jobId: string) => signals.get(jobId),
    /** Resolves when an attempt with this label has begun; at once when one already has. */
    started: async (label: string): Promise<void> => {
      if (!runs.some((run) => run.label === label)) await once(events, `run ${label}`)
    },
  }
}
