// Job types from modules: what a folder of them declares, what becomes of an attempt, and every way in which a module can be broken.

import t, { type Test } from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { toJobType } from '../../src/types/contracts/own-type.js'
import type { JobContext, JobOutcome } from '../../src/types/definition.js'
import type { DeclaredType } from '../../src/types/modules/declare.js'
import { loadTypeModules } from '../../src/types/modules/load.js'
import { createJobTypes, dataProblems, type RegisteredType } from '../../src/types/registry.js'
import { createJobTypeFolder, moduleSource } from '../helpers/job-type-folder.js'

const plain = `export default (await import('jobgate/job-type')).defineJobType({
  name: 'from-js',
  description: 'Plain JSON Schema.',
  data: { type: 'object', properties: { site: { type: 'string', format: 'uri' } }, required: ['site'], additionalProperties: false },
  example: { site: 'https://example.com/' },
  defaults: { attempts: 7, backoff: { type: 'fixed', delayMs: 10 }, timeoutMs: 500, priority: 'low' },
  compatibility: 'none',
  run: () => undefined,
})
`

const toType = ({ name, body, run }: DeclaredType) => ({ ...toJobType(name, body, []), run })

t.test('a folder of modules', async (t) => {
  const { dir } = await createJobTypeFolder(t, {
    'word-count.mjs': `import { limit } from './lib/limit.mjs'\n${moduleSource('word-count', { run: '() => ({ words: limit })' })}`,
    'from-js.js': plain,
    'package.json': '{ "type": "module" }',
    'lib/limit.mjs': "import { fail } from 'jobgate/job-type'\nexport const limit = typeof fail === 'function' ? 42 : 0\n",
    'types.d.ts': 'export {}',
    '.hidden.mjs': 'throw new Error()',
    'notes.md': '# Notes',
  })
  const jobTypes = createJobTypes(builtinTypes)
  const declared = await loadTypeModules(dir, jobTypes)

  t.same(
    declared.map(({ name, file }) => [name, file]),
    [
      ['from-js', 'from-js.js'],
      ['word-count', 'word-count.mjs'],
    ],
    'every module, in the order of their names, and nothing else',
  )
  const [fromJs, wordCount] = declared as [DeclaredType, DeclaredType]
  const types = declared.map(toType)
  jobTypes.replace(types.map((type) => ({ type, version: 1 })))
  t.match(jobTypes.find('word-count'), {
    defaults: { priority: 'normal', timeoutMs: 60_000 },
    requires: [],
    registered: { runs: { by: 'module' }, compatibility: 'backward' },
  })
  t.match(toType(fromJs), {
    defaults: { attempts: 7, backoff: { type: 'fixed', delayMs: 10 }, timeoutMs: 500, priority: 'low' },
    registered: { compatibility: 'none' },
  })
  t.same(
    wordCount?.body,
    {
      description: 'Counts the words of a text.',
      data: {
        type: 'object',
        properties: { text: { type: 'string', maxLength: 1000 } },
        required: ['text'],
        additionalProperties: false,
      },
      result: {
        type: 'object',
        properties: { words: { type: 'integer', minimum: 0 } },
        required: ['words'],
        additionalProperties: false,
      },
      example: { text: 'one two' },
      runs: { by: 'module' },
    },
    'what a client would PUT',
  )
  t.same(Object.getOwnPropertySymbols(wordCount?.body['data'] as object), [], 'without the notes of TypeBox')

  const problems = (name: string, data: unknown) => dataProblems(jobTypes.get(name) as RegisteredType, data)
  t.same(problems('word-count', { text: 'x' }), [])
  t.match(problems('word-count', { text: 1 }), [{ pointer: '#/data/text' }])
  t.match(problems('from-js', { site: 'nowhere' }), [{ pointer: '#/data/site', detail: /uri/ }], 'as a contract, formats included')

  t.same(await wordCount.run({ text: 'x' }, context()), { kind: 'done', result: { words: 42 } }, 'modules below it are found')
})

t.test('no folder, no modules', async (t) => {
  const jobTypes = createJobTypes()
  t.same(await loadTypeModules(undefined, jobTypes), [])
  const { dir } = await createJobTypeFolder(t)
  t.same(await loadTypeModules(dir, jobTypes), [])
  t.same(jobTypes.all, [])
})

/** By the name of the file: its source, and the reason that the start gives. */
const broken: readonly (readonly [name: string, source: string, reason: RegExp])[] = [
  ['syntax.mjs', 'export default {\n  name: }\n', /^SyntaxError: Unexpected token '}'/],
  ['import.mjs', "import 'no-such-package'\nexport default 1\n", /^Error: Cannot find package 'no-such-package'/],
  ['export.mjs', "import { define } from 'jobgate/job-type'\n", /^SyntaxError: .*does not provide an export named 'define'/],
  ['throws.mjs', "throw new RangeError('too much\\nat once')", /^RangeError: too much$/],
  ['odd.mjs', "throw 'odd'", /^throws odd when it is loaded$/],
  ['none.mjs', 'export const a = 1', /^has no default export$/],
  ['object.mjs', "export default { name: 'a' }", /^its default export is not made by defineJobType/],
  ['function.mjs', 'export default () => {}', /^its default export is not made by defineJobType/],
  ['name.mjs', moduleSource('No Name'), /^its name must be 2 to 63 lowercase letters/],
  ['long.mjs', moduleSource('a'.repeat(64)), /^its name must be/],
  ['clash.mjs', moduleSource('send-sms'), /^send-sms is the name of a built-in job type$/],
  ['reserved.mjs', moduleSource('metrics'), /^metrics is a reserved name$/],
  ['run.mjs', moduleSource('ab', { run: '42' }), /^run must be a function$/],
  ['runs.mjs', moduleSource('ab', { runs: "{ by: 'pull' }" }), /^runs is not a member of a module/],
  ['member.mjs', moduleSource('ab', { queue: "'email'" }), /^#\/queue is not a known member$/],
  ['missing.mjs', moduleSource('ab', { description: 'undefined' }), /^#\/description is missing$/],
  [
    'contract.mjs',
    moduleSource('ab', { data: 'Type.Object({ text: Type.String() })' }),
    /^#\/data must be closed: add.*; #\/data\/properties\/text must be bounded: add/,
  ],
  ['result.mjs', moduleSource('ab', { result: 'Type.Array(Type.Null())' }), /^#\/result must be bounded: add maxItems$/],
  ['example.mjs', moduleSource('ab', { example: '{ text: 1 }' }), /^#\/example\/text must be string$/],
  ['defaults.mjs', moduleSource('ab', { defaults: '{ attempts: 99 }' }), /^#\/defaults\/attempts must be <= 25$/],
  ['big.mjs', moduleSource('ab', { example: '{ text: 1n }' }), /^its members other than run must be JSON$/],
]

t.test('a broken module stops the start with one line that names it', async (t) => {
  for (const [name, source, reason] of broken) {
    const { dir } = await createJobTypeFolder(t, { [name]: source, 'fine.mjs': moduleSource('fine') })
    const jobTypes = createJobTypes(builtinTypes)
    const message = await loadTypeModules(dir, jobTypes).then(
      () => 'nothing was wrong',
      (error: Error) => error.message,
    )
    t.notMatch(message, /\n/, name)
    t.equal(message.slice(0, `JOB_TYPES_DIR: ${name}: `.length), `JOB_TYPES_DIR: ${name}: `)
    t.match(message.slice(`JOB_TYPES_DIR: ${name}: `.length), reason)
    t.equal(jobTypes.all.length, builtinTypes.length, 'and nothing is registered')
  }
})

t.test('a name twice, a module that never loads, a folder that is not there, TypeScript where Node cannot run it', async (t) => {
  const { dir } = await createJobTypeFolder(t, { 'one.mjs': moduleSource('same'), 'two.mjs': moduleSource('same') })
  await t.rejects(loadTypeModules(dir, createJobTypes()), {
    message: 'JOB_TYPES_DIR: two.mjs: same is already the name of the job type in one.mjs',
  })
  await t.rejects(loadTypeModules(`${dir}/none`, createJobTypes()), { message: `JOB_TYPES_DIR: cannot read ${dir}/none (ENOENT)` })
  const waits = await createJobTypeFolder(t, { 'waits.mjs': 'export default await new Promise(() => {})' })
  await t.rejects(loadTypeModules(waits.dir, createJobTypes(), { loadMs: 1 }), {
    message: 'JOB_TYPES_DIR: waits.mjs: does not finish loading within 1 ms',
  })
  const typed = await createJobTypeFolder(t, { 'typed.ts': moduleSource('typed') })
  await t.rejects(loadTypeModules(typed.dir, createJobTypes(), { stripsTypes: false }), {
    message: /^JOB_TYPES_DIR: typed.ts: TypeScript needs Node.js 22.18 or newer; this is \d+/,
  })
})

/** What a handler is given, and what it told. */
const context = () => {
  const told: unknown[] = []
  const ctx: JobContext & { told: unknown[] } = {
    told,
    jobId: 'ab_1',
    createdAt: 5,
    attempt: 2,
    maxAttempts: 3,
    signal: new AbortController().signal,
    log: (line) => told.push(line),
    progress: async (value) => {
      told.push(value)
      throw new Error('Redis is away')
    },
    marker: { read: async () => ({ state: 'none' }), begin: async () => {}, done: async () => {}, clear: async () => {} },
    isExpired: false,
    integrations: { mail: 'secret' },
  }
  return ctx
}

const runOf = async (t: Test, members: Readonly<Record<string, string>>) => {
  const { dir } = await createJobTypeFolder(t, { 'ab.mjs': moduleSource('ab', members) })
  const [declared] = await loadTypeModules(dir, createJobTypes())
  if (!declared) throw new Error('nothing was declared')
  return (data: unknown = { text: 'one two' }, ctx = context()): Promise<JobOutcome> => declared.run(data, ctx)
}

t.test('what run returns or throws', async (t) => {
  const outcome = async (run: string, members: Readonly<Record<string, string>> = {}) => (await runOf(t, { run, ...members }))()
  t.same(await outcome('({ text }) => ({ words: text.length })'), { kind: 'done', result: { words: 7 } })
  t.same(await outcome('async () => ({ words: 1 })'), { kind: 'done', result: { words: 1 } })
  t.same(await outcome("() => { throw fail('no_words', 'None.') }"), { kind: 'fail', code: 'no_words', message: 'None.', retryable: false })
  t.same(
    await outcome("async () => fail('no_words', 'None.')"),
    { kind: 'fail', code: 'no_words', message: 'None.', retryable: false },
    'returned alike',
  )
  t.same(await outcome("async () => { throw retry('api.busy', 'Later.') }"), {
    kind: 'retry',
    code: 'api.busy',
    message: 'Later.',
    retryable: true,
  })
  t.same(await outcome("() => { throw defer('limited', 'Soon.', 250) }"), {
    kind: 'defer',
    code: 'limited',
    message: 'Soon.',
    afterMs: 250,
  })
  await t.rejects(outcome("() => { throw new Error('a bug') }"), { message: 'a bug' }, 'left to the attempt')
  for (const wrong of ["fail('Not A Code', '')", "defer('ab', '', -1)", "retry('x'.repeat(65), '')"])
    await t.rejects(outcome(`() => { throw ${wrong} }`), TypeError, wrong)
  const own = await outcome('function () { return { words: this.answer() } }', { answer: '() => 42' })
  t.same(own, { kind: 'done', result: { words: 42 } }, 'called on the definition')
})

t.test('results are checked as they are stored', async (t) => {
  const outcome = async (run: string, result = 'undefined') => (await runOf(t, { run, result }))()
  t.same(await outcome('() => {}'), { kind: 'done', result: null })
  t.same(await outcome('() => ({ at: new Date(0), left: undefined })'), { kind: 'done', result: { at: '1970-01-01T00:00:00.000Z' } })
  const result = 'Type.Object({ words: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })'
  const start = 'The handler is done, but its result does not match the result schema of the job type.'
  for (const [run, rest] of [
    ['() => ({ words: -1 })', '#/words must be >= 0.'],
    ["() => ({ words: 1, secret: 'value' })", '#/secret is not a known member.'],
    ['() => {}', '# must be object.'],
    ['() => ({ words: 1n })', 'It cannot be written as JSON.'],
  ])
    t.same(await outcome(run as string, result), { kind: 'fail', code: 'invalid_result', message: `${start} ${rest}` })
})

t.test('data of an earlier version', async (t) => {
  const data = `Type.Object({
    text: Type.String({ maxLength: 9 }), times: Type.Integer({ minimum: 1, default: 2 }),
  }, { additionalProperties: false })`
  const run = await runOf(t, { data, example: "{ text: 'x', times: 1 }", run: '(data) => data', result: 'undefined' })
  t.same(await run({ text: 'old' }), { kind: 'done', result: { text: 'old', times: 2 } }, 'get the defaults of this one')
  const misfit = await run({ text: 'far too long' })
  t.match(misfit, { kind: 'fail', code: 'invalid_data', message: /#\/text must NOT have more than 9 characters\.$/ })
})

t.test('what run is given', async (t) => {
  const run = await runOf(t, {
    result: 'undefined',
    run: `(data, ctx) => {
      ctx.log('half way')
      ctx.progress(50)
      ctx.progress({ step: 'last' })
      const { signal, log, progress, ...rest } = ctx
      return { ...rest, isSignal: signal instanceof AbortSignal }
    }`,
  })
  const ctx = context()
  t.same(await run(undefined, ctx), {
    kind: 'done',
    result: { jobId: 'ab_1', createdAt: 5, attempt: 2, maxAttempts: 3, isSignal: true },
  })
  t.same(ctx.told, ['half way', 50, { step: 'last' }], 'and that Redis is away is no unhandled rejection')
  for (const wrong of ['101', '-1', 'NaN', "'50'", 'null', '[]']) {
    const wrongly = await runOf(t, { run: `(data, ctx) => { ctx.progress(${wrong}) }` })
    await t.rejects(wrongly(), TypeError, wrong)
  }
})
