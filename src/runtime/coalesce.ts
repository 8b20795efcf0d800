// Puts commands of one turn of the event loop into one: writing to the socket costs more than anything else on a busy path.

interface Waiter<Result> {
  readonly resolve: (result: Result) => void
  readonly reject: (error: unknown) => void
}

/** What came together: `waiters[n]` waits for `items[n]`. */
interface Batch<Item, Result> {
  readonly items: Item[]
  readonly waiters: Waiter<Result>[]
}

/**
 * `send` carries out many items of one group at once and returns a result for each, in order; an Error is the failure of that one.
 * The returned function takes one item; it rejects with its error or that of `send`.
 * `most` items are sent without waiting for the end of the turn: Redis works on them while the turn goes on.
 * `split` cuts what came together into calls of bearable size. `isolate` says which errors may be the fault
 * of one item: those items are then sent one by one, so that one cannot affect the others.
 */
export const createCoalescer = <Group, Item, Result>({
  send,
  most = Number.POSITIVE_INFINITY,
  split = (items) => [items],
  isolate = () => false,
}: {
  send: (group: Group, items: readonly Item[]) => Promise<readonly (Result | Error)[]>
  most?: number
  split?: (items: readonly Item[]) => Iterable<readonly Item[]>
  isolate?: (error: unknown) => boolean
}): ((group: Group, item: Item) => Promise<Result>) => {
  const waiting = new Map<Group, Batch<Item, Result>>()
  let scheduled = false

  const carryOut = async (group: Group, items: readonly Item[], waiters: readonly Waiter<Result>[]): Promise<void> => {
    try {
      const results = await send(group, items)
      for (const [index, { resolve, reject }] of waiters.entries()) {
        const result = results[index] as Result | Error
        if (result instanceof Error) reject(result)
        else resolve(result)
      }
    } catch (error) {
      const alone = items.length > 1 && isolate(error)
      for (const [index, waiter] of waiters.entries()) {
        if (alone) void carryOut(group, [items[index] as Item], [waiter])
        else waiter.reject(error)
      }
    }
  }

  const sendAll = (group: Group, { items, waiters }: Batch<Item, Result>) => {
    let start = 0
    for (const some of split(items)) {
      void carryOut(group, some, waiters.slice(start, start + some.length))
      start += some.length
    }
  }

  const flush = () => {
    scheduled = false
    for (const [group, batch] of waiting) {
      waiting.delete(group)
      sendAll(group, batch)
    }
  }

  return (group, item) =>
    new Promise((resolve, reject) => {
      const batch = waiting.get(group) ?? { items: [], waiters: [] }
      batch.items.push(item)
      batch.waiters.push({ resolve, reject })
      if (batch.items.length >= most) {
        waiting.delete(group)
        sendAll(group, batch)
        return
      }
      waiting.set(group, batch)
      if (scheduled) return
      scheduled = true
      setImmediate(flush)
    })
}
