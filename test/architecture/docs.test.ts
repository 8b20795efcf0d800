// Holds the documentation to the tree: every source file that a page names is there.

import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { root } from '../helpers/source-files.js'

const pages = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => join('docs', name)),
]
const sourcePath = /\b(?:src|test|scripts|bench)\/[\w./-]+\.(?:ts|mjs)\b/g

t.test('every source file that a page names exists', async (t) => {
  const named = pages.flatMap((page) =>
    Array.from(readFileSync(join(root, page), 'utf8').matchAll(sourcePath), ([path]) => ({ page, path })),
  )
  t.ok(named.length > 0)
  t.same(
    named.filter(({ path }) => !existsSync(join(root, path))),
    [],
  )
})

t.test('every attack that docs/security.md names is in the suite, and every one of the suite is named', async (t) => {
  const named = Array.from(
    readFileSync(join(root, 'docs/security.md'), 'utf8').matchAll(/\battacks? ((?:`[a-z-]+`(?:, )?)+)/g),
    ([, ids = '']) => Array.from(ids.matchAll(/[a-z-]+/g), ([id]) => id),
  ).flat()
  const folder = join(root, 'test/attacks/rows')
  const tried = readdirSync(folder).flatMap((name) => /^ {2}id: '([a-z-]+)'/m.exec(readFileSync(join(folder, name), 'utf8'))?.[1] ?? [])
  t.ok(tried.length > 20)
  t.same([...new Set(named)].sort(), tried.sort())
})
