// The checker must see what it is there to see: each fault is planted once into a history that is otherwise sound.

import t from 'tap'
import type { RunLine } from '../helpers/run-log.js'
import { type Call, type Evidence, judge, type StoredJob, type ViolationKind } from './checker.js'

const call = (key: string, more: Partial<Call> = {}): Call => ({
  key,
  label: key,
  start: 100,
  end: 110,
  outcome: 'ok',
  status: 202,
  id: `ext_${key}`,
  ...more,
})
const unanswered = { outcome: 'unknown', status: null, id: null } as const
const refused = { outcome: 'refused', status: 503, id: null } as const
const stored = (label: string, more: Partial<StoredJob> = {}): StoredJob => ({
  id: `ext_${label}`,
  label,
  state: 'completed',
  attemptsMade: 1,
  ...more,
})
const ran = (label: string, more: Partial<RunLine> = {}): RunLine[] =>
  (['start', 'end'] as const).map((what, index) => ({
    what,
    jobId: `ext_${label}`,
    label,
    attempt: 1,
    pid: 1,
    ...more,
    at: (more.at ?? 200) + index,
  }))

/** a, b: accepted. c: unknown, and there. d: unknown, and not there. e: refused. */
const sound: Evidence = {
  calls: [
    call('a'),
    call('a', { start: 120, end: 130 }),
    call('b', unanswered),
    call('b'),
    call('c', unanswered),
    call('d', unanswered),
    call('e', refused),
  ],
  runs: [...ran('a'), ...ran('b'), ...ran('c')],
  stored: [stored('a'), stored('b'), stored('c')],
}
const kindsOf = (evidence: Partial<Evidence>): ViolationKind[] => [
  ...new Set(judge({ ...sound, ...evidence }).violations.map(({ kind }) => kind)),
]

t.test('a sound history', async (t) => {
  t.same(judge(sound), { acknowledged: 2, lost: 0, ranTwice: 0, refused: 1, unknown: 3, unknownStored: 1, violations: [] })
})

t.test('a loss', async (t) => {
  const evidence = { runs: [...ran('a'), ...ran('c')], stored: [stored('a'), stored('c')] }
  t.same(kindsOf(evidence), ['lost'])
  t.equal(judge({ ...sound, ...evidence }).lost, 1)
  t.same(kindsOf({ ...evidence, removed: new Set(['ext_b']) }), [], 'what the test took away is not lost')
  t.same(kindsOf({ stored: [stored('a'), stored('c')] }), [], 'what has run and was evicted is not lost')
  t.same(kindsOf({ stored: [stored('a'), stored('b', { state: 'limbo' }), stored('c')] }), ['lost'], 'a record that no queue knows')
})

t.test('a duplicate', async (t) => {
  const twice = [...ran('a', { at: 200 }), ...ran('a', { at: 300, pid: 2 })]
  const runs = [...twice, ...ran('b'), ...ran('c')]
  t.same(kindsOf({ runs }), ['rerun'])
  t.equal(judge({ ...sound, runs }).ranTwice, 1)
  t.same(kindsOf({ runs, losses: [{ pid: 1, from: 250, to: 260 }] }), [], 'the worker was lost between the two')
  t.same(kindsOf({ runs, losses: [{ from: 190, to: 210 }] }), [], 'Redis was away')
  t.same(kindsOf({ runs, losses: [{ pid: 2, from: 190, to: 290 }] }), [], 'the other worker froze with it, and woke')
  t.same(kindsOf({ runs, losses: [{ pid: 2, from: 400, to: 500 }] }), ['rerun'], 'the other worker was lost later')
  t.same(kindsOf({ runs, losses: [{ pid: 3, from: 250, to: 260 }] }), ['rerun'], 'a third worker was lost')
  t.same(kindsOf({ runs, losses: [{ pid: 1, from: 400, to: 500 }] }), ['rerun'], 'it was lost later')
})

t.test('a double id', async (t) => {
  const calls = [...sound.calls, call('a', { id: 'ext_other' })]
  const other = ran('a', { jobId: 'ext_other' })
  t.same(kindsOf({ calls, runs: [...sound.runs, ...other] }), ['double-id', 'doubled'])
})

t.test('two jobs of one unknown call', async (t) => {
  t.same(kindsOf({ stored: [...sound.stored, stored('c', { id: 'ext_other', state: 'failed' })] }), ['doubled'])
})

t.test('a refused call that was stored', async (t) => {
  t.same(kindsOf({ stored: [...sound.stored, stored('e', { state: 'failed' })] }), ['refused-stored'])
})

t.test('another payload under a used key', async (t) => {
  const other = call('a', { label: 'a2', outcome: 'refused', status: 422, id: null })
  t.same(kindsOf({ calls: [...sound.calls, other] }), [])
  t.same(kindsOf({ calls: [...sound.calls, other], runs: [...sound.runs, ...ran('a2')] }), ['refused-stored', 'doubled'])
})

t.test('a job of nobody', async (t) => {
  t.same(kindsOf({ runs: [...sound.runs, ...ran('z')] }), ['stranger'])
})

t.test('a job that never ends', async (t) => {
  t.same(kindsOf({ stored: [stored('a'), stored('b'), stored('c', { state: 'active' })] }), ['unfinished'])
})

t.test('a completion that nobody ran', async (t) => {
  t.same(kindsOf({ runs: sound.runs.filter(({ label }) => label !== 'c') }), ['counts'])
})

t.test('answers that break a rule', async (t) => {
  t.same(kindsOf({ calls: [...sound.calls, call('f', { outcome: 'unknown', status: 500, id: null })] }), ['answer'])
  t.same(kindsOf({ calls: [...sound.calls, call('f', { ...refused, fault: 'no Retry-After' })] }), ['answer'])
})
