// Everything that Jobgate counts and measures, and its text for Prometheus. prom-client is used in this file only.

import { collectDefaultMetrics, type Metric, Registry } from 'prom-client'
import { type Count, createCounts, createHistogram, createLevels, type Durations, type Family, type Level } from './series.js'
import { readVersion } from './version.js'

/** One line of the text. */
interface Sample {
  readonly metricName?: string
  readonly labels: Readonly<Record<string, string | number>>
  readonly value: number
}

const answerBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const storeBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const attemptBounds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]
const waitBounds = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400]

/**
 * The metrics of one application. Adding to a series needs no Redis and no await; `docs/observability.md` explains each.
 * Label values come from closed sets: routes, job types, queues, our own tables. Never from what a client sends.
 */
export const createMetrics = () => {
  const registry = new Registry()
  const collectors: (() => Promise<void> | void)[] = []

  /** prom-client asks a metric for its samples and for nothing else. */
  const add = (name: string, help: string, type: 'counter' | 'gauge' | 'histogram', read: () => Sample[]) => {
    const get = async () => ({ name, help, type, values: read() })
    registry.registerMetric({ name, help, type, get } as unknown as Metric)
  }
  const counts = (name: string, help: string, labelNames: readonly string[]): Family<Count> => {
    const family = createCounts(labelNames)
    add(name, help, 'counter', () => toSamples(family))
    return family
  }
  const levels = (name: string, help: string, labelNames: readonly string[] = []): Family<Level> => {
    const family = createLevels(labelNames)
    add(name, help, 'gauge', () => toSamples(family))
    return family
  }
  const durations = (name: string, help: string, labelNames: readonly string[], bounds: readonly number[]): Family<Durations> => {
    const family = createHistogram(labelNames, bounds)
    add(name, help, 'histogram', () => [...family.entries()].flatMap((entry) => toBuckets(name, bounds, ...entry)))
    return family
  }

  const families = {
    buildInfo: levels('jobgate_build_info', 'Always 1; the labels tell what runs.', ['version', 'node']),
    submissions: counts('jobgate_jobs_submitted_total', 'Submissions that fit their schema, by what became of them.', ['type', 'outcome']),
    httpDurations: durations(
      'jobgate_http_request_duration_seconds',
      'From request to answer, without the time that a client asked to be held.',
      ['method', 'route', 'status'],
      answerBounds,
    ),
    shedRequests: counts('jobgate_requests_shed_total', 'Submissions answered 503 because of overload, before they were read.', ['reason']),
    storeDurations: durations('jobgate_store_duration_seconds', 'One call to Redis that stores submissions.', [], storeBounds),
    attempts: counts('jobgate_attempts_total', 'Attempts that ended in this process.', ['type', 'outcome', 'code']),
    attemptDurations: durations(
      'jobgate_attempt_duration_seconds',
      'Attempts that ended in this process, from taking the job to its end.',
      ['type', 'outcome'],
      attemptBounds,
    ),
    attemptsRunning: levels('jobgate_attempts_running', 'Attempts that run in this process.'),
    jobWaits: durations('jobgate_job_wait_seconds', 'From when a job was due to the start of its first attempt.', ['queue'], waitBounds),
    longPolls: levels('jobgate_long_polls_open', 'Requests that are held open because their client asked to wait.'),
    eventStreams: levels('jobgate_event_streams_open', 'Event streams that are open.'),
    redisUp: levels('jobgate_redis_up', 'Whether Redis answered PING in time: 1 or 0.'),
    redisPing: levels('jobgate_redis_ping_seconds', 'How long Redis took for it.'),
    queueJobs: levels('jobgate_queue_jobs', 'Jobs in Redis.', ['queue', 'state']),
    queueOverdue: levels('jobgate_queue_overdue_jobs', 'Delayed jobs that are due and that no worker has moved.', ['queue']),
    queuePaused: levels('jobgate_queue_paused', 'Whether the queue is paused: 1 or 0.', ['queue']),
    queueOldest: levels('jobgate_queue_oldest_waiting_seconds', 'How long the job that waits longest has been ready; 0 without one.', [
      'queue',
    ]),
    queueFinished: counts('jobgate_queue_jobs_finished_total', 'Jobs that workers have finished, as Redis counts them.', [
      'queue',
      'state',
    ]),
    workers: levels('jobgate_workers', 'Worker processes that have told of themselves within 30 s.'),
  }
  families.buildInfo.of(readVersion(), process.version).value = 1

  let isWatching = false
  /** Process, heap and event loop. They are the process's own, so what watches them is never taken down. */
  const watchProcess = () => {
    if (isWatching) return
    isWatching = true
    collectDefaultMetrics({ register: registry })
  }

  return {
    ...families,
    contentType: registry.contentType,
    /** Call once the process is meant to be observed; the first `render` does it otherwise. */
    watchProcess,
    /** `collect` runs before every render, to set what is only known by asking. It must not throw. */
    onRender(collect: () => Promise<void> | void) {
      collectors.push(collect)
    },
    /** The text for Prometheus. */
    async render(): Promise<string> {
      watchProcess()
      await Promise.all(collectors.map((collect) => collect()))
      return registry.metrics()
    },
  }
}

export type Metrics = ReturnType<typeof createMetrics>

const toSamples = (family: Family<Count> | Family<Level>): Sample[] =>
  Array.from(family.entries(), ([labels, { value }]) => ({ labels, value }))

const toBuckets = (name: string, bounds: readonly number[], labels: Readonly<Record<string, string>>, series: Durations): Sample[] => {
  let count = 0
  const buckets = series.buckets.map((added, index) => {
    count += added
    return { metricName: `${name}_bucket`, labels: { ...labels, le: bounds[index] ?? '+Inf' }, value: count }
  })
  return [
    ...buckets,
    { metricName: `${name}_sum`, labels, value: series.sumSeconds },
    { metricName: `${name}_count`, labels, value: count },
  ]
}
