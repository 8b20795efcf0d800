// `npm run audit`: compares the packages that Jobgate ships with known vulnerabilities; fails if one is high or critical.
// Not every registry offers audits: where it does not, this says so and passes.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const grave = ['high', 'critical']

/** What `npm audit --json` found. `report` is its parsed output, or null when it has none. */
export const toVerdict = (report) => {
  if (typeof report?.vulnerabilities !== 'object')
    return { kind: 'unavailable', reason: report?.message ?? report?.error?.summary ?? 'npm audit gave no report' }
  const found = Object.values(report.vulnerabilities).map(({ name, severity, range }) => ({ name, severity, range }))
  return { kind: found.some(({ severity }) => grave.includes(severity)) ? 'vulnerable' : 'passed', found }
}

const parse = (text) => {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { stdout } = spawnSync('npm', ['audit', '--package-lock-only', '--omit=dev', '--json'], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    encoding: 'utf8',
  })
  const verdict = toVerdict(parse(stdout))
  if (verdict.kind === 'unavailable') console.log(`Nothing was audited: the registry offers no audits (${verdict.reason}).`)
  else {
    for (const { name, severity, range } of verdict.found) console.log(`${severity}: ${name} ${range}`)
    console.log(`${verdict.found.length} vulnerable packages`)
    if (verdict.kind === 'vulnerable') process.exitCode = 1
  }
}
