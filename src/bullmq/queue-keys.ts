// The Redis keys of one queue in one partition, as BullMQ names them.

import type { QueueName } from '../types/queue-name.js'
import { jobKeyEndings, keyNames } from './facts.js'
import type { Partition } from './partitions.js'

const toBase = ({ tag }: Partition, queue: QueueName): string => `${tag}:${queue}:`

/** The key of a job's hash. */
export const toJobKey = (partition: Partition, queue: QueueName, id: string): string => toBase(partition, queue) + id

/** Keys under `<tag>:<queue>:`, which share a slot. `job(id)` is the hash of one job. */
export const createQueueKeys = (partition: Partition, queue: QueueName) => {
  const { tag } = partition
  const base = toBase(partition, queue)
  return {
    queue,
    partition,
    /** What BullMQ calls the prefix. */
    tag,
    base,
    qualifiedName: `${tag}:${queue}`,
    job: (id: string) => base + id,
    dependencies: (id: string) => base + id + jobKeyEndings.dependencies,
    processed: (id: string) => base + id + jobKeyEndings.processed,
    failedChildren: (id: string) => base + id + jobKeyEndings.failed,
    lock: (id: string) => base + id + jobKeyEndings.lock,
    wait: base + keyNames.wait,
    paused: base + keyNames.paused,
    active: base + keyNames.active,
    prioritized: base + keyNames.prioritized,
    delayed: base + keyNames.delayed,
    completed: base + keyNames.completed,
    failed: base + keyNames.failed,
    waitingChildren: base + keyNames.waitingChildren,
    events: base + keyNames.events,
    marker: base + keyNames.marker,
    meta: base + keyNames.meta,
    id: base + keyNames.id,
    pc: base + keyNames.pc,
    limiter: base + keyNames.limiter,
    stalled: base + keyNames.stalled,
    repeat: base + keyNames.repeat,
    /** Hashes of how many jobs workers have finished this way. */
    metricsCompleted: base + keyNames.metricsCompleted,
    metricsFailed: base + keyNames.metricsFailed,
  }
}

export type QueueKeys = ReturnType<typeof createQueueKeys>
