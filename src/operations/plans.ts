// What each kind of operation does: which sets it walks, which jobs it chooses, and how it changes them.

import type { BulkAct, BulkSet, ScannedJob } from '../bullmq/bulk-jobs.js'
import { isDeadLetter } from './dead-letters.js'
import type { Operation, OperationKind } from './records.js'

export interface OperationPlan {
  readonly act: BulkAct
  readonly sets: readonly BulkSet[]
  /** Failed jobs are walked up to when the operation was asked for: what fails meanwhile is no part of it. */
  readonly endsAtCreation: boolean
  chooses(job: ScannedJob, operation: Pick<Operation, 'createdAt' | 'request'>): boolean
}

type Chooser = OperationPlan['chooses']

/** Submitted before the operation; the next run of a schedule is left alone, or the schedule would end. */
const isOld: Chooser = ({ createdAt, isNextOfSchedule }, operation) => !isNextOfSchedule && createdAt <= operation.createdAt

/** What was sent back since and has failed again is left alone; its worker's clock may say that it failed before. */
const isMeant: Chooser = (job, { createdAt, request }) => (job.retriedAt ?? 0) < createdAt && isDeadLetter(job, request.filter)

/** In the order in which jobs move on, so that those that move meanwhile are still met. */
const waitingSets = ['delayed', 'prioritized', 'wait', 'paused'] as const

export const operationPlans: Readonly<Record<OperationKind, OperationPlan>> = {
  drain: { act: 'remove', sets: waitingSets, endsAtCreation: false, chooses: isOld },
  obliterate: {
    act: 'remove',
    sets: [...waitingSets, 'waitingChildren', 'completed', 'failed'],
    endsAtCreation: false,
    chooses: isOld,
  },
  'promote-delayed': {
    act: 'promote',
    sets: ['delayed'],
    endsAtCreation: false,
    // One that was promoted, failed and is delayed again keeps its backoff.
    chooses: (job, operation) => isOld(job, operation) && (job.processedAt ?? 0) <= operation.createdAt,
  },
  'retry-failed': { act: 'retry', sets: ['failed'], endsAtCreation: true, chooses: isMeant },
  redrive: { act: 'retry', sets: ['failed'], endsAtCreation: true, chooses: isMeant },
  purge: { act: 'remove', sets: ['failed'], endsAtCreation: true, chooses: isMeant },
}
