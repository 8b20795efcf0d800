// Duties: rounds at intervals, one at a time, until the last has ended.

import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type Duty, openDuty, type TakeLock } from '../../src/runtime/duty.js'
import { eventually } from '../helpers/eventually.js'

const hour = 3_600_000

/** A duty whose rounds are counted; `blocked` ones last until `release`. */
const openCounted = (t: Test, options: Partial<Duty> = {}, lock?: TakeLock) => {
  const lines: { level: number; msg: string; error: string; unlogged: number }[] = []
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line)) })
  const rounds: AbortSignal[] = []
  let isBlocked = false
  let release = () => {}
  const run = async (signal: AbortSignal) => {
    rounds.push(signal)
    if (isBlocked) {
      await new Promise<void>((resolve) => {
        release = resolve
      })
    }
  }
  const duty = openDuty({ name: 'count', everyMs: hour, run, failure: 'counting failed', ...options }, { log, ...(lock ? { lock } : {}) })
  t.after(() => duty.close())
  return {
    duty,
    lines,
    rounds,
    block: () => {
      isBlocked = true
    },
    release: () => {
      isBlocked = false
      release()
    },
  }
}

t.test('begins after an interval or at once, and goes on', async (t) => {
  const later = openCounted(t)
  const atOnce = openCounted(t, { startsAtOnce: true })
  const often = openCounted(t, { everyMs: 5, jitter: 0.5 })
  await eventually('five rounds', () => often.rounds.length >= 5)
  t.equal(later.rounds.length, 0)
  t.equal(atOnce.rounds.length, 1)
})

t.test('one round at a time: what is triggered meanwhile is one more round, right after', async (t) => {
  const { duty, rounds, block, release } = openCounted(t, { everyMs: 5 })
  block()
  await eventually('the first round', () => rounds.length === 1)
  const ends: string[] = []
  const triggered = [duty.trigger().then(() => ends.push('a')), duty.trigger().then(() => ends.push('b'))]
  const beside = openCounted(t, { everyMs: 5 })
  await eventually('many intervals are over', () => beside.rounds.length >= 5)
  t.equal(rounds.length, 1)
  t.same(ends, [])
  release()
  await Promise.all(triggered)
  t.ok(rounds.length >= 2)
})

t.test('a trigger runs a round now, and resolves when it has ended', async (t) => {
  const { duty, rounds, lines } = openCounted(t)
  await duty.trigger()
  t.equal(rounds.length, 1)
  await duty.trigger()
  t.equal(rounds.length, 2)
  t.same(lines, [])
})

t.test('closing tells the round under way, waits for it, and begins no other', async (t) => {
  const { duty, rounds, block, release } = openCounted(t, { everyMs: 1, startsAtOnce: true })
  block()
  await eventually('a blocked round', () => rounds.length > 1)
  const count = rounds.length
  const waiting = duty.trigger()
  let isClosed = false
  const closing = duty.close().then(() => {
    isClosed = true
  })
  t.ok(rounds.at(-1)?.aborted)
  await new Promise((resolve) => setImmediate(resolve))
  t.notOk(isClosed)
  release()
  await closing
  await waiting
  await duty.trigger()
  await duty.close()
  t.equal(rounds.length, count)
})

t.test('a round that cannot end is not waited for', async (t) => {
  let canEnd = true
  const { duty, rounds, block, release } = openCounted(t, { canEnd: () => canEnd })
  block()
  void duty.trigger()
  await eventually('the round', () => rounds.length === 1)
  canEnd = false
  await duty.close()
  release()
})

t.test('a failure is one line in a while, with the number of the others, and retrying', async (t) => {
  const failing = () => {
    throw new Error('why')
  }
  const { duty, lines } = openCounted(t, { run: failing })
  for (let round = 0; round < 5; round++) await duty.trigger()
  t.match(lines, [{ level: 40, msg: 'counting failed; retrying', error: 'why', unlogged: 0 }])
  t.equal(lines.length, 1)

  const quiet = openCounted(t, { run: async () => failing(), failureLevel: 'debug', everyMs: 1 })
  await eventually('it is told', () => quiet.lines.length > 0)
  t.equal(quiet.lines[0]?.level, 20)

  const stopped = openCounted(t, {
    startsAtOnce: true,
    run: (signal) => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('stopped')))),
  })
  await stopped.duty.close()
  t.same(stopped.lines, [], 'closing is no failure')
})

t.test('failures in a row make waits longer, and a success ends that', async (t) => {
  const waits: number[] = []
  const { setTimeout: original } = globalThis
  let fails = true
  const run = () => {
    if (fails) throw new Error('why')
  }
  const { duty } = openCounted(t, { run, everyMs: 1000, backoffMsMax: 5000 })
  const { duty: plain } = openCounted(t, { run, everyMs: 1000 })
  t.after(() => {
    globalThis.setTimeout = original
  })
  globalThis.setTimeout = ((handler: () => void, ms: number) => {
    waits.push(Math.ceil(ms / 100) * 100)
    return original(handler, hour).unref()
  }) as typeof setTimeout
  for (let round = 0; round < 4; round++) await duty.trigger()
  await plain.trigger()
  fails = false
  await duty.trigger()
  t.same(waits, [2000, 4000, 5000, 5000, 1000, 1000])
})

t.test('a shared duty does nothing while another instance holds its lock', async (t) => {
  const taken: [string, number][] = []
  let isFree = false
  const lock: TakeLock = async (name, ttlMs) => {
    taken.push([name, ttlMs])
    return isFree ? {} : null
  }
  const { duty, rounds, lines } = openCounted(t, { isShared: true, everyMs: 1000 }, lock)
  await duty.trigger()
  t.same(taken, [['count', 900]])
  t.equal(rounds.length, 0)
  isFree = true
  await duty.trigger()
  t.equal(rounds.length, 1)
  t.same(lines, [])

  const broken = openCounted(t, { isShared: true }, async () => {
    throw new Error('no Redis')
  })
  await broken.duty.trigger()
  t.match(broken.lines, [{ error: 'no Redis' }])
  t.equal(broken.rounds.length, 0)
  t.throws(() => openCounted(t, { isShared: true }), /needs a lock/)
})

t.test('a round that never ends does not hold up closing', async (t) => {
  const { duty, rounds, block } = openCounted(t, { closeMsMax: 1 })
  block()
  void duty.trigger()
  await eventually('it has begun', () => rounds.length === 1)
  await duty.close()
  t.ok(rounds[0]?.aborted)
})
