// Chance that a seed repeats: every schedule of faults is drawn from it.

/** mulberry32: numbers from 0 to 1. */
const createNumbers = (seed: number) => {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export const createRandom = (seed: number) => {
  const next = createNumbers(seed)
  /** A whole number from `from` up to and without `to`. */
  const between = (from: number, to: number) => from + Math.floor(next() * (to - from))
  return {
    between,
    chance: (probability: number) => next() < probability,
    pick: <T>(items: readonly T[]): T => items[between(0, items.length)] as T,
    /** So many different ones at most. */
    sample: <T>(items: readonly T[], count: number): T[] => {
      const left = [...items]
      return Array.from({ length: Math.min(count, left.length) }, () => left.splice(between(0, left.length), 1)[0] as T)
    },
    shuffle: <T>(items: readonly T[]): T[] => {
      const left = [...items]
      return items.map(() => left.splice(between(0, left.length), 1)[0] as T)
    },
  }
}

export type Random = ReturnType<typeof createRandom>
