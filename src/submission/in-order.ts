// Works on many items at once and gives their results in the order of the items, with bounded memory.

/**
 * Applies `work` to every item, at most `window` at a time, and yields the results in input order.
 * Reads no further item while the window is full, so a slow consumer slows the source.
 * `work` must not reject: expected failures are values.
 */
export async function* mapInOrder<Item, Result>(
  items: AsyncIterable<Item> | Iterable<Item>,
  window: number,
  work: (item: Item, index: number) => Promise<Result>,
): AsyncGenerator<Result> {
  const underWay: Promise<Result>[] = []
  let index = 0
  for await (const item of items) {
    underWay.push(work(item, index++))
    if (underWay.length >= window) yield await (underWay.shift() as Promise<Result>)
  }
  for (const result of underWay) yield await result
}
