// Holds the request side to its deadline when Redis is a Cluster, which tries lost commands again on other nodes.

import type { Cluster } from 'ioredis'

/** What a pipeline of ioredis 5.11 and 6.0 has and its types do not tell. */
interface Pipeline {
  promise: Promise<unknown>
  reject(error: Error): void
  exec(...args: unknown[]): Promise<unknown>
}

/** The words ioredis uses for a command of its own that took too long. */
const timedOut = () => new Error('Command timed out')

/**
 * One deadline for all tries: the Cluster's own `commandTimeout` begins anew with each node and each repeated pipeline, and
 * between the tries, while it looks for the nodes, it does not run at all (measured with ioredis 6.0: answers after 3.6 s
 * instead of 1.0 s). Out: nothing; commands and pipelines of `cluster` reject with "Command timed out".
 */
export const limitCluster = (cluster: Cluster, timeoutMs: number | undefined) => {
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

const limitPipeline = (pipeline: Pipeline, timeoutMs: number) => {
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
