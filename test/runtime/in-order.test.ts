import t from 'tap'
import { mapInOrder } from '../../src/runtime/in-order.js'

const later = <T>(value: T, turns: number) =>
  new Promise<T>((resolve) => {
    const wait = (left: number) => (left === 0 ? resolve(value) : setImmediate(() => wait(left - 1)))
    wait(turns)
  })

t.test('results come in the order of the items, whichever is ready first', async (t) => {
  const results: number[] = []
  let most = 0
  let now = 0
  const work = async (item: number, index: number) => {
    most = Math.max(most, ++now)
    const result = await later(item * 10 + index, (7 * item) % 5)
    now--
    return result
  }
  for await (const result of mapInOrder([1, 2, 3, 4, 5, 6, 7], 3, work)) results.push(result)
  t.same(results, [10, 21, 32, 43, 54, 65, 76])
  t.equal(most, 3)
})

t.test('BAT-3 a result is not held back by an item that has not arrived', async (t) => {
  let send = (_item: number) => {}
  async function* items() {
    for (;;) yield await new Promise<number>((resolve) => (send = resolve))
  }
  const results = mapInOrder(items(), 512, async (item) => item)
  for (const item of [1, 2, 3]) {
    const next = results.next()
    send(item)
    t.same(await next, { value: item, done: false })
  }
})

t.test('a failing source fails the results, and one that nobody wants any more is ended', async (t) => {
  let ended = false
  async function* items() {
    try {
      yield 1
      throw new Error('cut off')
    } finally {
      ended = true
    }
  }
  await t.rejects(
    async () => {
      for await (const _result of mapInOrder(items(), 4, (item) => later(item, 3)));
    },
    { message: 'cut off' },
  )
  t.ok(ended)
  ended = false
  for await (const _result of mapInOrder(items(), 1, async (item) => item)) break
  await later(null, 1)
  t.ok(ended)
})

t.test('work that throws at once fails the results after those before it', async (t) => {
  const seen: number[] = []
  const work = (item: number) => {
    if (item === 2) throw new Error('at once')
    return later(item, 3)
  }
  await t.rejects(
    async () => {
      for await (const result of mapInOrder([1, 2, 3], 4, work)) seen.push(result)
    },
    { message: 'at once' },
  )
  t.same(seen, [1])
})
