// Runs rows side by side, each in a process of its own: most of them wait for leases, restarts and elections, not for a processor.

import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { Row } from './world.js'

const lanes = 2

/**
 * Runs every row in a process: `program` with `args` and `--only`, which sends what it found as its one message. Rows that are to be
 * alone come last, one after the other. What a process did not tell, because it died, is missing.
 */
export const runInLanes = async <Result>(rows: readonly Row[], program: string, args: readonly string[]): Promise<Result[]> => {
  const running = new Set<ChildProcess>()
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => {
      for (const child of running) child.kill(signal)
    })

  const runRow = async ({ id }: Row): Promise<Result | undefined> => {
    const child = fork(program, [...args, '--only', id])
    running.add(child)
    let found: Result | undefined
    child.on('message', (message) => {
      found = message as Result
    })
    const [code, signal] = await once(child, 'exit')
    running.delete(child)
    if (found === undefined) console.error(`FAILED row ${id}: its process ended with ${signal ?? code} and told nothing`)
    return found
  }

  const results: (Result | undefined)[] = []
  const runAll = async (waiting: Row[]) => {
    // From the last: those take longest, and should not be what is left at the end.
    for (let row = waiting.pop(); row; row = waiting.pop()) results.push(await runRow(row))
  }
  const together = rows.filter(({ alone }) => !alone)
  await Promise.all(Array.from({ length: lanes }, () => runAll(together)))
  await runAll(rows.filter(({ alone }) => alone))
  return results.filter((each) => each !== undefined)
}
