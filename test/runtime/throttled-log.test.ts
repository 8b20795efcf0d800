// The throttled log: the first line at once, and then one in an interval.

import t from 'tap'
import { createThrottledLog } from '../../src/runtime/throttled-log.js'

t.test('at most one line in an interval, with the number of those left out', async (t) => {
  const { now } = performance
  t.after(() => {
    performance.now = now
  })
  let at = 1000
  performance.now = () => at
  const lines: [string, number][] = []
  const note = createThrottledLog((text: string, unlogged) => lines.push([text, unlogged]), 100)
  note('a')
  note('b')
  at += 99
  note('c')
  t.same(lines, [['a', 0]])
  at += 1
  note('d')
  at += 100
  note('e')
  t.same(lines.slice(1), [
    ['d', 2],
    ['e', 0],
  ])

  const slow = createThrottledLog((text: string) => lines.push([text, 0]))
  slow('f')
  at += 4999
  slow('g')
  t.equal(lines.at(-1)?.[0], 'f', 'five seconds unless told otherwise')
})
