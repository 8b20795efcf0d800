// Reads what tap wrote and closes a test run: what failed, and one line of counts.

import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

/**
 * The counts of one raw TAP file, from its last summary comment, such as `# { total: 3, pass: 2, fail: 1 }`.
 * In: the text of the file. Out: null without a summary; todo counts as skipped.
 */
export const toCounts = (tap) => {
  const summary = [...tap.matchAll(/^# \{ (total: \d+[^}]*) \}$/gm)].at(-1)?.[1]
  if (summary === undefined) return null
  const count = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary)?.[1] ?? 0)
  return { total: count('total'), passed: count('pass'), failed: count('fail'), skipped: count('skip') + count('todo') }
}

/**
 * What failed in one raw TAP file: each `not ok` line with the YAML that explains it, the test before the file it is in.
 * In: the text of the file. Out: its lines; a cause of more than 40 lines is cut.
 */
export const toFailures = (tap) => {
  const lines = tap.split('\n')
  return lines.flatMap((line, at) => {
    const indent = /^( *)not ok /.exec(line)?.[1]
    if (indent === undefined || / # (SKIP|TODO)/.test(line)) return []
    const opens = lines[at + 1] === `${indent}  ---`
    const end = opens ? lines.indexOf(`${indent}  ...`, at) : at
    // A run that died in the middle leaves a cause without its end.
    return lines.slice(at, Math.min(end === -1 ? lines.length : end, at + 40) + 1)
  })
}

const read = (path) => {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error.code === 'ENOENT') return ''
    throw error
  }
}

/**
 * Prints what failed, in a long run far from the end otherwise, and `N passed, N failed, N skipped`, summed over raw TAP files.
 * Returns 0 when all is well, 1 with a failure or without a single test, 2 when a file has no summary.
 */
export const printCounts = (paths) => {
  const texts = paths.map(read)
  for (const line of texts.flatMap(toFailures)) console.log(line)
  const all = texts.map(toCounts)
  const sum = (name) => all.reduce((total, each) => total + (each?.[name] ?? 0), 0)
  console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped`)
  if (all.includes(null)) return 2
  return sum('failed') > 0 || sum('total') === 0 ? 1 : 0
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const paths = process.argv.slice(2)
  process.exitCode = printCounts(paths.length > 0 ? paths : ['.tap/raw.tap'])
}
