// `npm run sbom`: writes sbom.json, the CycloneDX list of what Jobgate ships, from package-lock.json alone.
// `npm run sbom -- PATH` writes it elsewhere.

import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('..', import.meta.url))
// Relative to where it is called; npm runs scripts in the root.
const output = resolve(process.argv[2] ?? 'sbom.json')
const listBytesMax = 64 * 1024 * 1024

const { status, stdout, stderr, error } = spawnSync(
  'npm',
  ['sbom', '--package-lock-only', '--sbom-format=cyclonedx', '--sbom-type=application'],
  { cwd: root, encoding: 'utf8', maxBuffer: listBytesMax },
)
if (status !== 0) {
  console.error(`npm sbom failed: ${error?.message ?? stderr}`)
  process.exit(1)
}
const list = JSON.parse(stdout)
// Not `--omit=dev`: npm 11 then also leaves out what is shipped and needed for development as well.
const isShipped = ({ properties = [] }) => !properties.some(({ name, value }) => name === 'cdx:npm:package:development' && value === 'true')
list.components = list.components.filter(isShipped)
const shipped = new Set([list.metadata.component, ...list.components].map((component) => component['bom-ref']))
list.dependencies = list.dependencies
  .filter(({ ref }) => shipped.has(ref))
  .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => shipped.has(each)) }))
// npm takes the name of the folder for that of the application.
list.metadata.component.name = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')).name
writeFileSync(output, `${JSON.stringify(list, null, 2)}\n`)
console.log(`${output}: ${list.components.length} packages, ${list.bomFormat} ${list.specVersion}`)
