// The registry of job types: versions, changes while the process runs, and validators that come and go with them.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { type TSchema, Type } from '@sinclair/typebox'
import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { mintJobId } from '../../src/bullmq/job-id.js'
import { schedulerQueue } from '../../src/bullmq/scheduler/scheduler-queue.js'
import { createKeys } from '../../src/redis/redis-keys.js'
import { defineJobType, done, type JobType } from '../../src/types/definition.js'
import { builtinQueues } from '../../src/types/queue-name.js'
import { createJobTypes, dataProblems, type RegisteredType } from '../../src/types/registry.js'
import { root } from '../helpers/source-files.js'

const define = (name: string, data: TSchema): JobType =>
  defineJobType({
    name,
    queue: 'email',
    description: 'For the test.',
    data,
    result: Type.Unknown(),
    example: {},
    defaults: { priority: 'normal', timeoutMs: 1000 },
    requires: [],
    run: async () => done({}),
  })

const Text = Type.Object({ text: Type.String() }, { additionalProperties: false })
const Both = Type.Object({ text: Type.String(), size: Type.Integer() }, { additionalProperties: false })

t.test('finds a type by name, and nothing by another', async (t) => {
  const [one, other] = [define('one', Text), define('other', Text)] as const
  const jobTypes = createJobTypes([one, other])
  t.same(jobTypes.all, [one, other])
  t.equal(jobTypes.find('one'), one)
  t.equal(jobTypes.get('other')?.version, 1)
  for (const name of ['no-such-type', 'constructor', '__proto__', '']) t.equal(jobTypes.find(name), undefined, name)
})

t.test('knows several versions of a type, the highest number being the latest', async (t) => {
  const [first, second, third] = [define('a', Text), define('a', Both), define('a', Text)] as const
  const jobTypes = createJobTypes([first])
  jobTypes.put(third, 3)
  jobTypes.put(second, 2)
  t.equal(jobTypes.find('a'), third)
  t.equal(jobTypes.find('a', 1), first)
  t.equal(jobTypes.find('a', 2), second)
  t.equal(jobTypes.find('a', 4), undefined)
  t.same(jobTypes.all, [third], 'listed once')
  t.equal(jobTypes.remove('a', 3), true)
  t.equal(jobTypes.find('a'), second)
  t.equal(jobTypes.remove('a', 3), false)
  t.equal(jobTypes.remove('a'), true)
  t.equal(jobTypes.find('a'), undefined)
  t.equal(jobTypes.find('a', 1), undefined)
  t.same(jobTypes.all, [])
})

t.test('every change has a revision and a list of its own', async (t) => {
  const jobTypes = createJobTypes([define('a', Text)])
  const seen = [{ revision: jobTypes.revision, all: jobTypes.all }]
  for (const change of [() => jobTypes.put(define('b', Text)), () => jobTypes.put(define('b', Both)), () => jobTypes.remove('a')]) {
    change()
    t.ok(seen.every(({ revision, all }) => revision !== jobTypes.revision && all !== jobTypes.all))
    seen.push({ revision: jobTypes.revision, all: jobTypes.all })
  }
  t.same(
    jobTypes.all.map(({ name }) => name),
    ['b'],
  )
  const { revision } = jobTypes
  jobTypes.remove('no-such-type')
  t.equal(jobTypes.revision, revision, 'nothing changed')
})

t.test('queues come with the first type of theirs and go with the last', async (t) => {
  const inQueue = (name: string, queue: string): JobType => ({ ...define(name, Text), queue })
  const jobTypes = createJobTypes([define('a', Text)])
  const atFirst = jobTypes.queues
  t.same(atFirst, ['meeting', 'email', 'external-api'], 'the built-in ones are always there')
  jobTypes.put(define('b', Text))
  t.equal(jobTypes.queues, atFirst, 'the same list, since nothing came')
  jobTypes.put(inQueue('resize-image', 'resize-image'))
  jobTypes.put(inQueue('another', 'resize-image'))
  const both = jobTypes.queues
  t.same(both, [...atFirst, 'resize-image'])
  jobTypes.put(inQueue('resize-image', 'resize-image'), 2)
  jobTypes.remove('another')
  t.equal(jobTypes.queues, both)
  jobTypes.remove('resize-image')
  t.same(jobTypes.queues, atFirst)
  jobTypes.remove('a')
  t.same(jobTypes.queues, atFirst)
})

t.test('listeners are told of every change, when it is done', async (t) => {
  const jobTypes = createJobTypes([define('a', Text)])
  const told: string[][] = []
  const stop = jobTypes.onChange(() => told.push(jobTypes.all.map(({ name }) => name)))
  jobTypes.put(define('b', Text))
  jobTypes.remove('a')
  jobTypes.remove('a')
  stop()
  jobTypes.put(define('c', Text))
  t.same(told, [['a', 'b'], ['b']])
})

t.test('names that mean something else are reserved', async (t) => {
  const jobTypes = createJobTypes(builtinTypes)
  const document = JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8')) as { paths: object }
  const prefixes = builtinQueues.map((queue) => mintJobId(queue).split('_')[0] as string)
  const besideQueues = Object.keys(document.paths).flatMap((path) => /^\/admin\/queues\/([a-z][a-z-]*)/.exec(path)?.[1] ?? [])
  t.ok(besideQueues.length > 3)
  const ofRedis = [createKeys('').audit.split(':')[1] as string, schedulerQueue]
  for (const name of [...builtinTypes.map(({ name }) => name), ...builtinQueues, ...prefixes, ...besideQueues, ...ofRedis, 'other'])
    t.ok(jobTypes.isReserved(name), name)
  jobTypes.put({ ...define('resize-image', Text), queue: 'resize-image' })
  for (const name of ['resize-image', 'constructor', 'mailer']) t.notOk(jobTypes.isReserved(name), name)
})

t.test('data are checked against the schema of the version, and one in its place brings its own', async (t) => {
  const jobTypes = createJobTypes([define('a', Text)])
  jobTypes.put(define('a', Both), 2)
  const faults = (version: number, data: unknown) =>
    dataProblems(jobTypes.get('a', version) as RegisteredType, data).map(({ pointer }) => pointer)
  t.same(faults(1, { text: 'x' }), [])
  t.same(faults(1, { text: 1, size: 1 }), ['#/data/size', '#/data/text'])
  t.same(faults(2, { text: 'x' }), ['#/data/size'])
  t.same(faults(2, { text: 'x', size: 1 }), [])
  jobTypes.put(define('a', Both), 1)
  t.same(faults(1, { text: 'x' }), ['#/data/size'])
})

t.test('a schema is compiled when data come, not before', async (t) => {
  const jobTypes = createJobTypes([define('a', { type: 'object', 'no-such-keyword': true } as unknown as TSchema)])
  t.throws(() => jobTypes.get('a')?.validate({}), /no-such-keyword/)
})

t.test('a version that is removed leaves nothing behind', async (t) => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const jobTypes = createJobTypes()
  const use = () => {
    jobTypes.put(define('a', structuredClone(Text)))
    const { type, validate } = jobTypes.get('a') as RegisteredType
    t.equal(validate({ text: 'x' }), true)
    t.equal(validate({}), false)
    return [new WeakRef(type), new WeakRef(type.data), new WeakRef(validate)]
  }
  const left = use()
  jobTypes.remove('a')
  // What a WeakRef was asked for lives until the end of the turn.
  await new Promise(setImmediate)
  collect()
  t.same(
    left.map((ref) => ref.deref()),
    [undefined, undefined, undefined],
  )
})
