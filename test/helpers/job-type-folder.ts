// A folder of modules as somebody would name it in JOB_TYPES_DIR; outside the checkout, and with nothing installed beside it.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestScope } from './start-redis.js'

/** `files` by their paths below it. Removed when the test ends. */
export const createJobTypeFolder = async (t: TestScope, files: Readonly<Record<string, string>> = {}) => {
  const dir = await mkdtemp(join(tmpdir(), 'jg-types-'))
  t.after(() => rm(dir, { recursive: true, force: true }))
  const write = async (name: string, source: string) => {
    await mkdir(dirname(join(dir, name)), { recursive: true })
    await writeFile(join(dir, name), source)
  }
  for (const [name, source] of Object.entries(files)) await write(name, source)
  return { dir, write }
}

/** The source of a module; `members` stand in place of those of a type that counts words. */
export const moduleSource = (name: string, members: Readonly<Record<string, string>> = {}): string => {
  const all = {
    name: `'${name}'`,
    description: "'Counts the words of a text.'",
    data: 'Type.Object({ text: Type.String({ maxLength: 1000 }) }, { additionalProperties: false })',
    result: 'Type.Object({ words: Type.Integer({ minimum: 0 }) }, { additionalProperties: false })',
    example: "{ text: 'one two' }",
    run: "({ text }) => ({ words: text.split(' ').length })",
    ...members,
  }
  const lines = Object.entries(all).map(([member, value]) => `  ${member}: ${value},\n`)
  return `import { defer, defineJobType, fail, retry, Type } from 'jobgate/job-type'\n\nexport default defineJobType({\n${lines.join('')}})\n`
}
