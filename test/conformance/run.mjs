// Runs the product against real servers that the tests have only stand-ins for.
//
//   npm run test:conformance                  all of them
//   npm run test:conformance -- opensmtpd     one
//   npm run test:conformance -- --install     as root: installs the Debian packages of Swift first
//
// Not part of .ci/run: they want root, Debian and its archive, none of which a merge should depend on.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const runs = ['swift', 'uploads', 'opensmtpd']
const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url))

const wanted = process.argv.slice(2).filter((each) => !each.startsWith('--'))
const unknown = wanted.filter((each) => !runs.includes(each))
if (unknown.length > 0) {
  console.error(`There is no ${unknown.join(', ')}: there are ${runs.join(' and ')}.`)
  process.exit(1)
}

const run = (args) => spawnSync(process.execPath, args, { stdio: 'inherit', cwd: fromRoot('.') }).status === 0
const failed = []
if (!run(['scripts/ensure-installed.mjs', '--redis', '--build'])) process.exit(1)
for (const name of wanted.length > 0 ? wanted : runs) {
  console.log(`# ${name}`)
  const options = process.argv.slice(2).filter((each) => each.startsWith('--'))
  if (!run(['--import', 'tsx', `test/conformance/${name}.mjs`, ...options])) failed.push(name)
}
if (failed.length > 0) console.error(`failed: ${failed.join(', ')}`)
process.exitCode = failed.length > 0 ? 1 : 0
