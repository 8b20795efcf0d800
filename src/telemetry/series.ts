// Counts and durations as plain numbers: adding to one costs a busy path some ten nanoseconds, and reading is done once a scrape.

/** A number that only rises while the process runs. */
export interface Count {
  value: number
  inc(): void
}

/** A number as it is now. */
export interface Level {
  value: number
}

/** Durations by size. */
export interface Durations {
  /** How many fell into each bucket of its family, and at last those beyond all; not summed up. */
  readonly buckets: number[]
  sumSeconds: number
  observe(seconds: number): void
}

/** All series of one name. */
export interface Family<T> {
  readonly labelNames: readonly string[]
  /** The series with these label values, in the order of `labelNames`; made when it is first asked for. Keep it where speed matters. */
  of(...values: readonly string[]): T
  /** Forgets every series. */
  clear(): void
  entries(): Iterable<readonly [labels: Readonly<Record<string, string>>, series: T]>
}

const createFamily = <T>(labelNames: readonly string[], create: () => T): Family<T> => {
  const known = new Map<string, readonly [Readonly<Record<string, string>>, T]>()
  return {
    labelNames,
    of(...values) {
      const key = values.join('\n')
      const found = known.get(key)
      if (found) return found[1]
      const made = create()
      known.set(key, [Object.fromEntries(labelNames.map((name, index) => [name, values[index] as string])), made])
      return made
    },
    clear: () => known.clear(),
    entries: () => known.values(),
  }
}

const createCount = (): Count => ({
  value: 0,
  inc() {
    this.value++
  },
})

const createDurations = (boundsSeconds: readonly number[]): Durations => ({
  buckets: new Array<number>(boundsSeconds.length + 1).fill(0),
  sumSeconds: 0,
  observe(seconds) {
    let bucket = 0
    while (bucket < boundsSeconds.length && seconds > (boundsSeconds[bucket] as number)) bucket++
    ;(this.buckets[bucket] as number)++
    this.sumSeconds += seconds
  },
})

export const createCounts = (labelNames: readonly string[]): Family<Count> => createFamily(labelNames, createCount)

export const createLevels = (labelNames: readonly string[]): Family<Level> => createFamily(labelNames, () => ({ value: 0 }))

/** `boundsSeconds`: upper bounds of the buckets, rising. */
export const createHistogram = (labelNames: readonly string[], boundsSeconds: readonly number[]): Family<Durations> =>
  createFamily(labelNames, () => createDurations(boundsSeconds))
