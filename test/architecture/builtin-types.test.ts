// Holds src/builtin/builtin.ts to the job types beside it: every file listed, and named as its type.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { builtinTypes } from '../../src/builtin/builtin.js'
import { validatorCompilers } from '../../src/types/validator.js'
import { root } from '../helpers/source-files.js'

/** What job types are made of stands beside them, and exports none. */
const beside = new Set(['recording-source.ts', 'analysis-schema.ts', 'meeting-id.ts'])

/** One file a job type. */
const files = ['meeting', 'email', 'external'].flatMap((area) =>
  readdirSync(join(root, 'src/builtin', area))
    .filter((name) => name.endsWith('.ts') && !beside.has(name))
    .map((name) => ({ area, name: name.replace(/\.ts$/, '') })),
)
const names = files.map(({ name }) => name).sort()

t.test('lists every file of a job type once, under the name of its file', async (t) => {
  t.same(builtinTypes.map(({ name }) => name).sort(), names)
})

t.test('every type has a file of its own that exports it and nothing else of the kind', async (t) => {
  for (const { area, name } of files) {
    const exported = Object.values(await import(`../../src/builtin/${area}/${name}.js`)).filter((each) =>
      builtinTypes.includes(each as never),
    )
    t.same(
      exported.map((each) => (each as { name: string }).name),
      [name],
    )
  }
})

t.test('the schemas of every type are JSON Schemas', async (t) => {
  const compile = validatorCompilers({})
  for (const { name, data, result, example } of builtinTypes) {
    const validate = compile({ schema: data })
    t.equal(validate(example), true, `${name}: its example fits`)
    t.type(compile({ schema: result }), 'function', name)
  }
})

t.test('OAS-4 every type has an example ready to send in the document', async (t) => {
  const document = JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8'))
  const { examples } = document.paths['/v1/jobs'].post.requestBody.content['application/json']
  t.same(Object.keys(examples).sort(), names)
  for (const { name, example } of builtinTypes) t.same(examples[name].value, { type: name, data: example })
  const recurring = document.paths['/v1/schedules/{id}'].put.requestBody.content['application/json'].examples
  t.same(Object.keys(recurring).sort(), names)
})
