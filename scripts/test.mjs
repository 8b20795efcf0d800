// `npm test`: installs what a bare checkout lacks, runs tap, says how far it is, and closes with what failed and the line of counts.
// It leaves out test/e2e, whose tests take minutes; `npm test -- --all` runs them too.
// `npm test -- test/idempotency/fingerprint.test.ts` runs single files or folders, without the coverage thresholds.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printCounts, toCoverage } from './test-counts.mjs'
import { showProgress } from './test-progress.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    /** Runs test/e2e as well. */
    all: { type: 'boolean', default: false },
    /** Where the raw TAP goes. */
    output: { type: 'string', default: '.tap/raw.tap' },
    /** Leaves the closing line to the caller, which sums several runs. */
    'no-counts': { type: 'boolean', default: false },
  },
})

/** A folder stands for the tests in it, without their helpers. */
const toFiles = (path) => (path.endsWith('.ts') ? path : `${path}/**/*.test.ts`)

const run = (file, args) => {
  const { status, signal, error } = spawnSync(process.execPath, [file, ...args], { stdio: 'inherit' })
  if (error) throw error
  return signal ? 1 : (status ?? 1)
}

const installed = run('scripts/ensure-installed.mjs', ['--redis', '--build'])
if (installed !== 0) {
  if (!values['no-counts']) console.log('0 passed, 0 failed, 0 skipped')
  process.exit(installed)
}

mkdirSync('.tap', { recursive: true })
// A run that dies before its first test must not be counted by the file of the run before.
rmSync(values.output, { force: true })

/** tap's own reporters repaint the terminal and repeat the summary, so its raw TAP is kept and what it tells is shown. */
const runTap = async (args) => {
  const tap = ['node_modules/tap/dist/esm/run.mjs', 'run', '--reporter=tap']
  const child = spawn(process.execPath, [...tap, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const raw = createWriteStream(values.output)
  const progress = showProgress()
  child.stdout.pipe(raw)
  child.stdout.setEncoding('utf8').on('data', progress.write)
  const [[status]] = await Promise.all([once(child, 'close'), once(raw, 'close')])
  progress.close()
  return status ?? 1
}

const isPart = positionals.length > 0
const whatRuns = isPart
  ? ['--disable-coverage', '--allow-empty-coverage', '--allow-incomplete-coverage', ...positionals.map(toFiles)]
  : values.all
    ? []
    : ['--exclude=test/e2e/**']
const tap = await runTap(whatRuns)
const coverage = toCoverage(readFileSync(values.output, 'utf8'))
if (coverage !== null) console.log(coverage)
const counts = values['no-counts'] ? 0 : printCounts([values.output])
// tap's own code comes first: coverage below a threshold is in no count.
process.exitCode = tap || counts
