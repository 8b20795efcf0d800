// Tells BullMQ which Redis it meets at least, since it is not let ask: a user without the right to INFO has to do.

import { RedisConnection } from 'bullmq'

/** That of `redis/check-server`. */
const oldest = '6.2.0'

/**
 * Unasked BullMQ 6.7 assumes Redis 5, which can wait for whole seconds only: a delayed job would start up to a second late.
 * Call before a worker is opened. It is one setting for all of BullMQ in this process.
 */
export const assumeOldestRedis = (): void => {
  RedisConnection.minimumVersion = oldest
}
