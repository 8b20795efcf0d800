// What handlers in other processes ran, from the file they write: the checker's truth about executions.

import { readFile } from 'node:fs/promises'
import type { JobOutcome } from '../../src/types/definition.js'
import { eventually } from './eventually.js'

/** One line of the file. `at` is milliseconds since 1970. */
export interface RunLine {
  readonly what: 'start' | 'end' | 'abort'
  readonly jobId: string
  readonly label: string
  readonly attempt: number
  readonly pid: number
  readonly at: number
  /** Why the signal fired. */
  readonly reason?: string
  /** How the attempt ended; a handler that throws writes no `end`. */
  readonly outcome?: JobOutcome['kind']
}

const deadlineMs = 60_000

export const createRunLog = (path: string) => {
  const read = async (): Promise<RunLine[]> => {
    const text = await readFile(path, 'utf8').catch(() => '')
    // A line that is being written has no end yet.
    return text
      .slice(0, text.lastIndexOf('\n') + 1)
      .split('\n')
      .filter(Boolean)
      .map((line) => JSON.parse(line) as RunLine)
  }
  const linesOf = async (what: RunLine['what'], label: string) =>
    (await read()).filter((line) => line.what === what && line.label === label)
  return {
    path,
    read,
    /** Starts of the jobs with this label. */
    starts: (label: string) => linesOf('start', label),
    ends: (label: string) => linesOf('end', label),
    aborts: (label: string) => linesOf('abort', label),
    /** Resolves when a job with this label has been started `times` times. */
    started: (label: string, times = 1) =>
      eventually(`${label} started ${times} times`, async () => (await linesOf('start', label)).length >= times, deadlineMs),
    /** How often each job was started, by its id. */
    async startsById(): Promise<Map<string, number>> {
      const counts = new Map<string, number>()
      for (const { what, jobId } of await read()) if (what === 'start') counts.set(jobId, (counts.get(jobId) ?? 0) + 1)
      return counts
    },
  }
}

export type RunLog = ReturnType<typeof createRunLog>
