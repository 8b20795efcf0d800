// Which job types are leased by programs elsewhere.

import { isRunnable, type JobType } from '../types/definition.js'
import { isBuiltinQueue } from '../types/queue-name.js'

/**
 * Those that nobody runs here, in a queue of their own: in-process workers take what comes next in theirs. A type that is registered at
 * run time says so itself, since its module may be on another machine.
 */
export const isLeasable = (type: JobType): type is JobType =>
  type.registered ? type.registered.runs.by === 'pull' : !isRunnable(type) && !isBuiltinQueue(type.queue)
