// What closes a test run: the failures it repeats, and its counts.

import { test } from 'tap'
import { toCounts, toCoverage, toFailures } from '../../scripts/test-counts.mjs'

const tap = `TAP version 14
# Subtest: test/redis/lock.test.ts
    # Subtest: a lock is taken once
        ok 1 - first
        not ok 2 - second is refused
          ---
          diff: |
            -true
            +false
          ...
        1..2
    not ok 1 - a lock is taken once # time=3.1ms
    not ok 2 - later # TODO not built
    not ok 3 - elsewhere # SKIP no tool
    1..3
not ok 1 - test/redis/lock.test.ts # time=9ms
  ---
  env:
    ok: false
  exitCode: 1
  ...
1..1
# { total: 4, pass: 1, fail: 1, todo: 1, skip: 1 }
`

test('counts come from the last summary, and what is still to do counts as skipped', async (t) => {
  t.same(toCounts(tap), { total: 4, passed: 1, failed: 1, skipped: 2 })
  t.same(toCounts(`# { total: 9, pass: 9 }\n${tap}`)?.total, 4)
  t.equal(toCounts('TAP version 14\nok 1 - cut off'), null)
})

test('failures come with their causes below the name of their file, those skipped or to do are none', async (t) => {
  t.same(toFailures(tap), [
    '',
    '=== test/redis/lock.test.ts',
    '        not ok 2 - second is refused',
    '          ---',
    '          diff: |',
    '            -true',
    '            +false',
    '          ...',
    '    not ok 1 - a lock is taken once # time=3.1ms',
    '  exitCode: 1',
  ])
  t.same(toFailures(tap.replace('not ok 1 - test', 'ok 1 - test')), [], 'a file that passes in the end')
})

test('a cause without an end goes as far as the file, at most 40 lines', async (t) => {
  t.same(toFailures('    not ok 1 - died\n      ---\n      message: x'), ['    not ok 1 - died', '      ---', '      message: x'])
  const long = ['    not ok 1 - long', '      ---', ...Array.from({ length: 60 }, (_, line) => `      line${line}`), '      ...'].join('\n')
  t.equal(toFailures(long).length, 41)
})

test('coverage is one line', async (t) => {
  t.equal(toCoverage(tap), null)
  const table = 'File      | % Stmts | % Branch | % Funcs | % Lines |\nAll files |   90.17 |      100 |    83.8 |   91.5 |\n'
  t.equal(toCoverage(tap + table), 'coverage in %: statements 90.17, branches 100, functions 83.8, lines 91.5')
})
