// Reads the queue in an operator's address.

import { type QueueName, queueNames } from '../types/job-schema.js'
import { problem } from './problems/problem-json.js'

/** The queue of this name; throws 404 when there is none. */
export const requireQueueName = (name: string): QueueName => {
  const found = queueNames.find((each) => each === name)
  if (!found) throw problem('not-found', `There is no such queue. The queues are ${queueNames.join(', ')}.`)
  return found
}
