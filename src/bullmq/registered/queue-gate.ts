// The queue of a job type that is registered at run time: it takes jobs while it is open, and goes with its type.

import type { RedisClient } from '../../redis/connect.js'
import { defineScript } from '../../redis/script.js'
import type { QueueName } from '../../types/queue-name.js'
import { keyNames, metaFields, metricsDataEnding } from '../facts.js'
import type { Partition } from '../partitions.js'
import { createQueueKeys, type QueueKeys } from '../queue-keys.js'
import type { QueuePlaces } from '../queues.js'
import { createRemoveJobFunction } from '../scripts/bullmq-functions.js'

/** Jobs that one script removes: it blocks Redis for some 30 ms. */
const removedAtOnce = 500

/** Lua: `countUnfinished(first)` counts the jobs of the sets that `toUnfinishedKeys` names, of which the first is KEYS[first]. */
export const countUnfinishedFunction = `
local function countUnfinished(first)
  return redis.call('LLEN', KEYS[first]) + redis.call('LLEN', KEYS[first + 1]) + redis.call('ZCARD', KEYS[first + 2])
    + redis.call('ZCARD', KEYS[first + 3]) + redis.call('LLEN', KEYS[first + 4]) + redis.call('ZCARD', KEYS[first + 5])
end
`

/** The sets in which jobs lie that have not finished. */
export const toUnfinishedKeys = ({ wait, paused, prioritized, delayed, active, waitingChildren }: QueueKeys): readonly string[] => [
  wait,
  paused,
  prioritized,
  delayed,
  active,
  waitingChildren,
]

/**
 * Closes a queue when all its jobs have finished.
 * KEYS: 1 meta, then those of `toUnfinishedKeys`.
 * Returns how many jobs have not finished: with any the queue stays as it is.
 */
const closeScript = `
${countUnfinishedFunction}
local unfinished = countUnfinished(2)
if unfinished == 0 then redis.call('HDEL', KEYS[1], '${metaFields.openFor}') end
return unfinished
`

/**
 * Removes some jobs of a queue that is closed; once there are none, its other keys. All were finished when it was closed, but an instance
 * that had not heard of that may have let one run again.
 * KEYS: 1 meta, 2 completed, 3 failed, 4 to 9 those of `toUnfinishedKeys`, then its other keys.
 * ARGV: 1 prefix of the queue's keys, 2 most jobs.
 * Returns how many jobs were removed, or -1 when the queue is open.
 */
const removeScript = `
${createRemoveJobFunction}
if redis.call('HEXISTS', KEYS[1], '${metaFields.openFor}') == 1 then return -1 end
local removeJob = createRemoveJob(ARGV[1])
local removed = 0
for set = 2, 9 do
  local isList = redis.call('TYPE', KEYS[set]).ok == 'list'
  for _, id in ipairs(redis.call(isList and 'LRANGE' or 'ZRANGE', KEYS[set], 0, tonumber(ARGV[2]) - removed - 1)) do
    removeJob(id)
    if isList then redis.call('LREM', KEYS[set], 1, id) else redis.call('ZREM', KEYS[set], id) end
    removed = removed + 1
  end
  if removed == tonumber(ARGV[2]) then return removed end
end
redis.call('DEL', unpack(KEYS))
return removed
`

/** Queues are named here whether they are known to this process or not. All reject with the error of Redis, and may be repeated. */
export const createQueueGate = ({ redis, queues }: { redis: RedisClient; queues: Pick<QueuePlaces, 'partitions'> }) => {
  const partitions = queues.partitions.all
  const runCloseScript = defineScript<number>(redis, closeScript)
  const runRemoveScript = defineScript<number>(redis, removeScript)
  const [first, ...others] = partitions as [Partition, ...Partition[]]

  const removeFrom = async (partition: Partition, name: QueueName): Promise<boolean> => {
    const queue = createQueueKeys(partition, name)
    const metrics = [keyNames.metricsCompleted, keyNames.metricsFailed].map((each) => queue.base + each + metricsDataEnding)
    const jobs = [queue.completed, queue.failed, ...toUnfinishedKeys(queue)]
    const all = [queue.meta, ...jobs, ...Object.values(keyNames).map((each) => queue.base + each), ...metrics]
    for (;;) {
      const removed = await runRemoveScript([...new Set(all)], [queue.base, removedAtOnce])
      if (removed < removedAtOnce) return removed >= 0
    }
  }

  const openOthers = async (name: QueueName, registration: string): Promise<void> => {
    for (const partition of others) await redis.hset(createQueueKeys(partition, name).meta, metaFields.openFor, registration)
  }

  return {
    /** Where the queue lies beside what is known of its type: that one is opened and closed together with the type. */
    firstPlace: (name: QueueName): QueueKeys => createQueueKeys(first, name),

    /** Lets all other partitions take jobs. */
    openOthers,

    /** Lets no other partition take jobs; gives how many of their jobs have not finished: then all of them stay open. */
    async closeOthers(name: QueueName, registration: string): Promise<number> {
      for (const partition of others) {
        const queue = createQueueKeys(partition, name)
        const unfinished = await runCloseScript([queue.meta, ...toUnfinishedKeys(queue)], [])
        if (unfinished === 0) continue
        await openOthers(name, registration)
        return unfinished
      }
      return 0
    },

    /** Takes away a queue that is closed, with all its finished jobs; whether it was. Takes as long as there are jobs. */
    async remove(name: QueueName): Promise<boolean> {
      for (const partition of partitions) if (!(await removeFrom(partition, name))) return false
      return true
    },
  }
}

export type QueueGate = ReturnType<typeof createQueueGate>
