// What TypeScript makes of `jobgate/job-type` in a project that depends on Jobgate: types follow from schemas, and mistakes show.

import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'
import { ensureInstalled } from '../../scripts/ensure-installed.mjs'
import { createJobTypeFolder } from '../helpers/job-type-folder.js'
import { root } from '../helpers/source-files.js'

const closed = '{ additionalProperties: false }'

const good = `
import { defer, defineJobType, fail, retry, Type, type JobTypeContext, type Static } from 'jobgate/job-type'

const Data = Type.Object({ text: Type.String({ maxLength: 9 }), times: Type.Optional(Type.Integer()) }, ${closed})

const work = async (text: string, { signal, attempt, jobId }: JobTypeContext): Promise<number> => {
  signal.throwIfAborted()
  if (attempt > 1) throw retry('busy', jobId)
  return text.length
}

export const typeBox = defineJobType({
  name: 'type-box',
  description: 'TypeBox.',
  data: Data,
  result: Type.Object({ words: Type.Integer() }, ${closed}),
  example: { text: 'one' },
  defaults: { attempts: 5, backoff: { type: 'fixed', delayMs: 1 }, priority: 'low', timeoutMs: 1000 },
  compatibility: 'none',
  async run(data, ctx) {
    const typed: Static<typeof Data> = data
    const times: number | undefined = data.times
    if (times === 0) return fail('no_times', 'None.')
    if (times === 1) throw defer('later', 'Later.', 1000)
    await ctx.progress(50)
    ctx.log('half way')
    return { words: await work(typed.text, ctx) }
  },
})

export const jsonSchema = defineJobType({
  name: 'json-schema',
  description: 'JSON Schema.',
  data: { type: 'object', properties: { text: { type: 'string', maxLength: 9 } }, required: ['text'], additionalProperties: false },
  example: { text: 'one' },
  run(data: { text: string }) {
    return data.text.length
  },
})

export default defineJobType({ name: 'no-result', description: 'None.', data: Data, example: { text: '' }, async run() {} })
`

const define = (members: string) =>
  `defineJobType({ name: 'a-b', description: '.', data: Data, result: Result, example: { text: '' }, run: () => ({ words: 1 }), ${members} })`

/** Each on a line of its own, with a part of what TypeScript says. */
const mistakes: readonly (readonly [line: string, message: RegExp])[] = [
  [define('example: { text: 1 }'), /number.*is not assignable to type 'string'/],
  [define('example: {}'), /Property 'text' is missing/],
  [define('run: (data) => ({ words: data.words })'), /Property 'words' does not exist/],
  [define("run: () => ({ words: 'one' })"), /string.*is not assignable to type 'number'/],
  [define('run: async () => 1'), /number.*is not assignable/],
  [define('run: (data, ctx) => ({ words: ctx.integrations })'), /Property 'integrations' does not exist/],
  [define("queue: 'email'"), /'queue' does not exist/],
  [define('defaults: { retries: 1 }'), /'retries' does not exist/],
  [define("compatibility: 'forward'"), /"forward".*is not assignable/],
  ["fail('no_message')", /Expected 2 arguments/],
  ["defer('later', 'Later.')", /Expected 3 arguments/],
]

t.test('a project that depends on Jobgate', async (t) => {
  await ensureInstalled({ build: true })
  const { dir, write } = await createJobTypeFolder(t, {
    'package.json': '{ "type": "module" }',
    'good.ts': good,
    'bad.ts': [
      "import { defer, defineJobType, fail, Type } from 'jobgate/job-type'",
      `const [Data, Result] = [Type.Object({ text: Type.String() }), Type.Object({ words: Type.Integer() })] as const`,
      ...mistakes.map(([line]) => line),
    ].join('\n'),
  })
  await mkdir(join(dir, 'node_modules'))
  await symlink(root, join(dir, 'node_modules/jobgate'))
  await write('run.mjs', "import { fail } from 'jobgate/job-type'\nexport const { code } = fail('ab', '')\n")

  const program = ts.createProgram([join(dir, 'good.ts'), join(dir, 'bad.ts')], {
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: ['node'],
    typeRoots: [join(root, 'node_modules/@types')],
  })
  const found = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => ({
    file: file?.fileName.slice(dir.length + 1),
    line: file && start !== undefined ? file.getLineAndCharacterOfPosition(start).line + 1 : 0,
    text: ts.flattenDiagnosticMessageText(messageText, ' '),
  }))
  t.same(
    found.filter(({ file }) => file !== 'bad.ts'),
    [],
    'what is right compiles, and so do the declarations themselves',
  )
  for (const [index, [line, message]] of mistakes.entries()) {
    const told = found.filter((each) => each.line === index + 3).map(({ text }) => text)
    t.match(told.join('\n'), message, line)
  }
  t.match(await import(join(dir, 'run.mjs')), { code: 'ab' }, 'and at run time Node finds it as well')
})
