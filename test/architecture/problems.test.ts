// Holds the tables of problems and of job errors: every kind named as agreed and documented for its reader.

import t from 'tap'
import { builtinErrors } from '../../src/builtin/job-errors.js'
import { type ProblemKind, problems } from '../../src/http/problems/problem-types.js'
import type { JobErrorKind } from '../../src/types/job-errors.js'
import { readSource } from '../helpers/source-files.js'

const isSentence = (text: string) => /^[A-Z`].*[.]$/.test(text)

for (const [name, kind] of Object.entries<ProblemKind>(problems)) {
  t.test(`problem ${name}`, async (t) => {
    t.match(name, /^[a-z]+(-[a-z]+)*$/, 'kebab-case')
    t.ok(kind.status >= 400 && kind.status <= 599, 'an error status')
    t.match(kind.title, /^[A-Z].*[^.]$/, 'a title without a full stop')
    t.ok(isSentence(kind.remedy), 'a remedy in whole sentences')
    if (kind.type !== undefined) t.ok(URL.canParse(kind.type), 'a registered type is a full URI')
  })
}

for (const [code, kind] of Object.entries<JobErrorKind>(builtinErrors)) {
  t.test(`job error ${code}`, async (t) => {
    t.match(code, /^([a-z][a-z0-9]*(_[a-z0-9]+)*\.)?[a-z]+(_[a-z0-9]+)*$/, 'snake_case, the integration in front')
    t.ok(isSentence(kind.meaning), 'a meaning in whole sentences')
    t.type(kind.retryable, 'boolean')
  })
}

t.test('every kind is used somewhere', async (t) => {
  const source = readSource()
    .filter(({ path }) => path !== 'http/problems/problem-types.ts' && !path.endsWith('/job-errors.ts'))
    .map(({ text }) => text)
    .join('\n')
  const unused = [...Object.keys(problems), ...Object.keys(builtinErrors)].filter((name) => !source.includes(`'${name}'`))
  t.same(unused, [])
})
