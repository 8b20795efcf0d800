// Holds a queue's metrics against the limits that an operator set.

import type { QueueName } from '../types/queue-name.js'
import type { AllQueueMetrics, QueueMetrics } from './queue-metrics.js'

/** Limits above which a queue counts as unhealthy. */
export interface HealthLimits {
  /** QUEUE_MAX_WAITING_JOBS. */
  readonly maxWaitingJobs: number
  /** QUEUE_MAX_FAILED_JOBS. */
  readonly maxFailedJobs: number
}

export interface QueueHealth {
  readonly healthy: boolean
  /** One sentence for each limit that is passed; empty for a healthy queue. */
  readonly issues: string[]
}

/** Jobs of a paused queue wait as well, but nobody is missing a worker for them. */
export const toHealth = (metrics: QueueMetrics, { maxWaitingJobs, maxFailedJobs }: HealthLimits): QueueHealth => {
  const issues: string[] = []
  const waiting = metrics.waiting + metrics.paused
  if (waiting > maxWaitingJobs) issues.push(`${waiting} jobs are waiting, more than QUEUE_MAX_WAITING_JOBS (${maxWaitingJobs}).`)
  if (metrics.failed > maxFailedJobs)
    issues.push(`${metrics.failed} failed jobs are retained, more than QUEUE_MAX_FAILED_JOBS (${maxFailedJobs}).`)
  const ready = metrics.waiting + metrics.overdue
  if (ready > 0 && metrics.workers === 0 && !metrics.isPaused) {
    issues.push(`${ready} ${ready === 1 ? 'job is' : 'jobs are'} waiting but no worker is running.`)
  }
  return { healthy: issues.length === 0, issues }
}

/** The health of all queues together. */
export const toOverallHealth = (all: AllQueueMetrics['queues'], limits: HealthLimits) => {
  const metrics = [...all.values()]
  const queues: Record<QueueName, QueueHealth> = Object.fromEntries([...all].map(([name, each]) => [name, toHealth(each, limits)]))
  const total = (of: (each: QueueMetrics) => number) => metrics.reduce((sum, each) => sum + of(each), 0)
  return {
    healthy: Object.values(queues).every(({ healthy }) => healthy),
    queues,
    summary: {
      totalWaiting: total(({ waiting, paused }) => waiting + paused),
      totalActive: total(({ active }) => active),
      totalCompleted: total(({ completed }) => completed),
      totalFailed: total(({ failed }) => failed),
    },
  }
}
