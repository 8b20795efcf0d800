// What Aliyun SMS keeps in Redis, by name.

import type { Keys } from '../../redis/redis-keys.js'

/** Redis keys of text messages. */
export const createSmsKeys = (keys: Keys) => ({
  /** Messages lately sent to one phone number; keyed digest, so that the number cannot be guessed from it. */
  number: (digest: string) => keys.of('sms-number', digest),
  /** When a job's text message was handed over. */
  handedOver: (jobId: string) => keys.of('sms-handed-over', jobId),
})
