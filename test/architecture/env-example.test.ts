// Holds `.env.example` to the variables of all subjects: all of them, no others, in order, with the right defaults.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TSchema } from '@sinclair/typebox'
import t from 'tap'
import { allVariables } from '../../src/builtin/config.js'
import { root } from '../helpers/source-files.js'

/** `NAME=value` sets a default; `# NAME=` lists a variable that has none. */
const variable = /^(# )?([A-Z][A-Z0-9_]*)=(.*)$/

const lines = readFileSync(join(root, '.env.example'), 'utf8').split('\n')
const listed = lines.flatMap((line, index) => {
  const match = variable.exec(line)
  return match
    ? [{ name: match[2] as string, value: match[3] as string, commented: match[1] !== undefined, above: lines[index - 1] ?? '' }]
    : []
})
const known = Object.entries<TSchema>(allVariables)
const defaultOf = (schema: TSchema): string => (schema['default'] === undefined ? '' : String(schema['default']))

t.test('lists exactly the variables of all subjects, in their order', async (t) => {
  t.same(
    listed.map(({ name }) => name),
    known.map(([name]) => name),
  )
})

t.test('gives every default; what has none is commented out', async (t) => {
  const expected = known.map(([name, schema]) => ({ name, value: defaultOf(schema), commented: defaultOf(schema) === '' }))
  t.same(
    listed.map(({ name, value, commented }) => ({ name, value: value.replace(/^"(.*)"$/, '$1'), commented })),
    expected,
  )
})

t.test('says above each variable what it does', async (t) => {
  const expected = known.map(([name, schema]) => `${name}: # ${schema.description}`)
  t.same(
    listed.map(({ name, above }) => `${name}: ${above}`),
    expected,
  )
})
