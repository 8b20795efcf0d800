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
/** A process that was killed never comes back. */
const forever = Number.MAX_SAFE_INTEGER
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
    ...(what === 'end' ? { outcome: 'done' as const } : {}),
    ...more,
    at: (more.at ?? 200) + index,
  }))
const begun = (label: string, more: Partial<RunLine> = {}): RunLine[] => ran(label, more).slice(0, 1)

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

t.test('a job that was begun and never ended', async (t) => {
  const runs = [...ran('a'), ...ran('c')]
  const without = [stored('a'), stored('c')]
  t.same(kindsOf({ runs: [...runs, ...begun('b')], stored: without }), ['lost'], 'its worker and its record are gone')
  t.same(kindsOf({ runs: [...runs, ...ran('b', { outcome: 'retry' })], stored: without }), ['lost'], 'it was to be retried')
  t.same(kindsOf({ runs: [...runs, ...ran('b', { outcome: 'fail' })], stored: without, mayFail: new Set(['b']) }), [], 'it failed for good')
})

t.test('a duplicate', async (t) => {
  const twice = [...ran('a', { at: 2000 }), ...ran('a', { at: 9000, pid: 2 })]
  const runs = [...twice, ...ran('b'), ...ran('c')]
  t.same(kindsOf({ runs }), ['rerun'])
  t.equal(judge({ ...sound, runs }).ranTwice, 1)
  t.same(kindsOf({ runs, losses: [{ pid: 1, from: 2900, to: 3000 }] }), [], 'the worker was lost while the completion was on its way')
  t.same(kindsOf({ runs, losses: [{ pid: 1, from: 4000, to: forever }] }), ['rerun'], 'the worker was lost when the job had long ended')
  t.same(kindsOf({ runs, losses: [{ pid: 1, from: 9500, to: forever }] }), ['rerun'], 'the worker was lost later')
  t.same(kindsOf({ runs, losses: [{ pid: 3, from: 2000, to: forever }] }), ['rerun'], 'a third worker was lost')
  t.same(kindsOf({ runs, losses: [{ from: 1900, to: 2100 }] }), [], 'Redis was away')
  t.same(kindsOf({ runs, losses: [{ from: 1000, to: 1900 }] }), ['rerun'], 'Redis was back when it began')
  t.same(kindsOf({ runs, losses: [{ from: 4000, to: 9500 }] }), ['rerun'], 'Redis was there until the job had long ended')
  t.same(kindsOf({ runs, losses: [{ pid: 2, from: 1900, to: 9100 }] }), [], 'the other worker froze with it, and woke')
  t.same(kindsOf({ runs, losses: [{ pid: 2, from: 1900, to: 5000 }] }), ['rerun'], 'the other worker had long been awake')
  t.same(kindsOf({ runs, losses: [{ pid: 2, from: 2500, to: 9100 }] }), ['rerun'], 'the other worker froze only later')
})

t.test('a second attempt', async (t) => {
  const others = [...ran('b'), ...ran('c')]
  const again = ran('a', { at: 9000, pid: 2 })
  const losses = [{ pid: 1, from: 8000, to: forever }]
  t.same(kindsOf({ runs: [...begun('a'), ...again, ...others], losses }), [], 'the first had not ended when its worker died')
  t.same(kindsOf({ runs: [...begun('a'), ...again, ...others] }), ['rerun'], 'the first goes on')
  t.same(kindsOf({ runs: [...ran('a', { outcome: 'retry' }), ...again, ...others] }), [], 'the first was to be retried')
})

t.test('a double id', async (t) => {
  const calls = [...sound.calls, call('a', { start: 300, end: 310, id: 'ext_other' })]
  const runs = [...sound.runs, ...ran('a', { jobId: 'ext_other' })]
  const other = stored('a', { id: 'ext_other' })
  t.same(kindsOf({ calls, runs, stored: [...sound.stored, other] }), ['double-id', 'doubled'])
  t.same(kindsOf({ calls, runs, stored: [...sound.stored, other], mayLose: true }), ['double-id', 'doubled'], 'the first is still there')
  const replaced = [other, ...sound.stored.slice(1)]
  t.same(kindsOf({ calls, runs, stored: replaced }), ['double-id', 'doubled'], 'the first is gone')
  t.same(kindsOf({ calls, runs, stored: replaced, mayLose: true }), [], 'the first is gone, which may be')
  t.same(kindsOf({ calls, mayLose: true }), ['double-id'], 'the second is gone')
})

t.test('what a failover may cost', async (t) => {
  const evidence = { runs: [...ran('a'), ...ran('c')], stored: [stored('a'), stored('c')], mayLose: true }
  t.same(kindsOf(evidence), [])
  t.equal(judge({ ...sound, ...evidence }).lost, 1, 'it is counted')
  t.same(kindsOf({ runs: [...sound.runs, ...ran('a', { at: 9000 })], mayLose: true }), [], 'a lease or a completion')
  t.same(kindsOf({ stored: [stored('a'), stored('b', { state: 'limbo' }), stored('c')], mayLose: true }), ['lost'], 'never half of a job')
})

t.test('a job that fails although nothing was to', async (t) => {
  const failed = [stored('a', { state: 'failed' }), stored('b'), stored('c')]
  const runs = sound.runs.filter(({ label }) => label !== 'a')
  t.same(kindsOf({ runs, stored: failed }), ['failed-unexpectedly'], 'without ever having run')
  t.same(kindsOf({ runs, stored: failed, mayFail: new Set(['a']) }), [], 'it is meant to')
  const gone = [...runs, ...ran('a', { outcome: 'fail' })]
  t.same(kindsOf({ runs: gone, stored: failed.slice(1) }), ['failed-unexpectedly'], 'it ran, and was evicted')
})

t.test('a job that is run after it was cancelled', async (t) => {
  t.same(kindsOf({ cancelled: new Map([['ext_a', 150]]) }), ['cancelled-run'])
  t.same(kindsOf({ cancelled: new Map([['ext_a', 250]]) }), [], 'it had been started before, and was handed back')
})

t.test('two jobs of one unknown call', async (t) => {
  t.same(kindsOf({ stored: [...sound.stored, stored('c', { id: 'ext_other', state: 'failed' })], mayFail: new Set(['c']) }), ['doubled'])
})

t.test('a refused call that was stored', async (t) => {
  t.same(kindsOf({ stored: [...sound.stored, stored('e', { state: 'failed' })], mayFail: new Set(['e']) }), ['refused-stored'])
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
