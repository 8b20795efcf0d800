// Holds src/catalog.ts to src/job-types: every file listed, and named as its type.

import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createCatalog, jobTypes } from '../../src/catalog.js'
import { root } from '../helpers/source-files.js'

const files = readdirSync(join(root, 'src/job-types'))
  .filter((name) => name.endsWith('.ts'))
  .map((name) => name.replace(/\.ts$/, ''))
  .sort()

t.test('lists every file of src/job-types once, under the name of its file', async (t) => {
  t.same(jobTypes.map(({ name }) => name).sort(), files)
})

t.test('every type has a file of its own that exports it and nothing else of the kind', async (t) => {
  for (const name of files) {
    const exported = Object.values(await import(`../../src/job-types/${name}.js`)).filter((each) => jobTypes.includes(each as never))
    t.same(
      exported.map((each) => (each as { name: string }).name),
      [name],
    )
  }
})

t.test('finds a type by name, and nothing by another', async (t) => {
  const catalog = createCatalog()
  for (const type of jobTypes) t.equal(catalog.find(type.name), type)
  t.equal(catalog.find('no-such-type'), undefined)
  t.equal(catalog.find('constructor'), undefined)
})

t.test('OAS-4 every type has an example ready to send in the document', async (t) => {
  const document = JSON.parse(readFileSync(join(root, 'openapi/openapi.json'), 'utf8'))
  const { examples } = document.paths['/v1/jobs'].post.requestBody.content['application/json']
  t.same(Object.keys(examples).sort(), files)
  for (const { name, example } of jobTypes) t.same(examples[name].value, { type: name, data: example })
  const recurring = document.paths['/v1/schedules/{id}'].put.requestBody.content['application/json'].examples
  t.same(Object.keys(recurring).sort(), files)
})
