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

/** What the YAML of a file that failed says beyond how it was started. */
const ofFile = /^ {2}(?:exitCode|signal|expired|error|message|timeout):/

/** The YAML behind the line `at`, whose indentation it shares; at most 40 lines. */
const causeOf = (lines, at, indent) => {
  if (lines[at + 1] !== `${indent}  ---`) return []
  const end = lines.indexOf(`${indent}  ...`, at)
  // A run that died in the middle leaves a cause without its end.
  return lines.slice(at + 1, Math.min(end === -1 ? lines.length : end, at + 40) + 1)
}

/**
 * What failed in one raw TAP file: the name of each file, and below it each `not ok` line with the YAML that explains it.
 * In: the text of the file. Out: its lines; a cause of more than 40 lines is cut.
 */
export const toFailures = (tap) => {
  const lines = tap.split('\n')
  const found = []
  let inFile = []
  for (const [at, line] of lines.entries()) {
    const [, indent, not, name] = /^( *)(not )?ok \d+(?: - (\S+))?/.exec(line) ?? []
    if (indent === undefined) continue
    const isFailure = not !== undefined && !/ # (SKIP|TODO)/.test(line)
    const cause = isFailure ? causeOf(lines, at, indent) : []
    if (indent !== '') inFile.push(...(isFailure ? [line, ...cause] : []))
    else {
      if (isFailure) found.push('', `=== ${name}`, ...inFile, ...cause.filter((each) => ofFile.test(each)))
      inFile = []
    }
  }
  return [...found, ...inFile]
}

/** The line of coverage of one raw TAP file, which tap compares with the thresholds of package.json; null without one. */
export const toCoverage = (tap) => {
  const cells = tap
    .match(/^All files .*$/m)?.[0]
    .split('|')
    .map((cell) => cell.trim())
  if (cells === undefined) return null
  const [, statements, branches, functions, lines] = cells
  return `coverage in %: statements ${statements}, branches ${branches}, functions ${functions}, lines ${lines}`
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
