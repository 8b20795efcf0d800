// Which queues a process takes jobs from, and when it has a worker open for them.

import { Type } from '@sinclair/typebox'
import pino from 'pino'
import t, { type Test } from 'tap'
import { openQueueWorkers } from '../../src/attempts/queue-workers.js'
import { defineJobType, done, type JobType } from '../../src/types/definition.js'
import { createJobTypes } from '../../src/types/registry.js'
import { eventually } from '../helpers/eventually.js'

const define = (name: string, queue = name): JobType =>
  defineJobType({
    name,
    queue,
    description: 'For the test.',
    data: Type.Object({}),
    result: Type.Unknown(),
    example: {},
    defaults: { priority: 'normal', timeoutMs: 1000 },
    requires: [],
    run: async () => done({}),
  })
const runsElsewhere = ({ run: _run, ...type }: JobType): JobType => type
const builtin = ['meeting', 'email', 'external-api']

/** Workers and watch do nothing but note what is asked of them. */
const open = (t: Test, types: readonly JobType[] = []) => {
  const jobTypes = createJobTypes(types)
  const opened: string[] = []
  const working = new Set<string>()
  const busy = new Set<string>()
  const watched = new Set<string>()
  const needy = new Set<string>()
  /** Ends the closing of a worker. */
  const closing = new Map<string, () => void>()
  let needsWorker: (queue: string) => void = () => {}
  const workers = openQueueWorkers({
    jobTypes,
    log: pino({ level: 'silent' }),
    idleMs: 0,
    open(queue) {
      opened.push(queue)
      working.add(queue)
      return {
        ready: Promise.resolve(),
        idleSince: () => (busy.has(queue) ? null : 1),
        close: async () => {
          working.delete(queue)
          await new Promise<void>((resolve) => closing.set(queue, resolve))
          closing.delete(queue)
        },
      }
    },
    openIdle(wake) {
      needsWorker = (queue) => {
        watched.delete(queue)
        wake(queue)
      }
      return {
        watch: (queues) => {
          for (const queue of queues) watched.add(queue)
        },
        leave: (queue) => void watched.delete(queue),
        needy: async (queues) => new Set(queues.filter((queue) => needy.has(queue))),
        close: async () => watched.clear(),
      }
    },
  })
  t.after(async () => {
    const closed = workers.close(false)
    await eventually('all are closed', () => {
      for (const end of closing.values()) end()
      return working.size + closing.size === 0
    })
    await closed
  })
  return { jobTypes, workers, opened, working, busy, watched, needy, closing, wake: (queue: string) => needsWorker(queue) }
}

t.test('built-in queues always have a worker, all others once there is something to do', async (t) => {
  const { jobTypes, workers, working, watched, wake } = open(t, [define('a', 'email'), define('own')])
  t.same([...working], builtin)
  t.same([...watched], ['own'])
  t.same(workers.names(), [...builtin, 'own'], 'jobs of all are taken')
  wake('own')
  t.same([...working], [...builtin, 'own'])
  jobTypes.put(define('later'))
  jobTypes.put(runsElsewhere(define('remote')))
  t.same([...watched], ['later'], 'other programs run what has no handler here')
  wake('later')
  wake('later')
  t.same([...working], [...builtin, 'own', 'later'])
})

t.test('a worker that has nothing to do is closed, and its queue watched', async (t) => {
  const { workers, opened, working, busy, watched, needy, closing, wake } = open(t, [define('own'), define('other')])
  wake('own')
  wake('other')
  busy.add('own')
  needy.add('other')
  await workers.closeIdle()
  t.same([...working], [...builtin, 'own', 'other'], 'one runs a job, in the queue of the other something waits')
  busy.clear()
  await workers.closeIdle()
  t.same([...working], [...builtin, 'other'])
  t.same([...watched], [], 'not before it is closed: it may still run what it has fetched')
  await eventually('it closes', () => closing.has('own'))
  closing.get('own')?.()
  await eventually('it is watched', () => watched.has('own'))
  wake('own')
  t.same(opened, [...builtin, 'own', 'other', 'own'])
})

t.test('a queue that goes loses its worker, and one that comes back has no two', async (t) => {
  const { jobTypes, opened, working, watched, closing, workers, wake } = open(t, [define('own'), define('idle')])
  wake('own')
  jobTypes.remove('own')
  jobTypes.remove('idle')
  t.same([...working], builtin)
  t.same([...watched], [])
  t.same(workers.names(), builtin)
  jobTypes.put(define('own'))
  t.same([...watched], [], 'the worker before is still closing')
  await eventually('it closes', () => closing.has('own'))
  closing.get('own')?.()
  await eventually('it is watched', () => watched.has('own'))
  wake('own')
  t.same(opened, [...builtin, 'own', 'own'])
  jobTypes.put(runsElsewhere(define('own')), 2)
  t.same([...working], builtin, 'other programs run it from now on')
})
