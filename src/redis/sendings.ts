// Keeps count of how often each command went out, so that its failure is not taken for more than it says.

import type { Cluster, Command, Redis } from 'ioredis'
import { afterSendings } from './failures.js'

/** A command that knows how often it was written to a socket. */
type Counted = Command & {
  sendings: number
  writeAsIs: Command['toWritable']
  /** Whose rejection is looked at: a Cluster begins the commands of a pipeline anew for each try. */
  promiseSeen: unknown
  rejectAsIs: Command['reject']
}

function toWritable(this: Counted, socket: object) {
  this.sendings += 1
  return this.writeAsIs(socket)
}

function reject(this: Counted, error: Error) {
  this.rejectAsIs(afterSendings(error, this.sendings))
}

/**
 * ioredis sends a command again when the connection is lost, and a Cluster at some other node, too. From now on commands and pipelines
 * of `client` reject with what `afterSendings` makes of their error.
 */
export const countSendings = (client: Redis | Cluster): void => {
  const sendCommand = client.sendCommand.bind(client) as (command: Command, ...rest: unknown[]) => unknown
  client.sendCommand = (command: Command, ...rest: unknown[]) => {
    const counted = command as Counted
    if (counted.toWritable !== toWritable) {
      counted.sendings = 0
      counted.writeAsIs = counted.toWritable
      counted.toWritable = toWritable
    }
    if (counted.promiseSeen !== counted.promise) {
      counted.promiseSeen = counted.promise
      counted.rejectAsIs = counted.reject
      counted.reject = reject
    }
    return sendCommand(command, ...rest)
  }
}
