// Asks Redis whether it answers, and how fast, without ever waiting long for it.

import { withDeadline } from '../runtime/deadline.js'

interface Pingable {
  readonly status: string
  ping(): Promise<unknown>
}

/**
 * Gives the milliseconds that one PING took, null when no answer came within `deadlineMs`.
 * Only one PING is under way at a time: a client that waits for a lost Redis would gather them.
 */
export const createRedisProbe = (redis: Pingable, deadlineMs: number) => {
  let underWay = false
  return async (): Promise<number | null> => {
    if (underWay || redis.status !== 'ready') return null
    underWay = true
    const start = performance.now()
    const answered = redis.ping().then(
      () => performance.now() - start,
      () => null,
    )
    void answered.then(() => {
      underWay = false
    })
    return withDeadline(answered, deadlineMs, null)
  }
}
