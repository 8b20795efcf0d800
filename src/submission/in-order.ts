// Works on many items at once and gives their results in the order of the items, with bounded memory.

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
  const toRead = (read: IteratorResult<Item>) => ({ kind: 'read', read }) as const
  const toResult = (result: Result) => ({ kind: 'result', result }) as const
  const underWay: Promise<ReturnType<typeof toResult>>[] = []
  let reading: Promise<ReturnType<typeof toRead>> | undefined
  let isRead = false
  let index = 0
  try {
    for (;;) {
      if (!isRead && underWay.length < window) reading ??= Promise.resolve(iterator.next()).then(toRead)
      const oldest = underWay[0]
      if (!oldest && !reading) return
      const next = await Promise.race([...(oldest ? [oldest] : []), ...(reading ? [reading] : [])])
      if (next.kind === 'result') {
        underWay.shift()
        yield next.result
        continue
      }
      reading = undefined
      if (next.read.done) isRead = true
      else underWay.push(work(next.read.value, index++).then(toResult))
    }
  } finally {
    // What is still being read has nobody to fail for.
    reading?.catch(() => {})
    void Promise.resolve(iterator.return?.()).catch(() => {})
  }
}
