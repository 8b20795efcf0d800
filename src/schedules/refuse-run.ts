// Stores a run of a schedule that is known to be wrong: a job like any other, which fails with the reason.

import type { Acceptance, AcceptanceOutcome, Accept as Store } from '../bullmq/acceptance.js'
import { toIndexMember } from '../bullmq/job-index.js'
import type { QueuePlaces } from '../bullmq/queues.js'
import { toStoredOptions } from '../bullmq/stored-options.js'
import { type JobEnvelope, toCorrelationId } from '../jobs/envelope.js'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import type { JobTypes } from '../types/registry.js'
import type { ScheduleRecord } from './record.js'

/** Nothing is run that could take longer. */
const timeoutMs = 1000

interface Deps {
  readonly store: Store
  readonly jobTypes: JobTypes
  readonly keys: Keys
  readonly queues: Pick<QueuePlaces, 'partitions'>
  readonly redis: RedisClient
}

export interface RefusedRun {
  readonly record: ScheduleRecord
  readonly jobId: string
  readonly claim: NonNullable<Acceptance['claim']>
  readonly refusal: NonNullable<JobEnvelope['refusal']>
}

/** The worker that takes the job only writes the refusal down. Rejects with the error of Redis. */
export const createRefuseRun =
  ({ store, jobTypes, keys, queues, redis }: Deps) =>
  async ({ record, jobId, claim, refusal }: RefusedRun): Promise<AcceptanceOutcome> => {
    const { tenant, id, type, queue, data, userId, correlationId, metadata, followUps } = record
    const now = Date.now()
    const envelope: JobEnvelope = {
      tenant,
      followUpKinds: followUps?.map((each) => ({ type: each.type, queue: jobTypes.find(each.type)?.queue })),
      data,
      correlationId: correlationId ?? toCorrelationId(jobId),
      timeoutMs,
      scheduleId: id,
      refusal,
      ...(userId === undefined ? {} : { userId }),
      ...(metadata === undefined ? {} : { metadata }),
    }
    const options = toStoredOptions({ priority: 'normal', attempts: 1, backoff: { type: 'fixed', delayMs: 0 }, timeoutMs }, now)
    await redis.sadd(keys.tenants, tenant)
    return store({
      queue,
      registration: jobTypes.find(type)?.registered?.registration,
      partition: queues.partitions.forSubmission(claim.digest, jobId),
      jobs: [{ id: jobId, kind: 'prioritized', name: type, timestamp: now, data: JSON.stringify(envelope), options }],
      tenant,
      indexMember: toIndexMember(now, jobId),
      claim,
    })
  }

export type RefuseRun = ReturnType<typeof createRefuseRun>
