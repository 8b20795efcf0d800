// `jobgate types` against a gateway: register, look, check, delete, and TypeScript types that compile.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import ts from 'typescript'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { runClientCommand } from '../../src/cli/cli.js'
import { toTypeScript } from '../../src/cli/typescript-types.js'
import { adminKey, buildTestApp } from '../helpers/build-test-app.js'

const closedObject = (properties: object, required: readonly string[] = []) => ({
  type: 'object',
  properties,
  required,
  additionalProperties: false,
})
const source = { type: 'string', maxLength: 200, description: 'Where it is. */ process.exit(1) /*' }
const width = { type: 'integer', minimum: 1, maximum: 4000 }
const resize = (properties: object = { source, width }, more: object = {}) => ({
  description: 'Makes a smaller copy of an image.',
  data: closedObject(properties, ['source', 'width']),
  result: closedObject({ bytes: { type: 'integer' } }, ['bytes']),
  example: { source: 'cat.png', width: 640 },
  runs: { by: 'pull' },
  ...more,
})

const open = async (t: Test) => {
  const { app } = await buildTestApp(t, { types: builtinTypes, env: { WORKERS_ENABLED: 'false' } })
  const url = await app.listen({ host: '127.0.0.1', port: 0 })
  const dir = await mkdtemp(join(tmpdir(), 'jg-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const runAs =
    (apiKey: string, stdin = '') =>
    async (...args: string[]) => {
      let out = ''
      let err = ''
      const terminal = {
        out: (text: string) => {
          out += `${text}\n`
        },
        err: (text: string) => {
          err += text
        },
        isInteractive: false,
        stdin: async () => stdin,
      }
      const code = await runClientCommand('types', args, { settings: () => ({ url, apiKey }), terminal })
      return { code, out: out.replaceAll(dir, ''), err: err.replaceAll(dir, '') }
    }
  const write = async (name: string, body: unknown) => {
    const path = join(dir, name)
    await writeFile(path, JSON.stringify(body))
    return path
  }
  return { dir, run: runAs(adminKey), runAs, write }
}

t.test('register, look, check, delete', async (t) => {
  const { run, runAs, write } = await open(t)
  const file = await write('resize-image.json', resize())
  t.match(await run('check', file, '--remote'), {
    code: 0,
    out: '/resize-image.json is fine: it would be version 1 of resize-image.\n',
    err: '',
  })
  t.match(await run('get', 'resize-image'), { code: 3, err: /no job type/ }, 'a check stores nothing')
  t.same(await run('put', file), { code: 0, out: 'resize-image is registered, version 1.\n', err: '' })
  t.match(await run('list'), { code: 0, out: /^type +version.*\n(.*\n)*resize-image +1 +resize-image +pull +no\n$/ })
  t.match(await run(), { code: 0, out: /send-sms +1 +external-api +built in +no/ })
  t.match(await run('get', 'resize-image'), { code: 0, out: /^type +resize-image\nversion +1\n(.*\n)+data\n\{\n/ })
  t.match(JSON.parse((await run('get', 'resize-image', '--json')).out), { type: 'resize-image', version: 1, resultSchema: {} })
  t.same(JSON.parse((await run('get', 'resize-image', '--definition')).out), resize())
  t.match(await run('get', 'send-sms', '--definition'), { code: 3, err: /no stored versions/ })

  const wider = await write('wider.json', resize({ source, width, fit: { enum: ['crop', 'pad'] } }))
  t.match(await run('put', wider, '--name', 'resize-image'), { code: 0, out: /version 2/ })
  const warned = await write('warned.json', resize({ source, width, fit: { enum: ['crop', 'pad', 'fill'] } }))
  t.match(await run('put', warned, '--name', 'resize-image'), { code: 0, out: /version 3\.\nwarning: #\/data\/fit / })
  const narrower = await write(
    'narrower.json',
    resize({ source, width: { ...width, maximum: 1000 }, fit: { enum: ['crop', 'pad', 'fill'] } }),
  )
  for (const action of [['put'], ['check', '--remote']]) {
    const refused = await run(...action, narrower, '--name', 'resize-image')
    t.equal(refused.code, 3)
    t.match(refused.err, /\(409\)\n(.*\n)*.*#\/data\/width allowed larger numbers than 1000/)
    t.match(refused.err, /For example, this was fine and no longer is:\n {2}\{.*"width":\d{4}/)
  }
  t.match(JSON.parse((await run('put', narrower, '--name', 'resize-image', '--json')).err), {
    status: 409,
    counterexample: { width: Number },
  })
  const closed = await write('open.json', resize(undefined, { data: { type: 'object', properties: {} } }))
  t.match(await run('put', closed), { code: 3, err: /#\/data must be closed: add/ })
  t.match(await runAs('jg_no_key')('put', file), { code: 3, err: /JOBGATE_API_KEY/ })

  const piped = runAs(adminKey, JSON.stringify(resize()))
  t.match(await piped('put', '-'), { code: 2, err: /add --name/ })
  t.match(await piped('put', '-', '--name', 'piped'), { code: 0, out: 'piped is registered, version 1.\n' })
  t.match(await run('check', file, '--remote', '--against', file), { code: 2, err: /--against compares files/ })
  t.match(await run('put', '/nowhere.json'), { code: 2, err: /cannot be read: ENOENT/ })
  t.match(await run('put'), { code: 2, err: /put takes one argument/ })
  t.same(await run('delete', 'piped'), { code: 0, out: '', err: '' })
  t.match(await run('delete', 'piped'), { code: 3, err: /no job type/ })
  t.match(await run('delete', 'send-sms'), { code: 3, err: /built in/ })
})

/** What the compiler says of files that import each other. */
const compile = (files: readonly string[]): string[] => {
  const options: ts.CompilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    module: ts.ModuleKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: [],
  }
  const found = ts.getPreEmitDiagnostics(ts.createProgram([...files], options))
  return found.map(({ file, messageText }) => `${file?.fileName}: ${ts.flattenDiagnosticMessageText(messageText, '\n')}`)
}

const odd = {
  $defs: {
    'Size[int]': closedObject({ width }, ['width']),
    Crop: closedObject({ kind: { const: 'crop' }, size: { $ref: '#/$defs/Size%5Bint%5D' } }, ['kind', 'size']),
    Fit: closedObject({ kind: { const: 'fit' } }, ['kind']),
  },
  ...closedObject(
    {
      how: { oneOf: [{ $ref: '#/$defs/Crop' }, { $ref: '#/$defs/Fit' }] },
      'two words': { type: ['string', 'null'], maxLength: 5 },
      labels: { type: 'object', additionalProperties: { type: 'number' }, maxProperties: 9, properties: { main: { type: 'integer' } } },
      pair: { type: 'array', prefixItems: [{ type: 'string', maxLength: 5 }, { enum: [1, 'a', null] }], items: false, minItems: 1 },
      many: { type: 'array', items: { anyOf: [{ type: 'boolean' }, { type: 'null' }] }, maxItems: 3 },
      empty: closedObject({}),
    },
    ['how'],
  ),
}

const program = `import type { JobSubmission, JobTypes } from './types.js'
const all: JobSubmission[] = [
  { type: 'resize-image', data: { source: 'a', width: 1 } },
  { type: 'send-verification-email', data: { to: 'a@example.com', verificationCode: '123456' } },
  {
    type: 'ab-1',
    data: {
      how: { kind: 'crop', size: { width: 1 } },
      'two words': null,
      labels: { main: 1, other: 2.5 },
      pair: ['a', null],
      many: [true, null],
      empty: {},
    },
  },
  { type: 'ab-1', data: { how: { kind: 'fit' }, pair: ['a'] } },
  { type: 'a-b1', data: { m: 'x' } },
]
export const bytes = ({ bytes }: JobTypes['resize-image']['result']): number => bytes
export const widthOf = (job: JobSubmission): number =>
  job.type === 'resize-image' ? job.data.width : job.type === 'ab-1' && job.data.how.kind === 'crop' ? job.data.how.size.width : 0
// @ts-expect-error another type's data
export const wrong: JobSubmission = { type: 'resize-image', data: { m: 'x' } }
// @ts-expect-error no such type
export const unknownType: JobSubmission = { type: 'nothing', data: {} }
// @ts-expect-error a member that is not there
export const more: JobSubmission<'a-b1'> = { type: 'a-b1', data: { m: 'x', n: 1 } }
// @ts-expect-error not one of the values
export const value: JobTypes['ab-1']['data'] = { how: { kind: 'fill' } }
// @ts-expect-error not of the length
export const pair: JobTypes['ab-1']['data'] = { how: { kind: 'fit' }, pair: ['a', 1, 2] }
export default all
`

t.test('pull: what is written compiles, and knows the types', async (t) => {
  const { dir, run, write } = await open(t)
  await run('put', await write('resize-image.json', resize()))
  await run('put', await write('ab-1.json', resize(undefined, { data: odd, example: { how: { kind: 'fit' } } })))
  await run('put', await write('a-b1.json', resize(undefined, { data: closedObject({ m: source }, ['m']), example: { m: 'a' } })))
  const out = join(dir, 'types.ts')
  t.same(await run('pull', '--out', out), { code: 0, out: '', err: '' })
  await writeFile(join(dir, 'program.ts'), program)
  t.same(compile([join(dir, 'program.ts'), out]), [])

  const printed = await run('pull', 'resize-image')
  t.match(printed.out, /interface ResizeImageData \{/)
  t.notMatch(printed.out, /SendSms|A_B|AB1/)
  t.equal((await run('pull')).out, await readFile(out, 'utf8'))
  t.match(await run('pull', 'nothing'), { code: 3, err: /no job type "nothing"/ })
  t.match(await run('pull', '--out', join(dir, 'nowhere', 'x.ts')), { code: 2, err: /cannot be written/ })
})

t.test('the order of job types changes nothing', async (t) => {
  const described = ['a-b1', 'ab-1'].map((type) => ({ type, version: 1, description: type, dataSchema: odd, resultSchema: null }))
  t.equal(toTypeScript(described), toTypeScript(described.toReversed()))
})
