// The Redis keys of one BullMQ queue, as BullMQ 6 names them.

import type { QueueName } from '../types/job-schema.js'

/** Keys under `{prefix}:<queue>:`. `job(id)` is the hash of one job. */
export const createQueueKeys = (prefix: string, queue: QueueName) => {
  const base = `${prefix}:${queue}:`
  return {
    queue,
    base,
    qualifiedName: `${prefix}:${queue}`,
    job: (id: string) => base + id,
    dependencies: (id: string) => `${base}${id}:dependencies`,
    wait: `${base}wait`,
    paused: `${base}paused`,
    active: `${base}active`,
    prioritized: `${base}prioritized`,
    delayed: `${base}delayed`,
    completed: `${base}completed`,
    failed: `${base}failed`,
    waitingChildren: `${base}waiting-children`,
    events: `${base}events`,
    marker: `${base}marker`,
    meta: `${base}meta`,
    id: `${base}id`,
    pc: `${base}pc`,
    /** Job schedulers by when each is due next. */
    repeat: `${base}repeat`,
    /** Hash of how many jobs workers have finished this way. */
    metrics: (state: 'completed' | 'failed') => `${base}metrics:${state}`,
  }
}

export type QueueKeys = ReturnType<typeof createQueueKeys>
