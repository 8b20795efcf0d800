// Every place where ioredis 5.11 and 6.0 is made to do what it does not: nothing else in the house replaces a method of its objects.

import { type Cluster, Command, type Redis } from 'ioredis'
import { afterSends } from './failures.js'

/*
 * | patch                  | replaces                                              | because ioredis                                      |
 * |------------------------|-------------------------------------------------------|------------------------------------------------------|
 * | `countSends`           | `sendCommand` of a client, `toWritable` and `reject`  | sends a command again without saying so              |
 * |                        | of its commands                                       |                                                      |
 * | `limitCluster`         | `sendCommand`, `pipeline` and `multi` of a Cluster,   | begins a Cluster's `commandTimeout` again with each  |
 * |                        | `exec` of its pipelines                               | try, and does not run it between them                |
 * | `createEncodedCommand` | `toWritable` of one command                           | joins and measures a long command piece by piece     |
 * | `noteConnection`       | `toWritable` of one command                           | does not tell which connection a command was sent on |
 */

/** A command that knows how often it was written to a socket. */
type Counted = Command & {
  sends: number
  writeAsIs: Command['toWritable']
  /** Whose rejection is seen to: a Cluster begins the commands of a pipeline again for each try. */
  promiseSeen: unknown
  rejectAsIs: Command['reject']
}

function countedToWritable(this: Counted, socket: object) {
  this.sends += 1
  return this.writeAsIs(socket)
}

function countedReject(this: Counted, error: Error) {
  this.rejectAsIs(afterSends(error, this.sends))
}

/**
 * ioredis sends a command again when the connection is lost, and a Cluster at some other node, too: the error of the last try says
 * nothing about the ones before. From now on commands and pipelines of `client` reject with what `afterSends` makes of their error.
 */
export const countSends = (client: Redis | Cluster): void => {
  const sendCommand = client.sendCommand.bind(client) as (command: Command, ...rest: unknown[]) => unknown
  client.sendCommand = (command: Command, ...rest: unknown[]) => {
    const counted = command as Counted
    if (counted.toWritable !== countedToWritable) {
      counted.sends = 0
      counted.writeAsIs = counted.toWritable
      counted.toWritable = countedToWritable
    }
    if (counted.promiseSeen !== counted.promise) {
      counted.promiseSeen = counted.promise
      counted.rejectAsIs = counted.reject
      counted.reject = countedReject
    }
    return sendCommand(command, ...rest)
  }
}

/** What a pipeline has and its types do not tell. */
interface Pipeline {
  promise: Promise<unknown>
  reject(error: Error): void
  exec(...args: unknown[]): Promise<unknown>
}

/** The words ioredis uses for a command of its own that took too long. */
const timedOut = () => new Error('Command timed out')

/**
 * One deadline for all tries: the Cluster's own `commandTimeout` restarts with each node and each repeated pipeline, and
 * between the tries, while it looks for the nodes, it does not run at all (measured with ioredis 6.0: answers after 3.6 s
 * instead of 1.0 s). Out: nothing; commands and pipelines of `cluster` reject with "Command timed out".
 */
export const limitCluster = (cluster: Cluster, timeoutMs: number | undefined): void => {
  if (timeoutMs === undefined) return
  const deadlines = new WeakMap<object, number>()
  const sendCommand = cluster.sendCommand.bind(cluster)
  cluster.sendCommand = (command, ...rest) => {
    const deadline = deadlines.get(command) ?? performance.now() + timeoutMs
    deadlines.set(command, deadline)
    command.setTimeout(Math.max(0, deadline - performance.now()))
    return sendCommand(command, ...rest)
  }
  for (const name of ['pipeline', 'multi'] as const) {
    const open = cluster[name].bind(cluster) as (...args: unknown[]) => unknown
    const limited = (...args: unknown[]) => {
      const pipeline = open(...args)
      // `multi({ pipeline: false })` is a plain command.
      if (!(pipeline instanceof Promise)) limitPipeline(pipeline as Pipeline, timeoutMs)
      return pipeline
    }
    Object.assign(cluster, { [name]: limited })
  }
}

const limitPipeline = (pipeline: Pipeline, timeoutMs: number): void => {
  const exec = pipeline.exec.bind(pipeline)
  let timer: NodeJS.Timeout | undefined
  const stop = () => clearTimeout(timer)
  // ioredis calls this again for every try.
  pipeline.exec = (...args) => {
    if (!timer) {
      timer = setTimeout(() => pipeline.reject(timedOut()), timeoutMs)
      pipeline.promise.then(stop, stop)
    }
    return exec(...args)
  }
}

/**
 * A command whose bytes `encode` makes for the connection that it is about to be written to, each time that it is written.
 * ioredis joins a command from its pieces and asks for the length of each: for a long text that was itself put together from
 * many pieces Node took two to five times as long. `args` is what ioredis gets to see: enough to find the server of the keys.
 * Texts of the reply are UTF-8.
 */
export const createEncodedCommand = (name: string, args: (string | number)[], encode: (socket: object) => Buffer): Command => {
  const command = new Command(name, args, { replyEncoding: 'utf8' })
  command.toWritable = encode
  return command
}

/**
 * Calls `note` with the connection that the command is written to, each time that it is written: the last one answers it.
 * WAIT has to be answered by the connection of the write, and ioredis may have reconnected in between.
 */
export const noteConnection = (command: Command, note: (socket: object) => void): void => {
  const toWritable = command.toWritable.bind(command)
  command.toWritable = (socket) => {
    note(socket)
    return toWritable(socket)
  }
}
