// Puts commands of one turn of the event loop into one: writing to the socket costs more than anything else on a busy path.

/**
 * `send` carries out many items of one group at once and returns a result for each, in order.
 * The returned function takes one item; it rejects with the error of `send`.
 * `split` cuts what came together into calls of bearable size. `isolate` says which errors may be the fault
 * of one item: those items are then sent one by one, so that one cannot take its neighbours along.
 */
export const createCoalescer = <Group, Item, Result>({
  send,
  split = (items) => [items],
  isolate = () => false,
}: {
  send: (group: Group, items: readonly Item[]) => Promise<readonly Result[]>
  split?: (items: readonly Item[]) => Iterable<readonly Item[]>
  isolate?: (error: unknown) => boolean
}): ((group: Group, item: Item) => Promise<Result>) => {
  interface Waiting {
    item: Item
    resolve(result: Result): void
    reject(error: unknown): void
  }
  let waiting = new Map<Group, Waiting[]>()
  let scheduled = false

  const carryOut = async (group: Group, some: readonly Waiting[]): Promise<void> => {
    try {
      const results = await send(
        group,
        some.map(({ item }) => item),
      )
      for (const [index, { resolve }] of some.entries()) resolve(results[index] as Result)
    } catch (error) {
      if (some.length > 1 && isolate(error)) for (const one of some) void carryOut(group, [one])
      else for (const { reject } of some) reject(error)
    }
  }

  const flush = () => {
    const groups = waiting
    waiting = new Map()
    scheduled = false
    for (const [group, all] of groups) {
      let start = 0
      for (const items of split(all.map(({ item }) => item))) {
        void carryOut(group, all.slice(start, start + items.length))
        start += items.length
      }
    }
  }

  return (group, item) =>
    new Promise((resolve, reject) => {
      const entry = { item, resolve, reject }
      const all = waiting.get(group)
      if (all) all.push(entry)
      else waiting.set(group, [entry])
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    })
}
