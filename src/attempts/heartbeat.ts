// Tells every instance that this worker lives and which job types it can serve.

import type { Logger } from 'pino'
import type { RedisClient } from '../redis/connect.js'
import type { Keys } from '../redis/redis-keys.js'
import { openDuty } from '../runtime/duty.js'
import { heartbeatTtlMs, type WorkerInstance } from './worker-instances.js'

const intervalMs = heartbeatTtlMs / 3
/** A worker that was killed took no leave: the others forget it. Long, since the clocks of machines differ. */
const forgetMs = 3_600_000

/** Writes at once and then at intervals until closed; closing takes the entry away. */
export const openHeartbeat = ({
  redis,
  keys,
  log,
  instance,
  serves,
}: {
  redis: RedisClient
  keys: Keys
  log: Logger
  instance: Omit<WorkerInstance, 'types' | 'queues'>
  /** Asked before every beat. */
  serves: () => Pick<WorkerInstance, 'types' | 'queues'>
}) => {
  const beat = async () => {
    const now = Date.now()
    await redis
      .multi()
      .set(keys.worker(instance.id), JSON.stringify({ ...instance, ...serves() }), 'PX', heartbeatTtlMs)
      .zadd(keys.workers, now, instance.id)
      .zremrangebyscore(keys.workers, '-inf', now - forgetMs)
      .exec()
  }
  const duty = openDuty(
    { name: 'heartbeat', everyMs: intervalMs, startsAtOnce: true, run: beat, failure: 'heartbeat was not written' },
    { log },
  )
  return {
    /** Tells again, since what is served has changed. */
    beat: (): Promise<void> => duty.trigger(),
    async close() {
      const ended = duty.close()
      if (redis.status !== 'ready') return
      await ended
      await redis.multi().del(keys.worker(instance.id)).zrem(keys.workers, instance.id).exec()
    },
  }
}
