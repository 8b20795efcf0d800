// Reads the queue in an operator's address.

import type { KnownQueues } from '../bullmq/queues.js'
import type { QueueName } from '../types/queue-name.js'
import { problem } from './problems/problem-json.js'

/** An answer names no more. */
const namedMax = 20

/** The queue of this name; throws 404 when there is none. */
export const requireQueueName = (queues: KnownQueues, name: string): QueueName => {
  if (queues.has(name)) return name
  const names = queues.names()
  const more = names.length > namedMax ? ` and ${names.length - namedMax} more, which GET /admin/queues lists` : ''
  throw problem('not-found', `There is no such queue. The queues are ${names.slice(0, namedMax).join(', ')}${more}.`)
}
