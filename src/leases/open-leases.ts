// Opens what leases jobs to programs elsewhere, over the connection of requests.

import { createAttemptEngine, type EngineDeps } from '../attempts/engine.js'
import type { Queues } from '../bullmq/queues.js'
import { openIdleQueues } from '../bullmq/registered/idle-queues.js'
import { createLeasedJobs } from '../bullmq/registered/leased-jobs.js'
import { createJobViews } from '../jobs/view.js'
import type { RedisConnections } from '../redis/connect.js'
import { withDeadline } from '../runtime/deadline.js'
import type { Scope } from '../runtime/scope.js'
import { createExpiry } from './expiry.js'
import { createHandOut, type Poll } from './hand-out.js'
import { createHeartbeat } from './heartbeat.js'
import { isLeasable } from './leasable.js'
import { createLease } from './lease.js'
import { openPolls } from './polls.js'
import { openRemoteWorkers } from './remote-workers.js'
import { createSettleLeases } from './settle.js'

/** A scrape never waits longer for Redis. */
const countMsMax = 1000

interface Deps extends Omit<EngineDeps, 'redis' | 'drives' | 'integrations' | 'integrationVariables'> {
  readonly queues: Queues
  readonly redis: RedisConnections
}

/** Closed with `scope`: nobody waits any longer then. */
export const openLeases = async (deps: Deps, scope: Scope) => {
  const { config, jobTypes, keys, log, metrics, queues, redis: connections, sensitive } = deps
  const redis = connections.request
  const engine = createAttemptEngine({ ...deps, redis, drives: isLeasable, integrations: {}, integrationVariables: {} })
  const leasedJobs = createLeasedJobs({ config, queues, redis })
  const handOut = createHandOut({
    ...{ engine, jobTypes, leasedJobs, log, metrics, sensitive },
    views: createJobViews(sensitive),
  })
  const workers = await scope.open('remote workers', () => openRemoteWorkers({ redis, keys, log }))
  const polls = await scope.open('polls', () =>
    openPolls({
      handOut,
      drained: (some: readonly Poll[]) => workers.areDrained(some.map(({ tenant, worker }) => ({ tenant, name: worker }))),
      // Whoever leases from a queue names the type, which is called like it.
      has: (queue) => {
        const type = jobTypes.find(queue)
        return type !== undefined && isLeasable(type)
      },
      log,
      openIdle: (needsWorker) =>
        openIdleQueues({
          ...{ redis, queues, log, needsWorker },
          connect: () => connections.connect('worker'),
          // The workers of this process watch queues too.
          instanceId: `${config.instanceId}-leases`,
          countsRunning: false,
        }),
      wake: leasedJobs.wake,
    }),
  )
  scope.defer('polls follow the job types', jobTypes.onChange(polls.follow))
  metrics.onRender(async () => {
    metrics.leasePolls.set(polls.waiting())
    const count = await withDeadline(
      workers.count().catch(() => null),
      countMsMax,
      null,
    )
    if (count === null) metrics.remoteWorkers.remove()
    else metrics.remoteWorkers.set(count)
  })
  return {
    ...createLease({ handOut, jobTypes, leasedJobs, polls, workers }),
    heartbeat: createHeartbeat({ leasedJobs, workers }),
    settle: createSettleLeases({ engine, jobTypes, leasedJobs, workers }),
    workers,
    duties: [createExpiry({ engine, jobTypes, leasedJobs, log }), ...workers.duties],
  }
}

export type Leases = Awaited<ReturnType<typeof openLeases>>
