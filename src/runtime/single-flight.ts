// Spares what is asked for by many at once, and by anybody: the answer is fetched once and shared for a while.

/** Shares what `read` gives while it is under way and for `ttlMs` after; a failure is shared with those who wait for it. */
export const shareFor = <T>(ttlMs: number, read: () => Promise<T>): (() => Promise<T>) => {
  let current: Promise<T> | undefined
  let validUntil = 0
  return () => {
    if (current && performance.now() < validUntil) return current
    validUntil = Number.POSITIVE_INFINITY
    const reading = read()
    current = reading
    reading.then(
      () => {
        validUntil = performance.now() + ttlMs
      },
      () => {
        validUntil = 0
      },
    )
    return reading
  }
}
