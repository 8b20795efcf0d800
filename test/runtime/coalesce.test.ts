// Many items, few calls: who shares one, when it goes off, and whose fault an error is.

import t from 'tap'
import { createCoalescer } from '../../src/runtime/coalesce.js'

/** A coalescer that doubles numbers, and the calls it made. */
const doubler = (options: { most?: number; refused?: number } = {}) => {
  const calls: { group: string; items: readonly number[] }[] = []
  const { refused, ...rest } = options
  const double = createCoalescer({
    ...rest,
    isolate: (error) => (error as Error).message === 'isolated',
    send: async (group: string, items: readonly number[]) => {
      calls.push({ group, items })
      if (refused !== undefined && items.includes(refused)) throw new Error('isolated')
      if (items.includes(0)) throw new Error('all alike')
      return items.map((item) => item * 2)
    },
  })
  return { calls, double }
}

t.test('what comes in one turn of the event loop shares a call for each group', async (t) => {
  const { calls, double } = doubler()
  t.same(await Promise.all([double('a', 1), double('b', 2), double('a', 3)]), [2, 4, 6])
  t.same(calls, [
    { group: 'a', items: [1, 3] },
    { group: 'b', items: [2] },
  ])
})

t.test('enough items go off at once, before the turn ends', async (t) => {
  const { calls, double } = doubler({ most: 2 })
  const all = [double('a', 1), double('a', 2), double('a', 3)]
  t.same(calls, [{ group: 'a', items: [1, 2] }], 'the third waits for more')
  t.same(await Promise.all(all), [2, 4, 6])
  t.same(calls[1], { group: 'a', items: [3] })
})

t.test('a result that is an error fails its own item alone', async (t) => {
  const send = async (_group: string, items: readonly number[]) => items.map((item) => (item === 0 ? new Error('zero') : item))
  const same = createCoalescer({ send })
  const [first, zero, last] = await Promise.allSettled([same('a', 1), same('a', 0), same('a', 2)])
  t.match([first, last], [{ value: 1 }, { value: 2 }])
  t.match(zero, { status: 'rejected', reason: { message: 'zero' } })
})

t.test('an item at fault is found by sending all alone; others are done', async (t) => {
  const { calls, double } = doubler({ refused: 2 })
  const outcomes = await Promise.allSettled([double('a', 1), double('a', 2), double('a', 3)])
  t.match(outcomes, [{ value: 2 }, { reason: { message: 'isolated' } }, { value: 6 }])
  t.same(
    calls.map(({ items }) => items),
    [[1, 2, 3], [1], [2], [3]],
  )
})

t.test('an error that is nobody’s fault is everybody’s', async (t) => {
  const { calls, double } = doubler()
  const outcomes = await Promise.allSettled([double('a', 0), double('a', 1)])
  t.match(outcomes, [{ reason: { message: 'all alike' } }, { reason: { message: 'all alike' } }])
  t.equal(calls.length, 1)
})
