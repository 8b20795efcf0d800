// The line that says how far a test run is.

import { test } from 'tap'
import { createTally, showProgress, toProgress } from '../../scripts/test-progress.mjs'

const tap = `TAP version 14
1..3
# Subtest: test/a.test.ts
    ok 1 - first
    not ok 2 - second
    1..2
not ok 1 - test/a.test.ts # time=9ms
  ---
  ok: false
  ...
# Subtest: test/b.test.ts
    1..7
ok 2 - test/b.test.ts # time=9ms
`

test('files are counted, not what is in them', async (t) => {
  const tally = createTally()
  for (const line of tap.split('\n')) tally.take(line)
  t.match(tally.state, { total: 3, done: 2, failed: 1, last: 'test/b.test.ts' })
  t.equal(tally.take('not ok 3 - test/c.test.ts # SKIP no tool')?.isFailed, false)
})

test('how far it is', async (t) => {
  t.equal(toProgress({ total: 110, done: 12, failed: 1, last: '' }, 125_999), '12/110 test files, 1 failed, 2:05')
  t.equal(toProgress({ total: null, done: 0, failed: 0, last: '' }, 0), '0/? test files, 0 failed, 0:00')
})

/** What `showProgress` writes, the TAP cut where it hurts. */
const shown = (terminal: object) => {
  const written: string[] = []
  const progress = showProgress({ out: { write: (text: string) => written.push(text), ...terminal } as never, now: () => 0 })
  progress.write(tap.slice(0, 100))
  progress.write(tap.slice(100))
  progress.close()
  return written
}

test('without a terminal: what fails at once, and how far it is in the end', async (t) => {
  t.same(shown({}), ['failed: test/a.test.ts\n', '2/3 test files, 1 failed, 0:00\n'])
})

test('on a terminal one line is written again and again', async (t) => {
  const written = shown({ isTTY: true, columns: 40 })
  t.match(written[0], /failed: test\/a.test.ts\n$/)
  t.match(written.at(-2), /^\r.*2\/3 test files, 1 failed, 0:00 {2}test\/b\.$/)
  t.equal(written.at(-1), '\n')
})
