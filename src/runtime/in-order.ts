// Works on many items at once and gives their results in the order of the items, with bounded memory.

/** An item that is worked on, or whose result waits for those before it. */
interface Place<Result> {
  result?: Result
  isDone: boolean
}

/**
 * Applies `work` to every item, at most `window` at a time, and yields the results in input order, each as soon as it
 * and those before it are there: a source that pauses holds none back.
 * Reads no further item while the window is full, so a slow consumer slows the source.
 * `work` must not reject: expected failures are values.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  window: number,
  work: (item: Item, index: number) => Promise<Result>,
): AsyncGenerator<Result> {
  const iterator = Symbol.asyncIterator in items ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  const places: Place<Result>[] = []
  let end: { readonly error?: unknown } | undefined
  let isWanted = true
  // One waiter on each side, woken by the other: racing promises for every item took longer than the work.
  let wakeConsumer = () => {}
  let wakeSource = () => {}

  const begin = (item: Item, index: number) => {
    const working = work(item, index)
    const place: Place<Result> = { isDone: false }
    places.push(place)
    void working.then((result) => {
      place.result = result
      place.isDone = true
      if (place === places[0]) wakeConsumer()
    })
  }

  const readAll = async () => {
    for (let index = 0; isWanted; index++) {
      const reading = iterator.next()
      const { done, value } = reading instanceof Promise ? await reading : reading
      if (done || !isWanted) return
      begin(value, index)
      if (places.length >= window) await new Promise<void>((resolve) => (wakeSource = resolve))
    }
  }

  try {
    void readAll().then(
      () => {
        end = {}
        wakeConsumer()
      },
      (error) => {
        end = { error }
        wakeConsumer()
      },
    )
    for (;;) {
      const first = places[0]
      if (first?.isDone) {
        places.shift()
        wakeSource()
        yield first.result as Result
      } else if (end && !first) {
        if ('error' in end) throw end.error
        return
      } else {
        await new Promise<void>((resolve) => (wakeConsumer = resolve))
      }
    }
  } finally {
    isWanted = false
    wakeSource()
    // What is still being read has nobody to fail for.
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}
