// `npm test`: installs what a bare checkout lacks, runs tap, and closes with the line of counts.
// `npm test -- test/idempotency/fingerprint.test.ts` runs single files or folders, without the coverage thresholds.

import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { printCounts } from './test-counts.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
process.chdir(root)

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
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

/** On a terminal tap paints; elsewhere only its `tap` reporter prints plain lines, but doubles them beside `--output-file`. */
const runTap = async (args) => {
  const tap = ['node_modules/tap/dist/esm/run.mjs', 'run']
  if (process.stdout.isTTY) return run(tap[0], [tap[1], '--reporter=base', `--output-file=${values.output}`, ...args])
  const child = spawn(process.execPath, [...tap, '--reporter=tap', ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  const raw = createWriteStream(values.output)
  child.stdout.pipe(raw)
  child.stdout.pipe(process.stdout, { end: false })
  const [[status]] = await Promise.all([once(child, 'close'), once(raw, 'close')])
  return status ?? 1
}

const part = positionals.length > 0 ? ['--disable-coverage', '--allow-empty-coverage', '--allow-incomplete-coverage'] : []
const tap = await runTap([...part, ...positionals.map(toFiles)])
const counts = values['no-counts'] ? 0 : printCounts([values.output])
// tap's own code comes first: coverage below a threshold is in no count.
process.exitCode = tap || counts
