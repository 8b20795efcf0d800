// What the dashboard may read of queues and jobs: BullMQ's own objects, with nothing in them that operators are not shown elsewhere.

import type { FlowProducer, Job, JobNode, Queue } from 'bullmq'
import { queueOfJobId } from '../bullmq/job-id.js'
import type { Queues } from '../bullmq/queues.js'
import { decodeJobError } from '../bullmq/stored-job-error.js'
import type { JobEnvelope } from '../jobs/envelope.js'
import { logLinesMax, toShownStackTraces } from '../jobs/record.js'
import type { SensitiveDataByType } from '../jobs/sensitive-data.js'
import { maskDataOf } from '../jobs/view.js'
import type { QueueName } from '../types/queue-name.js'

/** One queue for the dashboard. All reject with the error of Redis. */
export interface BoardQueue {
  readonly name: QueueName
  /** For counts, pauses and metrics. Jobs read through it are not masked: read them with the functions below. */
  readonly queue: Queue
  getJob(id: string): Promise<Job | undefined>
  getJobs(states: Parameters<Queue['getJobs']>[0], start?: number, end?: number): Promise<Job[]>
  /** The newest lines that the handler logged, oldest first. */
  getJobLogs(id: string): Promise<string[]>
}

/** Gives all queues that are there now, each always as the same object. */
export const createBoardQueues = ({ queues, sensitive }: { queues: Queues; sensitive: SensitiveDataByType }) => {
  const made = new WeakMap<Queue, BoardQueue>()
  /** The dashboard prints what `toJSON` gives, and nothing else. */
  const show = (job: Job): Job => {
    const shown = toShown(job, sensitive)
    return Object.assign(job, { toJSON: () => shown })
  }
  const toBoardQueue = (name: QueueName, queue: Queue): BoardQueue => {
    return {
      name,
      queue,
      async getJob(id) {
        // Other keys of the queue, such as `meta`, are no jobs.
        if (queueOfJobId(id) !== name) return undefined
        const job = await queue.getJob(id)
        return job && show(job)
      },
      async getJobs(states, start, end) {
        return (await queue.getJobs(states, start, end)).filter((job) => job !== undefined && job !== null).map(show)
      },
      async getJobLogs(id) {
        if (queueOfJobId(id) !== name) return []
        return [...(await queue.getJobLogs(id, 0, logLinesMax - 1, false)).logs].reverse()
      },
    }
  }
  return (): BoardQueue[] =>
    queues.all().map((keys) => {
      const queue = queues.bullmqQueue(keys)
      const shown = made.get(queue) ?? toBoardQueue(keys.queue, queue)
      made.set(queue, shown)
      return shown
    })
}

/** Chosen member by member, so that what BullMQ or the envelope gain later stays hidden until somebody has looked at it. */
const toShown = (job: Job, sensitive: SensitiveDataByType): Record<string, unknown> => {
  const { data, tenant, correlationId, userId, metadata, scheduleId, timeoutMs, expiresAt, followUps } = job.data as JobEnvelope
  const { attempts, backoff, delay, priority } = job.opts
  return {
    id: job.id,
    name: job.name,
    data: {
      data: maskDataOf(sensitive, job.name, data),
      tenant,
      correlationId,
      userId,
      metadata,
      scheduleId,
      timeoutMs,
      expiresAt: expiresAt === undefined ? undefined : new Date(expiresAt).toISOString(),
      // Their data belong to other job types.
      followUps: followUps?.map(({ id, type }) => ({ id, type })),
    },
    opts: { attempts, backoff, delay, priority },
    timestamp: job.timestamp,
    delay: job.delay,
    priority: job.priority,
    processedOn: job.processedOn,
    processedBy: job.processedBy,
    finishedOn: job.finishedOn,
    progress: job.progress,
    attemptsMade: job.attemptsMade,
    attemptsStarted: job.attemptsStarted,
    stalledCounter: job.stalledCounter,
    returnvalue: job.returnvalue,
    failedReason: job.failedReason ? toReason(job.failedReason) : undefined,
    stacktrace: toShownStackTraces(job.stacktrace ?? []),
  }
}

/** As `producer`, for the dashboard: the trees of jobs that it reads tell why children failed as `toShown` tells it. */
export const showFlow = (producer: FlowProducer | null): FlowProducer | null =>
  producer &&
  Object.create(producer, {
    getFlow: { value: async (wanted: Parameters<FlowProducer['getFlow']>[0]) => showReasons(await producer.getFlow(wanted)) },
  })

/** What was removed meanwhile has no node. */
const showReasons = (node: JobNode | undefined): JobNode | undefined => {
  if (!node) return undefined
  const { job, children } = node
  const read = job.getIgnoredChildrenFailures.bind(job)
  job.getIgnoredChildrenFailures = async () =>
    Object.fromEntries(Object.entries(await read()).map(([key, reason]) => [key, toReason(reason)]))
  children?.forEach(showReasons)
  return node
}

const toReason = (failedReason: string): string => {
  const { code, message } = decodeJobError(failedReason)
  return `${code}: ${message}`
}
