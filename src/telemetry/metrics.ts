// Everything that Jobgate counts and measures, and its text for Prometheus. prom-client is used in this file only.

import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { createHistogram, type Histogram } from './histogram.js'
import { readVersion } from './version.js'

/** One series of a counter: what a busy path keeps, since finding it by its labels costs more than adding to it. */
export type Count = Counter.Internal

/** The series, shown from now on: a rate needs the zero before the first one. */
export const startedAtZero = (series: Count): Count => {
  series.inc(0)
  return series
}

const answerBounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
const storeBounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1]
const attemptBounds = [0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600]
const waitBounds = [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600, 14_400]

/**
 * The metrics of one application. Adding to a series needs no Redis and no await; `docs/observability.md` explains each.
 * Label values come from bounded sets: routes, our own tables, job types and queues as `types/metric-names.ts` calls them. Never from
 * what a client sends.
 */
export const createMetrics = () => {
  const registry = new Registry()
  const collectors: (() => Promise<void> | void)[] = []

  const registers = [registry]
  const counters: Counter[] = []
  const counts = <L extends string>(name: string, help: string, labelNames: readonly L[]) => {
    const counter = new Counter({ name, help, labelNames, registers })
    counters.push(counter)
    return counter
  }
  const levels = <L extends string = never>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Gauge({ name, help, labelNames, registers })
  const histograms: Histogram[] = []
  const durations = (name: string, help: string, labelNames: readonly string[], bounds: readonly number[]): Histogram => {
    const histogram = createHistogram(name, help, labelNames, bounds)
    histograms.push(histogram)
    return histogram
  }

  const families = {
    buildInfo: levels('jobgate_build_info', 'Always 1; the labels identify the version that is running.', ['version', 'node']),
    submissions: counts('jobgate_jobs_submitted_total', 'Submissions that match their schema, by outcome.', ['type', 'outcome']),
    httpDurations: durations(
      'jobgate_http_request_duration_seconds',
      'From request to response, without the time that a client asked to wait.',
      ['method', 'route', 'status'],
      answerBounds,
    ),
    shedRequests: counts('jobgate_requests_shed_total', 'Submissions refused with 503 because of overload, before they were read.', [
      'reason',
    ]),
    storeDurations: durations('jobgate_store_duration_seconds', 'One call to Redis that stores submissions.', [], storeBounds),
    attempts: counts('jobgate_attempts_total', 'Attempts that ended in this process.', ['type', 'outcome', 'code']),
    attemptDurations: durations(
      'jobgate_attempt_duration_seconds',
      'Duration of attempts that ended in this process.',
      ['type', 'outcome'],
      attemptBounds,
    ),
    attemptsRunning: levels('jobgate_attempts_running', 'Attempts running in this process.'),
    leases: counts('jobgate_leases_total', 'Jobs leased to programs by this process.', []),
    leasePolls: levels('jobgate_lease_polls_open', 'Requests held open until there is a job to lease.'),
    remoteWorkers: levels('jobgate_remote_workers', 'Programs that leased jobs or sent heartbeats within the last 90 s.'),
    jobWaits: durations('jobgate_job_wait_seconds', 'Time from when a job was due until its first attempt started.', ['queue'], waitBounds),
    longPolls: levels('jobgate_long_polls_open', 'Requests held open because their client asked to wait.'),
    eventStreams: levels('jobgate_event_streams_open', 'Open event streams.'),
    redisUp: levels('jobgate_redis_up', 'Whether Redis responded to PING in time: 1 or 0.'),
    redisPing: levels('jobgate_redis_ping_seconds', 'How long Redis took to respond to PING.'),
    queueJobs: levels('jobgate_queue_jobs', 'Jobs in Redis.', ['queue', 'state']),
    queueOverdue: levels('jobgate_queue_overdue_jobs', 'Delayed jobs that are due but that no worker has moved.', ['queue']),
    queuePaused: levels('jobgate_queue_paused', 'Whether the queue is paused: 1 or 0.', ['queue']),
    queueOldest: levels('jobgate_queue_oldest_waiting_seconds', 'How long the oldest waiting job has been ready; 0 if none is waiting.', [
      'queue',
    ]),
    queueFinished: counts('jobgate_queue_jobs_finished_total', 'Jobs that workers have finished, as counted by Redis.', ['queue', 'state']),
    workers: levels('jobgate_workers', 'Worker processes that reported within the last 30 s.'),
  }
  families.buildInfo.labels(readVersion(), process.version).set(1)

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
    /** Forgets the counters and histograms whose value of a label is meant. */
    async forget(label: string, isMeant: (value: string) => boolean): Promise<void> {
      for (const counter of counters) {
        const { values } = await counter.get()
        for (const { labels } of values) if (labels[label] !== undefined && isMeant(String(labels[label]))) counter.remove(labels)
      }
      for (const histogram of histograms) histogram.forget(label, isMeant)
    },
    /** `collect` runs before every render, to set what is only known by asking. It must not throw. */
    onRender(collect: () => Promise<void> | void) {
      collectors.push(collect)
    },
    /** The text for Prometheus. */
    async render(): Promise<string> {
      watchProcess()
      await Promise.all(collectors.map((collect) => collect()))
      return [await registry.metrics(), ...histograms.map((histogram) => `${histogram.render()}\n`)].join('\n')
    },
  }
}

export type Metrics = ReturnType<typeof createMetrics>
