// Waits, without taking the machine from what it waits for.

import { setTimeout as pause } from 'node:timers/promises'

const pollMs = 20

/** Resolves with how long it took, in milliseconds; rejects after `deadlineMs`. */
export const until = async (what: string, holds: () => boolean | Promise<boolean>, deadlineMs = 60_000): Promise<number> => {
  const start = Date.now()
  while (!(await holds())) {
    if (Date.now() - start > deadlineMs) throw new Error(`Not within ${deadlineMs} ms: ${what}`)
    await pause(pollMs)
  }
  return Date.now() - start
}
