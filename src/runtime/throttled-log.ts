// Keeps an error that comes thousands of times, as after the loss of Redis, from filling the log.

/** At most one line in this time. */
const intervalMsDefault = 5000

/**
 * Returns a function that calls `write` at once, and then at most once in `intervalMs` (5 s), with the number of calls
 * left out since. `write` alone makes the text, so that what is not logged costs nothing.
 */
export const createThrottledLog = <T>(
  write: (entry: T, unlogged: number) => void,
  intervalMs: number = intervalMsDefault,
): ((entry: T) => void) => {
  let quietUntil = Number.NEGATIVE_INFINITY
  let unlogged = 0
  return (entry) => {
    const now = performance.now()
    if (now < quietUntil) {
      unlogged++
      return
    }
    write(entry, unlogged)
    quietUntil = now + intervalMs
    unlogged = 0
  }
}
