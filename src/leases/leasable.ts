// Which job types are leased by programs elsewhere.

import { isRunnable, type JobType } from '../types/definition.js'
import { isBuiltinQueue } from '../types/queue-name.js'

/** Those that nobody runs here, in a queue of their own: in-process workers take what comes next in theirs. */
export const isLeasable = (type: JobType): type is JobType => !isRunnable(type) && !isBuiltinQueue(type.queue)
